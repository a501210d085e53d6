"""The spool's format: frames that can be cut off anywhere, or spoilt, and are readable around the damage.

    file   = magic frame*
    magic  = "KLSPOOL2"
    frame  = mark (4 bytes, "FRM1") length (4 bytes, big endian) crc (4 bytes, CRC-32 of the payload) payload (JSON)

The first frame of a file is the *opening*: version, source, sequence. Then samples, gaps, the census and the clock
follow in the order they were taken. A frame that is cut off at the end of the file was never acknowledged and costs
nothing. One whose sum does not fit was spoilt later: reading goes on at the next mark, and what lay between the samples
before and after is a gap with the reason ``SpoolDamaged``.
"""

from __future__ import annotations

import base64
import binascii
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import IO, Any

import orjson

from keyless.billing.ledger.metered import metered_payload, metered_untrusted
from keyless.billing.ledger.model import (
    Census,
    ChainHead,
    ClockJump,
    ClockState,
    Described,
    Frame,
    Gap,
    Gvk,
    HeadSignature,
    Lost,
    Malformed,
    Member,
    Metered,
    Opening,
    Pause,
    Polled,
    Receipt,
    Sample,
    Source,
    Unknown,
    joined_pauses,
    moment_untrusted,
    stamp,
)

MAGIC = b"KLSPOOL2"
MAGIC_BEFORE = b"KLSPOOL1"
VERSION = 3
MARK = b"FRM1"
SPOOL_DAMAGED = "SpoolDamaged"
# A sample of 20,000 kinds is about 2 MiB: a larger length is a spoilt or foreign file, not a frame.
MAX_PAYLOAD = 16 * 2**20
_HEAD = struct.Struct(">4sII")
_HEAD_BEFORE = struct.Struct(">II")


def opening_frame(opening: Opening) -> bytes:
    """The start of a spool file: magic and opening frame."""
    source = opening.source
    payload = {
        "v": VERSION,
        "t": "open",
        "account": source.account,
        "controlPlane": member_document(source.control_plane),
        "collector": source.collector,
        "interval": source.interval_seconds,
        "sequence": opening.sequence,
        "since": _stamp(opening.since),
    }
    return MAGIC + _framed(payload)


def frame(content: Frame) -> bytes:
    """The bytes of a frame; kinds in order, so that the same counts are the same bytes."""
    match content:
        case Sample(at, counts, peaks, unknown):
            payload: dict[str, Any] = {"t": "sample", "at": stamp(at), "counts": _numbers(counts)}
            if peaks:
                payload["peaks"] = _numbers(peaks)
            if unknown:
                payload["unknown"] = [
                    [g.group, g.version, g.kind, stamp(why.since), why.reason] for g, why in sorted(unknown.items())
                ]
        case Gap(start, end, reason, kinds, detail):
            payload = {"t": "gap", "from": stamp(start), "to": stamp(end), "reason": reason, "detail": detail}
            payload["kinds"] = [[g.group, g.version, g.kind] for g in kinds]
        case Census(members, heads):
            payload = {"t": "census", "members": [member_document(m) for m in sorted(members)]}
            if heads:
                payload["heads"] = [head_document(head) for head in sorted(heads)]
        case ClockState(offset, jumps):
            payload = {
                "t": "clock",
                "offset": None if offset is None else offset.total_seconds(),
                "jumps": [[stamp(jump.at), jump.by.total_seconds()] for jump in jumps],
            }
        case Polled(kinds_polled, every_seconds):
            payload = {"t": "polled", "kinds": kinds_polled, "every": every_seconds}
        case Metered():
            payload = {"t": "metered", **metered_payload(content)}
        case Described(labels, plane):
            payload = {"t": "described", "labels": list(labels), "plane": dict(sorted(plane.items()))}
    return _framed(payload)


