"""Dimensions on their way from events to the bucket: what was there, for how long, whose it was."""

from __future__ import annotations

import gzip
import io
import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.billing.collector.describing import Composite, Traits
from keyless.billing.collector.metering import Counted, Metering
from keyless.billing.collector.tallies import Tally
from keyless.billing.ledger import frames
from keyless.billing.ledger.frames import Reader
from keyless.billing.ledger.manifests import manifest_with_meters_untrusted
from keyless.billing.ledger.meter_reading import meter_untrusted, meter_within_untrusted
from keyless.billing.ledger.model import Described, Gvk, Malformed, Meter, Sample, Unknown
from keyless.billing.ledger.objects import manifest, pack
from unit.billing.samples import BUCKET, NO_LINK, NOON, VPC, a_segment, seconds

KINDS = (VPC, BUCKET)
TEAMS = ("payments", "search", None)


class Plane:
    """Resources that come and go, a collector's view of them, and the truth."""

    def __init__(self, limit=100):
        self.at = NOON
        self.resources = []
        self.tallies = {gvk: Tally(NOON) for gvk in KINDS}
        self.metering = Metering(limit)
        self.frames = [Described(("team",), {"env": "prod"})]
        self.truth = Counter()
        self.sampled = 0
        self.most = Counter()
        self.seen = Counter()

    def wait(self, by):
        self.at += seconds(by)
        for gvk, team in self.resources:
            self.truth[gvk, team] += round(by * 1000)

    def make(self, gvk, team):
        self.resources.append((gvk, team))
        self.tallies[gvk].change(None, Traits(labels=(team,)), self.at)
        self._look()

    def drop(self, number):
        if self.resources:
            gvk, team = self.resources.pop(number % len(self.resources))
            self.tallies[gvk].change(Traits(labels=(team,)), None, self.at)
            self._look()

    def _look(self):
        for gvk, count in Counter(gvk for gvk, _ in self.resources).items():
            self.seen[gvk] = max(self.seen[gvk], count)

    def sample(self):
        counts = dict(Counter(gvk for gvk, _ in self.resources))
        before = self.frames[-2].counts if self.sampled else {}
        peaks = {g: n for g, n in self.seen.items() if self.sampled and n > max(counts.get(g, 0), before.get(g, 0))}
        if not self.sampled:
            # What was before the first sample nobody has timed.
            self.truth.clear()
        for gvk in KINDS:
            self.most[gvk] = max(self.most[gvk], counts.get(gvk, 0), peaks.get(gvk, 0))
        self.seen = Counter(counts)
        kinds = [Counted(Meter.MANAGED, gvk, "provider-aws", tally) for gvk, tally in self.tallies.items()]
        self.frames.append(Sample(self.at, counts, peaks))
        self.frames.append(self.metering.take(self.at, kinds, whole=not self.sampled))
        self.sampled += 1


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("make"), st.sampled_from(KINDS), st.sampled_from(TEAMS)),
        st.tuples(st.just("drop"), st.integers(0, 9)),
        st.tuples(st.just("wait"), st.floats(0.0, 20.0).map(lambda by: round(by, 3))),
        st.tuples(st.just("sample")),
    ),
    max_size=40,
)


def played(steps, limit=100):
    plane = Plane(limit)
    plane.sample()
    for name, *rest in steps:
        getattr(plane, name)(*rest)
    plane.sample()
    return plane


def stored(packed):
    assert packed.meter is not None
    return meter_untrusted(packed.meter.key, packed.meter.body)


@effort(30)
@given(STEPS)
def test_the_time_of_each_team_is_exact_and_the_most_adds_up(steps):
    plane = played(steps)
    found = stored(a_segment(*plane.frames).packed)
    times = {(d.gvk, d.labels[0]): row.milliseconds for d, row in found.rows if row.milliseconds}
    assert times == {key: ms for key, ms in plane.truth.items() if ms}
    peaks = Counter()
    for dimensions, row in found.rows:
        peaks[dimensions.gvk] += row.at_peak
    assert +peaks == +plane.most
    assert (found.plane, found.labels) == ({"env": "prod"}, ("team",))


