"""What a period's manifests prove: lives, gaps, what was waived."""

import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.billing.ledger.completeness import NO_MANIFEST, NOT_COVERED, missing, without
from keyless.billing.ledger.manifests import manifest_untrusted
from keyless.billing.ledger.model import Malformed
from keyless.billing.ledger.waivers import Waiver
from unit.billing.bucket import DAY, HOUR, OTHER, PLANE, manifest_document, manifest_entry, member, text

NOON = DAY + 12 * HOUR
PERIOD = (NOON, NOON + 3 * HOUR)
MINUTE = timedelta(minutes=1)
VPC = {"group": "ec2.aws.upbound.io", "version": "v1beta1", "kind": "VPC"}


def covered(start, end, **changes):
    return manifest_untrusted(*manifest_entry(manifest_document(start, end, **changes)))


def whole(**changes):
    return [covered(NOON + n * HOUR, NOON + (n + 1) * HOUR, **changes) for n in range(3)]


def gap(start, end, reason="CollectorStopped", **more):
    return {"from": text(start), "to": text(end), "reason": reason} | more


def found(*args, **kwargs):
    return [(m.control_plane.id, m.start, m.end, m.reason) for m in missing(*args, **kwargs)]


def waiver(start, end, plane=PLANE):
    return Waiver("acme", "me", "why", "nothing", NOON, control_plane=plane, start=start, end=end)


def test_hours_that_join_leave_nothing_missing():
    assert missing(PERIOD, whole()) == []
    halves = [covered(NOON, NOON + 30 * MINUTE), covered(NOON + 30.5 * MINUTE, NOON + HOUR)]
    assert missing((NOON, NOON + HOUR), halves) == []


def test_a_hole_is_missing_with_the_collectors_own_word():
    first, _, last = whole()
    last = covered(last.start, last.end, gaps=[gap(NOON + HOUR, NOON + 2 * HOUR)])
    assert found(PERIOD, [last, first]) == [(PLANE, NOON + HOUR, NOON + 2 * HOUR, "CollectorStopped")]
    assert found(PERIOD, [first, covered(last.start, last.end)])[0][3] == NOT_COVERED


def test_a_collector_that_went_silent_is_missing_to_the_end_and_one_that_never_wrote_from_its_birth():
    assert found(PERIOD, whole()[:1]) == [(PLANE, NOON + HOUR, NOON + 3 * HOUR, NOT_COVERED)]
    seen = whole(census=[member(OTHER, createdAt=text(NOON + HOUR))])
    assert found(PERIOD, seen) == [(OTHER, NOON + HOUR, NOON + 3 * HOUR, NO_MANIFEST)]


def test_what_a_manifest_says_was_not_measured_is_missing_though_it_lies_within():
    lies = whole()
    lies[1] = covered(NOON + HOUR, NOON + 2 * HOUR, gaps=[gap(NOON + 70 * MINUTE, NOON + 80 * MINUTE, "SpoolDamaged")])
    assert found(PERIOD, lies) == [(PLANE, NOON + 70 * MINUTE, NOON + 80 * MINUTE, "SpoolDamaged")]
    # A second collector counted in the meantime.
    assert found(PERIOD, [*lies, covered(NOON + HOUR, NOON + 2 * HOUR)]) == []


def test_a_gap_of_some_kinds_names_them():
    some = covered(NOON, NOON + HOUR, gaps=[gap(NOON, NOON + 5 * MINUTE, "KindNotListed", kinds=[VPC])])
    (only,) = missing(PERIOD, [some, *whole()[1:]])
    assert (only.start, only.end, only.reason) == (NOON, NOON + 5 * MINUTE, "KindNotListed")
    assert [kind.kind for kind in only.kinds] == ["VPC"]


