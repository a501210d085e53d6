"""Manifests read by halves (the census apart, once for all that have the same) say what they say read whole."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.billing.ledger import manifests
from keyless.billing.ledger.manifests import lives, manifest_untrusted
from keyless.billing.ledger.model import Malformed
from unit.billing.bucket import DAY, HOUR, OTHER, PLANE, manifest_document, manifest_entry, member, text

CUT = ',"census":[],"heads":['
CENSUSES = ([], [member()], [member(), member(OTHER, deletedAt=text(DAY))], [3], [{}], {}, "x", None, [CUT], [[]])
ODD = st.sampled_from([CUT, f"\\{CUT}", {"census": [], "heads": []}, [{"a": 1, "census": [], "heads": [1]}], "\\", 1])


def read(key, body):
    try:
        return manifest_untrusted(key, body)
    except Malformed as error:
        return type(error), str(error)


@given(
    st.sampled_from(CENSUSES),
    st.lists(st.tuples(st.sampled_from(["a", "census", "heads", "spool", CUT]), ODD), max_size=3),
    st.permutations(["version", "census", "heads", "gaps", "objects"]),
    st.sampled_from([(",", ":"), (", ", ": ")]),
    st.sampled_from(["", ",", "]", "}", '"']),
)
@example([member()], [("a", "x")], ["version", "gaps", "objects", "census", "heads"], (",", ":"), "")
@effort(60)
def test_a_manifest_is_what_it_is_read_whole_wherever_its_census_stands_and_whatever_looks_like_one(
    census, more, order, separators, after
):
    document = manifest_document(DAY, DAY + HOUR, heads=[], census=census)
    pairs = [*document.items(), *more] if len(more) % 2 else [*more, *document.items()]
    pairs.sort(key=lambda pair: order.index(pair[0]) if pair[0] in order else -1)
    comma, colon = separators
    told = comma.join(f"{json.dumps(k)}{colon}{json.dumps(v, separators=separators)}" for k, v in pairs)
    body = f"{{{told}}}{after}".encode()
    key, _ = manifest_entry(document)
    key = key[: key.rindex("-") + 1] + hashlib.sha256(body).hexdigest()[:16] + ".json"
    found = read(key, body)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifests, "_CENSUS", b"\0")
        assert found == read(key, body)


def test_a_census_is_read_once_for_the_manifests_that_share_it(monkeypatch):
    census = [member(f"{n:08}-5bb8-4a7e-9f41-2fc38ef4b065") for n in range(3)]
    documents = [manifest_document(DAY, DAY + HOUR, sequence=n, census=census, heads=[]) for n in range(5)]
    read_whole = []
    monkeypatch.setattr(
        manifests,
        "member_untrusted",
        lambda document, known=manifests.member_untrusted: read_whole.append(document["id"]) or known(document),
    )
    manifests._life_of.cache_clear()
    manifests._lives_of.cache_clear()
    found = [manifest_untrusted(*manifest_entry(document)) for document in documents]
    assert sorted(read_whole) == sorted([PLANE, *(each["id"] for each in census)])
    assert all(each.lives is found[0].lives for each in found)


@given(st.lists(st.tuples(st.sampled_from([PLANE, OTHER]), st.integers(0, 2)), max_size=8))
@effort(60)
def test_lives_are_the_union_of_all_censuses_though_one_that_recurs_is_not_gone_through_again(told):
    censuses = [[], [member(), member(OTHER)], [member(deletedAt=text(DAY)), member(OTHER, billedFrom=text(DAY))]]
    found = [
        manifest_untrusted(
            *manifest_entry(
                manifest_document(DAY, DAY + HOUR, plane=plane, census=censuses[census], sequence=number, heads=[])
            )
        )
        for number, (plane, census) in enumerate(told)
    ]
    # Each with a census of its own, equal to others but never the same.
    apart = [replace(each, lives=(*each.lives,)) for each in found]
    assert lives(found) == lives(apart)


def test_a_census_that_recurs_is_gone_through_for_the_first_alone_however_many_manifests_bear_it():
    gone_through = []

    class Told(tuple):
        def __iter__(self):
            gone_through.append(len(self))
            return super().__iter__()

    census = [member(), member(OTHER)]
    one = manifest_untrusted(*manifest_entry(manifest_document(DAY, DAY + HOUR, census=census, heads=[])))
    told = Told(one.lives)
    assert lives([replace(one, lives=told, sequence=number) for number in range(50)]) == lives([one])
    assert len(gone_through) <= 2