@effort(30)
@given(STEPS, st.data())
def test_a_spoilt_frame_leaves_the_sums_as_the_events_tell_them(steps, data):
    plane = played(steps)
    kept = [each for each in plane.frames if isinstance(each, Sample) or data.draw(st.booleans())]
    packed = a_segment(*kept).packed
    if packed.meter is None:
        assert not any(not isinstance(each, Sample | Described) for each in kept)
        return
    peaks = Counter()
    for dimensions, row in stored(packed).rows:
        peaks[dimensions.gvk] += row.at_peak
    assert +peaks == +plane.most


@effort(30)
@given(STEPS)
def test_the_peers_object_does_not_change_with_dimensions(steps):
    plane = played(steps)
    without = a_segment(*(each for each in plane.frames if isinstance(each, Sample))).packed
    packed = a_segment(*plane.frames).packed
    assert packed.usage == without.usage
    assert without.meter is None
    assert packed.meter is not None
    assert not packed.meter.key.startswith("account=")


@effort(30)
@given(STEPS)
def test_frames_of_dimensions_are_read_as_they_were_written(steps):
    plane = played(steps)
    segment = a_segment(*plane.frames)
    data = frames.opening_frame(segment.opening) + b"".join(frames.frame(each) for each in segment.frames)
    reader = Reader(io.BytesIO(data))
    assert tuple(reader.frames()) == segment.frames
    again = pack(reader.opening, segment.frames)
    assert again is not None
    assert again.meter == segment.packed.meter


@effort(30)
@given(STEPS, st.integers(1, 3))
def test_more_combinations_than_the_limit_are_told_as_folded_and_still_add_up(steps, limit):
    plane = played(steps, limit)
    found = stored(a_segment(*plane.frames).packed)
    peaks = Counter()
    for dimensions, row in found.rows:
        peaks[dimensions.gvk] += row.at_peak
    assert +peaks == +plane.most
    assert len(found.rows) <= 2 * limit + 2 * len(KINDS)
    times = Counter()
    for (gvk, _), ms in plane.truth.items():
        times[gvk] += ms
    told = Counter()
    for dimensions, row in found.rows:
        told[dimensions.gvk] += row.milliseconds
    assert +told == +times
    assert found.limited == sum(1 for dimensions, _ in found.rows if dimensions.limited)


def test_the_manifest_commits_the_meter_object():
    plane = played([("make", VPC, "payments"), ("wait", 5)])
    segment = a_segment(*plane.frames)
    packed = pack(segment.opening, segment.frames, inside=0)
    document = json.loads(manifest(packed, NO_LINK).body)
    meter = packed.meter
    assert document["meters"] == [
        {"key": meter.key, "sha256": meter.sha256, "bytes": len(meter.body), "rows": packed.combinations}
    ]
    assert [each.key for each in packed.objects] == [packed.usage.key, meter.key]
    assert json.loads(gzip.decompress(meter.body))["rows"][0][-4:] == [1, 1, 5000, 1]


@pytest.mark.parametrize("more", [0, 1])
def test_a_meter_object_that_is_small_lies_in_the_manifest_and_says_the_same(more):
    plane = played([("make", VPC, "payments"), ("wait", 5)])
    segment = a_segment(*plane.frames)
    size = len(segment.packed.meter.body)
    packed = pack(segment.opening, segment.frames, inside=size - 1 + more)
    record = manifest(packed, NO_LINK)
    covered, meters = manifest_with_meters_untrusted(record.key, record.body)
    [committed] = covered.meters
    if more:
        assert (committed.key, committed.sha256, committed.size) == (record.key, record.sha256, len(record.body))
        assert packed.objects == (packed.usage,)
        assert meter_within_untrusted(record.key, meters) == stored(packed)
    else:
        assert packed.objects == (packed.usage, packed.meter)


@pytest.mark.parametrize("meters", [[], [{}], [{"gzip": 3}], [{"gzip": "x"}], [{"gzip": "H4sI"}], {}, [3]])
def test_what_lies_in_a_manifest_and_is_no_meter_object_is_told(meters):
    with pytest.raises(Malformed, match=r"^manifest/account=acme/x: "):
        meter_within_untrusted("manifest/account=acme/x", meters)