class Reader:
    """One spool file, read from its start. Raises ``Malformed`` where even the opening is not readable."""

    def __init__(self, file: IO[bytes]) -> None:
        self.damaged = 0
        """How many places were not readable so far."""
        self._file = file
        magic = file.read(len(MAGIC))
        if magic not in {MAGIC, MAGIC_BEFORE}:
            raise Malformed(f"expected a spool file that starts with {MAGIC.decode()}, found {magic!r}")
        self._payloads = self._marked() if magic == MAGIC else self._unmarked()
        first = next(self._payloads, None)
        if first is None:
            raise Malformed("expected an opening frame, found none that is whole")
        self.opening = _parsed(_opened, first)

    def frames(self) -> Iterator[Frame]:
        """What follows the opening, once."""
        last: datetime | None = None
        spoilt = False
        for payload in self._payloads:
            if payload is None:
                spoilt = True
                continue
            found = _parsed(_content, payload)
            if isinstance(found, Sample):
                if spoilt and (last or self.opening.since):
                    yield Gap(last or self.opening.since or found.at, found.at, SPOOL_DAMAGED)
                last, spoilt = found.at, False
            yield found

    def _marked(self) -> Iterator[Any]:
        """The payloads; None where something is not readable."""
        while head := self._file.read(_HEAD.size):
            if len(head) < _HEAD.size:
                return
            mark, length, crc = _HEAD.unpack(head)
            at = self._file.tell()
            body = self._file.read(length) if mark == MARK and length <= MAX_PAYLOAD else b""
            if mark == MARK and len(body) == length and zlib.crc32(body) == crc:
                yield orjson.loads(body)
                continue
            # Behind the damage, the next mark; without one the file was cut off here.
            self._file.seek(at - _HEAD.size + 1)
            if not self._seek_mark():
                return
            self.damaged += 1
            yield None

    def _seek_mark(self) -> bool:
        tail = b""
        while chunk := self._file.read(2**16):
            window = tail + chunk
            found = window.find(MARK)
            if found >= 0:
                self._file.seek(found - len(window), 1)
                return True
            tail = window[-(len(MARK) - 1) :]
        return False

    def _unmarked(self) -> Iterator[Any]:
        """Version 1: the first frame that is not readable ends the file."""
        while len(head := self._file.read(_HEAD_BEFORE.size)) == _HEAD_BEFORE.size:
            length, crc = _HEAD_BEFORE.unpack(head)
            body = self._file.read(length) if length <= MAX_PAYLOAD else b""
            if len(body) < length or zlib.crc32(body) != crc:
                return
            yield orjson.loads(body)


def member_document(member: Member) -> dict[str, Any]:
    """A census line as JSON; what is not known is left out."""
    document: dict[str, Any] = {
        "id": member.id,
        "group": member.group,
        "name": member.name,
        "hostNamespace": member.host_namespace,
        "createdAt": stamp(member.created_at),
    }
    if member.deleted_at is not None:
        document["deletedAt"] = stamp(member.deleted_at)
    if member.billed_from is not None:
        document["billedFrom"] = stamp(member.billed_from)
    if member.lost is not None:
        lost = member.lost
        document["lost"] = {"from": stamp(lost.start), "to": stamp(lost.end), "reason": lost.reason}
    if member.pauses:
        document["pauses"] = [_pause_document(pause) for pause in member.pauses]
    return document


def member_untrusted(document: Any) -> Member:
    """Read a census line; raises ``Malformed`` or ``KeyError``."""
    lost = document.get("lost")
    return Member(
        id=str(document["id"]),
        group=str(document["group"]),
        name=str(document["name"]),
        host_namespace=str(document["hostNamespace"]),
        created_at=moment_untrusted(document["createdAt"]),
        deleted_at=_moment(document.get("deletedAt")),
        billed_from=_moment(document.get("billedFrom")),
        lost=Lost(moment_untrusted(lost["from"]), moment_untrusted(lost["to"]), str(lost["reason"])) if lost else None,
        pauses=tuple(_pause_untrusted(pause) for pause in document.get("pauses", ())),
    )


def _pause_document(pause: Pause) -> dict[str, str]:
    return {"from": stamp(pause.start), **({"to": stamp(pause.end)} if pause.end is not None else {})}


def _pause_untrusted(document: Any) -> Pause:
    pause = Pause(moment_untrusted(document["from"]), _moment(document.get("to")))
    if pause.end is not None and pause.end < pause.start:
        raise Malformed("pauses: expected a pause that ends after it begins")
    return pause


def head_document(head: ChainHead) -> dict[str, Any]:
    """The end of a chain as JSON."""
    return {
        "controlPlane": head.control_plane,
        "spool": head.spool,
        "sequence": head.sequence,
        "sha256": head.sha256,
        "storedTo": stamp(head.stored_to),
    }


def head_untrusted(document: Any) -> ChainHead:
    """Read what :func:`head_document` wrote; raises ``Malformed``, or ``KeyError`` and the like."""
    plane, spool, sha256 = (document[name] for name in ("controlPlane", "spool", "sha256"))
    if not all(isinstance(each, str) for each in (plane, spool, sha256)):
        raise Malformed("heads: expected texts, found something else")
    return ChainHead(plane, spool, int(document["sequence"]), sha256, moment_untrusted(document["storedTo"]))


def receipt_document(receipt: Receipt) -> dict[str, Any]:
    """Who stored an object as JSON."""
    return {
        "key": receipt.key,
        "requestId": receipt.request_id,
        "session": receipt.session,
        "at": stamp(receipt.at),
    }


def receipt_untrusted(document: Any) -> Receipt:
    """Read what :func:`receipt_document` wrote; raises ``Malformed``, or ``KeyError`` and the like."""
    key, request_id, session = (document[name] for name in ("key", "requestId", "session"))
    if not all(isinstance(each, str) for each in (key, request_id, session)):
        raise Malformed("receipts: expected texts, found something else")
    return Receipt(key, request_id, session, moment_untrusted(document["at"]))


