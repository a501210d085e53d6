"""The spool's format survives being cut off anywhere, and being spoilt anywhere."""

import io
import zlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyless.billing.ledger import frames
from keyless.billing.ledger.model import (
    Census,
    ClockJump,
    ClockState,
    Gap,
    Malformed,
    Opening,
    Pause,
    Polled,
    Sample,
    Unknown,
)
from unit.billing.samples import BUCKET, CTP1, CTP2, NOON, VPC, a_source, seconds

OPENING = Opening(a_source(), 7, NOON - seconds(15))
SAMPLES = (
    Sample(NOON, {VPC: 3, BUCKET: 1}),
    Sample(NOON + seconds(15), {VPC: 4}, peaks={VPC: 6}, unknown={BUCKET: Unknown(NOON, "Forbidden")}),
)
CONTENT = (
    Gap(NOON - seconds(600), NOON, "CollectorStopped", (VPC,), "why"),
    Census((CTP2, CTP1)),
    ClockState(seconds(2), (ClockJump(NOON, seconds(3600)),)),
    Polled(3, 15),
    *SAMPLES,
)


def written(contents=CONTENT) -> bytes:
    return frames.opening_frame(OPENING) + b"".join(frames.frame(each) for each in contents)


def read(data):
    reader = frames.Reader(io.BytesIO(data))
    return reader.opening, list(reader.frames())


def test_what_was_written_is_read_back():
    assert read(written()) == (OPENING, list(CONTENT))


def test_a_torn_last_frame_costs_only_itself_and_is_no_gap():
    assert read(written()[:-5]) == (OPENING, list(CONTENT[:-1]))


def test_a_spoilt_frame_costs_itself_and_the_gap_is_recorded():
    later = Sample(NOON + seconds(30), {VPC: 5})
    data = bytearray(written((*SAMPLES, later)))
    data[data.index(b"12:00:15")] ^= 1
    assert read(bytes(data))[1] == [SAMPLES[0], Gap(NOON, NOON + seconds(30), frames.SPOOL_DAMAGED), later]


@given(place=st.integers(0, 10_000), bit=st.integers(0, 7))
@settings(deadline=None, max_examples=300)
def test_one_flipped_bit_anywhere_costs_at_most_one_frame(place, bit):
    data = bytearray(written())
    start = len(frames.opening_frame(OPENING))
    place = start + place % (len(data) - start)
    data[place] ^= 1 << bit
    found = read(bytes(data))[1]
    kept = [each for each in found if each in CONTENT]
    assert len(kept) >= len(CONTENT) - 1


def test_a_newer_version_is_refused_by_name():
    data = frames.opening_frame(OPENING).replace(b'"v":3', b'"v":9')
    body = data[len(frames.MAGIC) + 12 :]
    data = data[: len(frames.MAGIC) + 8] + zlib.crc32(body).to_bytes(4, "big") + body
    with pytest.raises(Malformed, match="version 3 or older, found 9"):
        read(data)


def test_a_spool_of_the_version_before_is_read():
    data = frames.MAGIC_BEFORE
    current = io.BytesIO(written((SAMPLES[0],))[len(frames.MAGIC) :])
    while head := current.read(12):
        length = int.from_bytes(head[4:8], "big")
        body = current.read(length).replace(b'"v":2', b'"v":1')
        data += len(body).to_bytes(4, "big") + zlib.crc32(body).to_bytes(4, "big") + body
    assert read(data + b"torn") == (OPENING, [SAMPLES[0]])


@pytest.mark.parametrize("data", [b"", b"KLSPOOL2", b"not a spool", b"KLSPOOL2FRM1\xff\xff\xff\xff\0\0\0\0"])
def test_bytes_without_a_whole_opening_are_malformed(data):
    with pytest.raises(Malformed):
        read(data)


@given(cut=st.integers(0, 2000), noise=st.binary(max_size=40))
@settings(deadline=None, max_examples=200)
def test_no_bytes_raise_anything_but_malformed(cut, noise):
    try:
        found = read(written()[:cut] + noise)[1]
    except Malformed:
        return
    assert all(each in CONTENT or isinstance(each, Gap) for each in found)


def test_a_deletion_once_seen_is_never_forgotten():
    gone = replace(CTP1, deleted_at=NOON, billed_from=NOON - seconds(5))
    assert frames.merged([gone], [CTP1, CTP2]) == (CTP2, gone)


def test_pauses_are_read_back_and_who_knows_the_end_of_one_knows_more():
    began, ended = Pause(NOON), Pause(NOON, NOON + seconds(60))
    other = Pause(NOON + seconds(120))
    told = replace(CTP1, pauses=(began, other))
    assert read(written([Census((told,))]))[1] == [Census((told,))]
    known = replace(CTP1, pauses=(ended,))
    for one, later in ((told, known), (known, told)):
        assert frames.merged([one], [later]) == (replace(CTP1, pauses=(ended, other)),)
