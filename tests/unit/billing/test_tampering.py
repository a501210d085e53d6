"""Whoever changes anything in the bucket: what ``verify`` names, and what it takes to forge unseen."""

import hashlib

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.billing.export.verifying import Check, Known, verify
from keyless.billing.ledger.objects import canonical
from unit.billing.bucket import MemoryBucket, manifest_entry, packed
from unit.billing.chained import END, HOUR, chained

AFTER = END + 3 * HOUR


def verdict(bucket, **changes):
    return verify(bucket, Check("acme", **changes), now=AFTER)


def seen():
    """What somebody knows who verified the bucket before anything was done to it."""
    found = verdict(chained())
    return (Known("heads.json", found.heads, found.records),)


def keys(bucket, kind):
    """The keys of one kind of object, in the order in which they were made."""
    return [key for key in sorted(bucket.objects) if KINDS[kind](key)]


KINDS = {
    "usage": lambda key: key.startswith("account="),
    "meter": lambda key: key.startswith("manifest/meter/"),
    "manifest": lambda key: key.startswith("manifest/account=") and "706c49fa" in key,
    "waiver": lambda key: key.startswith("waiver/") and "taken-back" not in key,
    "withdrawal": lambda key: "taken-back" in key,
}


def edit(bucket, key, other):
    body = bytearray(bucket.objects[key])
    body[len(body) // 2] ^= 1
    bucket.objects[key] = bytes(body)


def rewrite(bucket, key, other):
    """Well-formed content of the same kind under the old name."""
    bucket.objects[key] = (
        bucket.objects[key].replace(b'"by":"me"', b'"by":"it"').replace(b'"samples":3', b'"samples":4')
    )
    if key.endswith(".gz"):
        bucket.objects[key] = packed()


def delete(bucket, key, other):
    del bucket.objects[key]


def empty(bucket, key, other):
    bucket.objects[key] = b""


def truncate(bucket, key, other):
    bucket.objects[key] = bucket.objects[key][:-9]


def append(bucket, key, other):
    bucket.objects[key] += b"\n"


def rename(bucket, key, other):
    folder, _, name = key.rpartition("/")
    bucket.objects[f"{folder}/x{name}"] = bucket.objects.pop(key)


def duplicate(bucket, key, other):
    folder, _, name = key.rpartition("/")
    bucket.objects[f"{folder}/x{name}"] = bucket.objects[key]


def replay(bucket, key, other):
    """Another hour's object in this one's place."""
    bucket.objects[key] = bucket.objects[other]


def swap(bucket, key, other):
    bucket.objects[key], bucket.objects[other] = bucket.objects[other], bucket.objects[key]


ONE = [edit, rewrite, delete, empty, truncate, append, rename, duplicate, replay, swap]
PLACE = {"first": 0, "middle": 1, "last": -1}


@pytest.mark.parametrize("place", ["first", "middle", "last"])
@pytest.mark.parametrize("act", ONE, ids=lambda act: act.__name__)
@pytest.mark.parametrize("kind", KINDS)
def test_whatever_is_done_to_one_object_is_named(kind, act, place):
    bucket = chained()
    # Waivers in the order in which they were made: the later one names what was before.
    found = sorted(keys(bucket, kind), key=lambda key: (b'"after"' in bucket.objects[key], key))
    key = found[PLACE[place] if len(found) > 1 else 0]
    other = next(k for k in [*found, *keys(bucket, "waiver")] if k != key)
    act(bucket, key, other)
    made = verdict(bucket)
    if kind == "waiver" and act is delete and key == found[-1]:
        # Nothing in the bucket names the newest record; who saw it misses it.
        assert made.holds
        made = verdict(bucket, known=seen())
    assert folder(made.faults[0].key) == min(map(folder, {key, other} if act is swap else {key}))
    assert not made.holds


def folder(key):
    return key.partition("account=")[2].rpartition("/")[0]


def test_an_untouched_bucket_holds_with_and_without_what_was_seen_before():
    made = verdict(chained(), known=seen())
    assert made.holds
    assert (made.manifests, made.objects, len(made.heads)) == (8, 16, 2)
    assert not made.unknown_beginnings


def forge(bucket, key, change, *, following):
    """Edit a segment and make every sum fit again: its manifest, the names, and (or not) all manifests after it."""
    manifests = keys(bucket, "manifest")
    at = manifests.index(key)
    document = orjson.loads(bucket.objects[key])
    change(bucket, document)
    previous = {}
    for old in manifests[at:] if following else [key]:
        found = document if old == key else orjson.loads(bucket.objects[old])
        found["previousManifestSha256"] = previous.get(found["previousManifestSha256"], found["previousManifestSha256"])
        name, body = entry(found)
        previous[sha(bucket.objects.pop(old))] = sha(body)
        bucket.objects[name] = body


def sha(body):
    return hashlib.sha256(body).hexdigest()


def entry(document):
    name, _ = manifest_entry(document)
    body = canonical(document)
    stem = name.rpartition("-")[0]
    return f"{stem}-{sha(body)[:16]}.json", body


def other_usage(bucket, document):
    """Fewer resources, as the collector would have stored them."""
    (named,) = document["objects"]
    body = packed()
    del bucket.objects[named["key"]]
    key = f"{named['key'].rpartition('-')[0]}-{sha(body)[:16]}.json.gz"
    bucket.objects[key] = body
    document["objects"] = [{"key": key, "sha256": sha(body), "bytes": len(body), "events": 0}]


def no_gap(bucket, document):
    document["samples"] = 1000


def renumber(bucket, document):
    """Another number: the names of its objects go with it."""
    document["sequence"] += 1
    for named in document["objects"] + document["meters"]:
        key = named["key"].replace(f"-{document['sequence'] - 1:010d}-", f"-{document['sequence']:010d}-")
        bucket.objects[key] = bucket.objects.pop(named["key"])
        named["key"] = key


def forget(bucket, document):
    """Another control plane never was."""
    document["census"] = [each for each in document["census"] if each["id"] == document["controlPlane"]["id"]]


@pytest.mark.parametrize("change", [other_usage, no_gap, renumber, forget], ids=lambda act: act.__name__)
@pytest.mark.parametrize("at", [0, 1, 2, 3])
@pytest.mark.parametrize("following", [False, True], ids=["alone", "with all that follow"])
def test_sums_that_were_made_to_fit_break_the_chain_or_differ_from_what_was_seen(change, at, following):
    bucket = chained()
    forge(bucket, keys(bucket, "manifest")[at], change, following=following)
    made = verdict(bucket)
    if at == 3 or following:
        # A forger who writes all that follows anew leaves no trace in the bucket.
        assert made.holds or change is renumber
    else:
        assert made.faults[0].reason in {"ChainBroken", "NumberTwice", "NumberMissing"}
    assert not verdict(bucket, known=seen()).holds


def test_a_cut_tail_is_missing_beside_others_and_unseen_where_all_are_cut():
    one, both = chained(), chained()
    for key in list(both.objects):
        if "2026-11-01/hour=01" in key:
            del both.objects[key]
            if "706c49fa" in key:
                del one.objects[key]
    late = verdict(one, period=(END - HOUR, END))
    assert [m.control_plane.name for m in late.missing] == ["ctp1"]
    assert verdict(both).holds
    assert {fault.reason for fault in verdict(both, known=seen()).faults} == {"HeadMissing"}


def test_a_control_plane_whose_every_object_is_gone_is_missing_by_the_census_of_others():
    bucket = chained()
    for key in list(bucket.objects):
        if "706c49fa" in key:
            del bucket.objects[key]
    assert {(m.control_plane.name, m.reason) for m in verdict(bucket).missing} == {("ctp1", "NoManifest")}


BUCKET = chained()
PLACES = sorted(BUCKET.objects)
ACTS = st.lists(
    st.tuples(st.sampled_from(ONE), st.sampled_from(PLACES), st.sampled_from(PLACES)), min_size=1, max_size=3
)


@effort(25)
@given(ACTS)
def test_who_has_seen_the_heads_sees_every_change_whatever_was_done_together(acts):
    bucket = MemoryBucket(dict(BUCKET.objects))
    for act, key, other in acts:
        if key in bucket.objects and other in bucket.objects:
            act(bucket, key, other)
    assert verdict(bucket, known=seen()).holds == (bucket.objects == BUCKET.objects)


@pytest.mark.parametrize("day", [31, 1])
def test_a_period_is_verified_alone_and_its_chain_over_its_edges(day):
    start = END.replace(day=1, hour=0) if day == 1 else END.replace(month=10, day=31, hour=0)
    period = (start, start + 24 * HOUR)
    made = verdict(chained(), period=period, known=seen())
    assert (made.faults, made.objects) == ((), 8)
    cut = chained()
    gone = keys(cut, "manifest")[1]
    del cut.objects[gone]
    assert not verdict(cut, period=period).holds


def test_what_lies_below_another_prefix_in_the_same_formats_is_verified_alike():
    bucket = MemoryBucket()
    for key, body in chained().objects.items():
        if key.startswith("account="):
            bucket.objects[f"meter/{key}"] = body
        elif key.startswith("manifest/account="):
            document = orjson.loads(body)
            document["meters"] = []
            for item in document["objects"]:
                item["key"] = f"meter/{item['key']}"
            document["previousManifestSha256"], document["chain"] = "", "First"
            if document["sequence"] == 0:
                name, body = entry(document)
                bucket.objects[name.replace("manifest/", "manifest/meter/")] = body
    made = verdict(bucket, prefix="meter/")
    assert made.manifests == 2
    assert {fault.reason for fault in made.faults} == {"NotInManifest"}
    assert made.objects == 2
