"""The spool's format survives being cut off anywhere."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyless.billing.ledger import frames
from keyless.billing.ledger.model import Gap, Malformed, Sample
from unit.billing.samples import BUCKET, CTP1, CTP2, NOON, VPC, a_segment, seconds

SAMPLES = (Sample(NOON, {VPC: 3, BUCKET: 1}), Sample(NOON + seconds(15), {VPC: 4}))
GAP = Gap(NOON - seconds(600), NOON, "CollectorStopped")


def written() -> bytes:
    opened = frames.opening(a_segment(since=NOON - seconds(15)))
    return (
        opened
        + frames.gap_frame(GAP)
        + frames.census_frame([CTP1, CTP2])
        + b"".join(frames.sample_frame(sample) for sample in SAMPLES)
    )


def test_what_was_written_is_read_back():
    segment, good = frames.read_untrusted(written())
    assert good == len(written())
    assert segment.samples == SAMPLES
    assert segment.gaps == (GAP,)
    assert set(segment.census) == {CTP1, CTP2}
    assert (segment.sequence, segment.since) == (7, NOON - seconds(15))


def test_a_torn_last_frame_costs_only_itself():
    segment, good = frames.read_untrusted(written()[:-5])
    assert segment.samples == SAMPLES[:1]
    assert written()[:good] + frames.sample_frame(SAMPLES[1]) == written()


def test_a_later_census_adds_to_an_earlier_one():
    data = frames.opening(a_segment()) + frames.census_frame([CTP1]) + frames.census_frame([CTP2])
    assert set(frames.read_untrusted(data)[0].census) == {CTP1, CTP2}


def test_a_newer_version_is_refused_by_name():
    data = frames.opening(a_segment()).replace(b'"v":1', b'"v":9')
    head = len(frames.MAGIC)
    import zlib

    body = data[head + 8 :]
    data = data[: head + 4] + zlib.crc32(body).to_bytes(4, "big") + body
    with pytest.raises(Malformed, match="version 1 or older, found 9"):
        frames.read_untrusted(data)


@pytest.mark.parametrize("data", [b"", b"KLSPOOL1", b"not a spool", b"KLSPOOL1\xff\xff\xff\xff\0\0\0\0"])
def test_bytes_without_a_whole_opening_are_malformed(data):
    with pytest.raises(Malformed):
        frames.read_untrusted(data)


@given(cut=st.integers(0, 2000), noise=st.binary(max_size=40))
@settings(deadline=None, max_examples=200)
def test_no_bytes_raise_anything_but_malformed(cut, noise):
    try:
        segment, good = frames.read_untrusted(written()[:cut] + noise)
    except Malformed:
        return
    assert good <= cut + len(noise)
    assert all(sample in SAMPLES for sample in segment.samples)
