"""The spool's format: frames that can be cut off anywhere and are still readable up to the cut.

    file   = magic frame*
    magic  = "KLSPOOL1"
    frame  = length (4 bytes, big endian) crc (4 bytes, CRC-32 of the payload) payload (JSON)

The first frame of a file is the *opening*: version, source, sequence. Then samples, gaps and the census follow in the
order they were taken. A frame whose length or sum does not fit ends the readable part: what stands before it is good,
for every frame was synced before the next was written.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from keyless.billing.ledger.model import Gap, Gvk, Malformed, Member, Sample, Segment, Source, moment_untrusted, stamp

MAGIC = b"KLSPOOL1"
VERSION = 1
# A sample of 20,000 kinds is about 2 MiB: a larger length is a torn or foreign file, not a frame.
MAX_PAYLOAD = 16 * 2**20
_HEAD = struct.Struct(">II")


def opening(segment: Segment) -> bytes:
    """The start of a spool file: magic and opening frame of a segment without samples."""
    source = segment.source
    payload = {
        "v": VERSION,
        "t": "open",
        "account": source.account,
        "controlPlane": member_document(source.control_plane),
        "collector": source.collector,
        "interval": source.interval_seconds,
        "sequence": segment.sequence,
        "since": stamp(segment.since) if segment.since else None,
    }
    return MAGIC + _frame(payload)


def sample_frame(sample: Sample) -> bytes:
    """A sample; kinds in order, so that the same counts are the same bytes."""
    counts = [[g.group, g.version, g.kind, n] for g, n in sorted(sample.counts.items())]
    return _frame({"t": "sample", "at": stamp(sample.at), "counts": counts})


def gap_frame(gap: Gap) -> bytes:
    """An interval known not to be measured."""
    return _frame({"t": "gap", "from": stamp(gap.start), "to": stamp(gap.end), "reason": gap.reason})


def census_frame(members: Iterable[Member]) -> bytes:
    """The control planes that the host's API shows now; a later census adds to an earlier one."""
    return _frame({"t": "census", "members": [member_document(m) for m in sorted(members)]})


def read_untrusted(data: bytes) -> tuple[Segment, int]:
    """Return the segment and the length of its readable part; raises ``Malformed`` where even the opening is not."""
    if not data.startswith(MAGIC):
        raise Malformed(f"expected a spool file that starts with {MAGIC.decode()}, found {data[:8]!r}")
    frames, good = _frames(data)
    if not frames:
        raise Malformed("expected an opening frame, found none that is whole")
    try:
        segment = _opened(frames[0])
        for frame in frames[1:]:
            segment = _with(segment, frame)
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise Malformed(f"expected a frame of version {VERSION}, found one without {error}") from None
    return segment, good


def member_document(member: Member) -> dict[str, str]:
    """A census line as JSON."""
    return {
        "id": member.id,
        "group": member.group,
        "name": member.name,
        "hostNamespace": member.host_namespace,
        "createdAt": stamp(member.created_at),
    }


def member_untrusted(document: Any) -> Member:
    """Read a census line; raises ``Malformed`` or ``KeyError``."""
    return Member(
        id=str(document["id"]),
        group=str(document["group"]),
        name=str(document["name"]),
        host_namespace=str(document["hostNamespace"]),
        created_at=moment_untrusted(document["createdAt"]),
    )


def _frame(payload: dict[str, Any]) -> bytes:
    body = json.dumps(payload, separators=(",", ":"), ensure_ascii=False, sort_keys=True).encode()
    return _HEAD.pack(len(body), zlib.crc32(body)) + body


def _frames(data: bytes) -> tuple[list[Any], int]:
    found: list[Any] = []
    at = len(MAGIC)
    while len(data) - at >= _HEAD.size:
        length, crc = _HEAD.unpack_from(data, at)
        body = data[at + _HEAD.size : at + _HEAD.size + length]
        if length > MAX_PAYLOAD or len(body) < length or zlib.crc32(body) != crc:
            break
        try:
            found.append(json.loads(body))
        except ValueError:
            break
        at += _HEAD.size + length
    return found, at


def _opened(frame: Any) -> Segment:
    if frame["t"] != "open":
        raise Malformed(f"expected an opening frame first, found {frame['t']!r}")
    if int(frame["v"]) > VERSION:
        raise Malformed(f"expected spool version {VERSION} or older, found {frame['v']}: a newer collector wrote it")
    source = Source(
        account=str(frame["account"]),
        control_plane=member_untrusted(frame["controlPlane"]),
        collector=str(frame["collector"]),
        interval_seconds=int(frame["interval"]),
    )
    since: datetime | None = moment_untrusted(frame["since"]) if frame["since"] else None
    return Segment(source, int(frame["sequence"]), since, samples=())


def _with(segment: Segment, frame: Any) -> Segment:
    match frame["t"]:
        case "sample":
            counts = {Gvk(str(g), str(v), str(k)): int(n) for g, v, k, n in frame["counts"]}
            return replace(segment, samples=(*segment.samples, Sample(moment_untrusted(frame["at"]), counts)))
        case "gap":
            gap = Gap(moment_untrusted(frame["from"]), moment_untrusted(frame["to"]), str(frame["reason"]))
            return replace(segment, gaps=(*segment.gaps, gap))
        case "census":
            seen = {m.id: m for m in segment.census} | {m.id: m for m in map(member_untrusted, frame["members"])}
            return replace(segment, census=tuple(sorted(seen.values())))
        case other:
            raise Malformed(f"expected a sample, gap or census, found a frame of type {other!r}")