@pytest.mark.parametrize(
    ("life", "owed"),
    [
        ({"deletedAt": text(NOON + HOUR)}, []),
        ({"deletedAt": text(NOON + 2 * HOUR)}, [(NOON + HOUR, NOON + 2 * HOUR)]),
        ({"deletedAt": text(NOON - HOUR)}, []),
        ({"deletedAt": text(NOON + 9 * HOUR)}, [(NOON + HOUR, NOON + 3 * HOUR)]),
        ({}, [(NOON + HOUR, NOON + 3 * HOUR)]),
    ],
)
def test_a_deleted_control_plane_owes_nothing_after_its_end(life, owed):
    """Whoever survives it says so in the census."""
    other = whole(plane=OTHER, census=[member(**life)])
    assert [(m[1], m[2]) for m in found(PERIOD, [covered(NOON, NOON + HOUR), *other])] == owed


def test_billing_switched_on_in_the_middle_owes_nothing_before():
    later = [covered(NOON + 2 * HOUR, NOON + 3 * HOUR, census=[member(billedFrom=text(NOON + 2 * HOUR))])]
    assert missing(PERIOD, later) == []
    # The earliest that anybody says counts.
    later.append(covered(NOON + 2 * HOUR, NOON + 3 * HOUR, census=[member(billedFrom=text(NOON + HOUR))]))
    assert found(PERIOD, later) == [(PLANE, NOON + HOUR, NOON + 2 * HOUR, NOT_COVERED)]


def test_what_went_with_a_control_plane_is_missing_with_its_reason():
    end = NOON + 2 * HOUR
    lost = gap(NOON + HOUR, end, "UsageNotFlushed")
    other = whole(plane=OTHER, census=[member(deletedAt=text(end), lost=lost)])
    assert found(PERIOD, [covered(NOON, NOON + HOUR), *other]) == [(PLANE, NOON + HOUR, end, "UsageNotFlushed")]


def test_the_manifest_of_version_one_has_no_lives_and_is_read():
    old = manifest_document(NOON, NOON + HOUR, version=1, census=[member()])
    del old["sequence"], old["collector"]
    read = manifest_untrusted(*manifest_entry(old))
    assert missing((NOON, NOON + HOUR), [read]) == []
    assert read.life.deleted_at is None


def test_a_waiver_covers_its_stretch_and_no_more():
    seen = whole()[:1]
    gone = (NOON + HOUR, NOON + 3 * HOUR)
    assert missing(PERIOD, seen, [waiver(*gone)]) == []
    half = [waiver(gone[0], NOON + 2 * HOUR)]
    assert found(PERIOD, seen, half) == [(PLANE, NOON + 2 * HOUR, NOON + 3 * HOUR, NOT_COVERED)]
    assert len(missing(PERIOD, seen, [waiver(*gone, plane=OTHER)])) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 4},
        {"version": "x"},
        {"controlPlane": {}},
        {"controlPlane": []},
        {"from": "yesterday"},
        {"from": "0001-01-01T00:00:00+23:00"},
        {"to": text(NOON - HOUR)},
        {"to": text(NOON + 2 * HOUR)},
        {"intervalSeconds": 10**12},
        {"intervalSeconds": 0},
        {"intervalSeconds": 10**400},
        {"gaps": [{}]},
        {"gaps": None},
        {"census": ["x"]},
        {"objects": [{"key": 1, "sha256": "x", "bytes": 1}]},
        {"objects": [{"key": "k"}]},
    ],
    ids=str,
)
def test_a_manifest_that_is_none_names_its_key(changes):
    body = json.dumps(manifest_document(NOON, NOON + HOUR, **changes)).encode()
    with pytest.raises(Malformed, match=r"^m/key: "):
        manifest_untrusted("m/key", body)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"null", b"\xff", b"[" * 5000, b'"x"', b"{" + b" " * 9 * 2**20])
def test_bytes_that_are_no_manifest_name_their_key(body):
    with pytest.raises(Malformed, match=r"^m/key: "):
        manifest_untrusted("m/key", body)


MOMENTS = st.integers(0, 50).map(lambda n: NOON + n * MINUTE)
INTERVALS = st.tuples(MOMENTS, MOMENTS).map(sorted).map(tuple)


@effort(80)
@given(INTERVALS, st.lists(INTERVALS, max_size=6))
def test_what_is_left_of_an_interval_is_exactly_what_nothing_took(interval, taken):
    def minutes(start, end):
        return {start + n * MINUTE for n in range(int((end - start) / MINUTE))}

    left = without(interval, taken)
    expected = minutes(*interval).difference(*(minutes(*t) for t in taken))
    assert {m for part in left for m in minutes(*part)} == expected
    assert all(start < end for start, end in left)
    assert left == sorted(left)