# Ed25519 makes 64 bytes, RSA with 4096 bits 512.
SIGNATURE_LIMIT = 1024


def signature_document(signature: HeadSignature) -> dict[str, str]:
    """As JSON."""
    encoded = base64.b64encode(signature.signature).decode()
    return {"algorithm": signature.algorithm, "key": signature.key, "signature": encoded}


def signature_untrusted(document: Any) -> HeadSignature:
    """Read it; raises ``Malformed``."""
    try:
        algorithm, key, encoded = (document[name] for name in ("algorithm", "key", "signature"))
        if not (isinstance(algorithm, str) and isinstance(key, str) and isinstance(encoded, str)):
            raise Malformed("expected a signature with algorithm, key and signature as texts")
        signature = base64.b64decode(encoded, validate=True)
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise Malformed(f"expected a signature of a manifest, found {type(error).__name__}") from None
    if len(signature) > SIGNATURE_LIMIT:
        raise Malformed(f"expected a signature of at most {SIGNATURE_LIMIT} bytes, found {len(signature)}")
    return HeadSignature(algorithm, key, signature)


def merged(census: Iterable[Member], later: Iterable[Member]) -> tuple[Member, ...]:
    """The union of two censuses. What the later one says counts, but that a member was deleted is never forgotten."""
    found = {member.id: member for member in census}
    for member in later:
        before = found.get(member.id, member)
        found[member.id] = replace(
            member,
            deleted_at=member.deleted_at or before.deleted_at,
            billed_from=member.billed_from or before.billed_from,
            lost=member.lost or before.lost,
            pauses=joined_pauses(before.pauses, member.pauses),
        )
    return tuple(sorted(found.values()))


def _framed(payload: dict[str, Any]) -> bytes:
    body = orjson.dumps(payload, option=orjson.OPT_SORT_KEYS)
    return _HEAD.pack(MARK, len(body), zlib.crc32(body)) + body


def _parsed(parse: Any, payload: Any) -> Any:
    try:
        return parse(payload)
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        if isinstance(error, Malformed):
            raise
        raise Malformed(f"expected a frame of version {VERSION}, found {type(error).__name__}: {error}") from None


def _opened(payload: Any) -> Opening:
    if payload["t"] != "open":
        raise Malformed(f"expected an opening frame first, found {payload['t']!r}")
    if int(payload["v"]) > VERSION:
        raise Malformed(f"expected spool version {VERSION} or older, found {payload['v']}: a newer collector wrote it")
    source = Source(
        account=str(payload["account"]),
        control_plane=member_untrusted(payload["controlPlane"]),
        collector=str(payload["collector"]),
        interval_seconds=int(payload["interval"]),
    )
    return Opening(source, int(payload["sequence"]), _moment(payload["since"]))


def _content(payload: Any) -> Frame:
    match payload["t"]:
        case "sample":
            unknown = {
                Gvk(str(g), str(v), str(k)): Unknown(moment_untrusted(since), str(reason))
                for g, v, k, since, reason in payload.get("unknown", ())
            }
            return Sample(
                moment_untrusted(payload["at"]),
                _numbered(payload["counts"]),
                _numbered(payload.get("peaks", ())),
                unknown,
            )
        case "gap":
            kinds = tuple(Gvk(str(g), str(v), str(k)) for g, v, k in payload.get("kinds", ()))
            start, end = moment_untrusted(payload["from"]), moment_untrusted(payload["to"])
            return Gap(start, end, str(payload["reason"]), kinds, str(payload.get("detail", "")))
        case "census":
            heads = tuple(head_untrusted(head) for head in payload.get("heads", ()))
            return Census(tuple(member_untrusted(m) for m in payload["members"]), heads)
        case "clock":
            offset = payload["offset"]
            jumps = tuple(ClockJump(moment_untrusted(at), timedelta(seconds=float(by))) for at, by in payload["jumps"])
            return ClockState(None if offset is None else timedelta(seconds=float(offset)), jumps)
        case "polled":
            return Polled(int(payload["kinds"]), int(payload["every"]))
        case "metered":
            return metered_untrusted(payload)
        case "described":
            return Described(
                tuple(str(key) for key in payload["labels"]),
                {str(key): str(value) for key, value in payload["plane"].items()},
            )
        case other:
            raise Malformed(f"expected a frame of a known type, found {other!r}")


def _numbers(counts: Any) -> list[list[Any]]:
    return [[g.group, g.version, g.kind, n] for g, n in sorted(counts.items())]


def _numbered(counts: Any) -> dict[Gvk, int]:
    return {Gvk(str(g), str(v), str(k)): int(n) for g, v, k, n in counts}


def _stamp(moment: datetime | None) -> str | None:
    return None if moment is None else stamp(moment)


def _moment(text: Any) -> datetime | None:
    return None if text is None else moment_untrusted(text)