def test_a_segment_that_knows_no_dimensions_is_stored_as_before():
    document = json.loads(a_segment().manifest().body)
    assert "meters" not in document


def test_time_in_which_a_kind_is_unknown_counts_for_nothing_and_is_told():
    plane = Plane()
    plane.make(VPC, "payments")
    plane.sample()
    plane.wait(10)
    plane.sample()
    plane.wait(30)
    plane.sample()
    dark = plane.frames[-2]
    plane.frames[-2] = Sample(dark.at, {}, {}, {VPC: Unknown(dark.at - seconds(30), "Forbidden")})
    plane.frames[-1] = replace(plane.frames[-1], unknown=((Meter.MANAGED, VPC),))
    plane.wait(20)
    plane.sample()
    plane.wait(5)
    plane.sample()
    packed = a_segment(*plane.frames).packed
    [(dimensions, row)] = stored(packed).rows
    assert (dimensions.labels, row.milliseconds, row.at_peak) == (("payments",), 15_000, 1)
    [dark] = json.loads(gzip.decompress(packed.meter.body))["unmeasured"]
    assert (dark["kind"], dark["milliseconds"]) == ("VPC", 50_000)


def test_what_a_composite_owns_has_its_composition_whenever_the_composite_is_seen():
    metering, tally = Metering(100), Tally(NOON)
    tally.change(None, Traits(owner="u-2", composite="app-x"), NOON)
    kinds = [Counted(Meter.MANAGED, VPC, None, tally)]
    first = metering.take(NOON, kinds, whole=True)
    [before] = first.new.values()
    assert (before.composite, before.composition) == ("app-x", None), "absent is unknown, not guessed"
    metering.composite(None, Composite("u-2", "app-x-net", "network", "u-1"))
    metering.composite(None, Composite("u-1", "app-x", "app", ""))
    later = metering.take(NOON + seconds(5), kinds, whole=False)
    [after] = later.new.values()
    assert (after.composite, after.composition) == ("app-x", "app"), "the label names the outer one"
    counts = sorted(measure.count for measure in later.rows.values())
    assert counts == [0, 1]
    metering.composite(Composite("u-1", "app-x", "app", ""), None)
    gone = metering.take(NOON + seconds(9), kinds, whole=False)
    assert [gone.rows[n].count for n in sorted(gone.rows)] in ([1, 0], [0, 1])


def test_what_a_composite_refers_to_and_no_watch_counts_is_composed():
    metering = Metering(100)
    config = Gvk("", "v1", "ConfigMap")
    kinds = [Counted(Meter.MANAGED, VPC, None, Tally(NOON))]
    metering.composite(None, Composite("u-1", "app", "web", "", ((VPC, 2), (config, 3))))
    taken = metering.take(NOON, kinds, whole=True)
    [(number, dimensions)] = taken.new.items()
    assert (dimensions.meter, dimensions.gvk, dimensions.composite, dimensions.composition) == (
        Meter.COMPOSED,
        config,
        "app",
        "web",
    )
    assert taken.rows[number].count == 3
    metering.composite(Composite("u-1", "app", "web", "", ((VPC, 2), (config, 3))), None)
    assert metering.take(NOON + timedelta(seconds=5), kinds, whole=False).rows[number].count == 0


def _places(document, path=()):
    yield path
    for key, part in document.items() if isinstance(document, dict) else enumerate(document):
        if isinstance(part, dict | list):
            yield from _places(part, (*path, key))
        else:
            yield (*path, key)


PLAYED = played([("make", VPC, "payments"), ("wait", 5)])
ODD = st.sampled_from([None, True, -1, 2**70, 1.5, "", "x", [], [[]], {}, {"a": []}, ["payments"]])


@effort(30)
@given(st.data(), ODD)
def test_whatever_lies_in_a_meter_objects_place_is_read_or_malformed(data, odd):
    document = json.loads(gzip.decompress(a_segment(*PLAYED.frames).packed.meter.body))
    path = data.draw(st.sampled_from([each for each in _places(document) if each]))
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = odd
    body = gzip.compress(json.dumps(document).encode())
    try:
        found = meter_untrusted("key", body).rows
    except Malformed:
        return
    assert all(row.at_peak >= 0 for _, row in found)