def pause(start, end=None):
    return {"from": text(start)} | ({"to": text(end)} if end else {})


def resting(*pauses):
    return [member(PLANE, pauses=list(pauses))]


def test_hours_in_which_a_control_plane_was_paused_are_no_gap():
    first, _, last = whole()
    told = covered(last.start, last.end, census=resting(pause(NOON + HOUR, NOON + 2 * HOUR)))
    assert found(PERIOD, [first, told]) == []
    # A neighbour tells it too, also before it has ended.
    other = {"controlPlane": member(OTHER)}
    going_on = whole(census=resting(pause(NOON + HOUR)), **other)
    assert found(PERIOD, [first, *going_on]) == []


def test_what_was_not_measured_beside_a_pause_is_missing():
    first, _, last = whole()
    told = covered(last.start, last.end, census=resting(pause(NOON + HOUR, NOON + 80 * MINUTE)))
    assert found(PERIOD, [first, told]) == [(PLANE, NOON + 82 * MINUTE, NOON + 2 * HOUR, NOT_COVERED)]


def test_the_last_word_of_a_lone_collector_holds_until_it_is_known_better():
    last_word = covered(NOON, NOON + HOUR, census=resting(pause(NOON + HOUR)))
    assert found(PERIOD, [last_word]) == [], "it is paused, as far as anybody knows"
    again = covered(NOON + 150 * MINUTE, NOON + 3 * HOUR)
    assert found(PERIOD, [last_word, again]) == [(PLANE, NOON + HOUR, NOON + 150 * MINUTE, NOT_COVERED)]
    short = pause(NOON + 61 * MINUTE, NOON + 90 * MINUTE)
    told = covered(NOON + 150 * MINUTE, NOON + 3 * HOUR, census=resting(short))
    assert found(PERIOD, [last_word, told]) == [(PLANE, NOON + 92 * MINUTE, NOON + 150 * MINUTE, NOT_COVERED)]


def test_kinds_that_were_not_counted_are_missing_also_beside_a_pause():
    some = covered(NOON, NOON + HOUR, gaps=[gap(NOON, NOON + 5 * MINUTE, "KindNotListed", kinds=[VPC])])
    told = whole(census=resting(pause(NOON, NOON + MINUTE)))[1:]
    assert found(PERIOD, [some, *told]) == [(PLANE, NOON, NOON + 5 * MINUTE, "KindNotListed")]


@pytest.mark.parametrize("bad", [{"from": "x"}, {"from": text(NOON), "to": text(NOON - HOUR)}, {}])
def test_a_pause_that_nobody_can_read_is_no_manifest(bad):
    with pytest.raises(Malformed):
        covered(NOON, NOON + HOUR, census=resting(bad))


moments = st.integers(0, 180).map(lambda n: NOON + n * MINUTE)


@given(
    runs=st.lists(st.tuples(moments, moments).map(sorted), max_size=4),
    rests=st.lists(st.tuples(moments, moments).map(sorted), max_size=4),
)
@effort(100)
def test_pauses_take_away_from_what_is_missing_what_they_say_and_two_minutes_beside_it(runs, rests):
    measured = [covered(a, min(b, a + HOUR)) for a, b in runs]
    told = covered(NOON + 3 * HOUR, NOON + 4 * HOUR, census=resting(*(pause(a, b) for a, b in rests)))
    before = missing(PERIOD, [*measured, covered(NOON + 3 * HOUR, NOON + 4 * HOUR)])
    after = missing(PERIOD, [*measured, told])
    allowed = [(a - 2 * MINUTE, b + 2 * MINUTE) for a, b in rests]
    assert all(any(old.start <= new.start and new.end <= old.end for old in before) for new in after)
    for old in before:
        for start, end in without((old.start, old.end), allowed):
            if end - start > 3 * MINUTE:
                assert any(new.start <= start and end <= new.end for new in after), "no more than that"
