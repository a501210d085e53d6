"""What a segment becomes in the bucket: a usage object in the peer's contract, a meter object, then one manifest.

The same segment always gives the same bytes under the same keys, so an upload that is repeated after a crash finds
its own object there (412) and is done. The usage object is a gzipped JSON **array** of the peer's events with
``Content-Type: application/gzip`` and no ``Content-Encoding``: what readers with both AWS SDKs for Go accept. The
manifest is the commit record: usage without a manifest was not acknowledged. Manifests and meter objects live outside
``account=``, where the peer reads every object as events. Fields: ``docs/reference/facts/billing-formats.md``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from keyless.billing.ledger.frames import head_document, member_document, merged, receipt_document, signature_document
from keyless.billing.ledger.meter_file import METER_PREFIX, meter_document, used_of
from keyless.billing.ledger.meters import Meters
from keyless.billing.ledger.model import (
    Census,
    ChainHead,
    ClockState,
    Described,
    Frame,
    Gap,
    Gvk,
    Link,
    Member,
    Metered,
    Opening,
    Polled,
    Sample,
    hour_of,
    stamp,
)
from keyless.billing.ledger.runs import Run, Runs

EVENT_NAME = "kube_managedresource_uid"
CONTENT_TYPE = "application/gzip"
MANIFEST_VERSION = 3
INSIDE_LIMIT = 128 * 2**10
"""A meter object of at most so many bytes is stored within its manifest: a PUT less for each segment.

With it and the census of a thousand control planes a manifest is still read over the quick connections.
"""
DIGEST_DIGITS = 16
"""How many hexadecimal digits of its SHA-256 an object's name ends in."""
# No name, no time, operating system "unknown": the same events are the same bytes.
_GZIP_HEAD = bytes.fromhex("1f8b08000000000002ff")


@dataclass(frozen=True, slots=True)
class StoredObject:
    """A key and the bytes that belong there."""

    key: str
    body: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.body).hexdigest()


@dataclass(frozen=True, slots=True)
class Packed:
    """A segment as it is stored: its objects, and what its manifest says of it.

    ``meter`` is None for a segment that was recorded without dimensions.
    """

    opening: Opening
    usage: StoredObject
    events: int
    runs: Runs
    gaps: tuple[Gap, ...]
    census: tuple[Member, ...]
    clock: ClockState
    polled: Polled | None
    heads: tuple[ChainHead, ...] = ()
    meter: StoredObject | None = None
    combinations: int = 0
    inside: bool = False
    """Whether the meter object is stored within the manifest."""
    resource_milliseconds: int = 0
    """Of a capacity that was bought, as ``operations``: what was made of them."""
    operations: int = 0

    @property
    def objects(self) -> tuple[StoredObject, ...]:
        """What is stored before the manifest."""
        beside = self.meter is not None and not self.inside
        return (self.usage, self.meter) if beside and self.meter is not None else (self.usage,)


def hour_prefix(account: str, hour: datetime) -> str:
    """``account=A/date=D/hour=HH/``: where the peer looks for the events of one hour."""
    return _hour_prefix(account, hour_of(hour))


@lru_cache(maxsize=256)
def _hour_prefix(account: str, start: datetime) -> str:
    # A month of a hundred control planes asks a hundred times for each.
    return f"account={account}/date={start:%Y-%m-%d}/hour={start:%H}/"


def manifest_prefix(account: str, hour: datetime) -> str:
    """Where the manifests of one hour are."""
    return "manifest/" + hour_prefix(account, hour)


def name_stem(account: str, hour: datetime, host_namespace: str, sequence: int) -> str:
    """The key of a segment's objects up to the hash: the same for usage and, below ``manifest/``, for the manifest."""
    # The host namespace stands first, so that a policy can narrow a collector to its own objects.
    return f"{hour_prefix(account, hour)}{host_namespace}-{sequence:010d}-"


def pack(opening: Opening, frames: Iterable[Frame], *, inside: int = INSIDE_LIMIT) -> Packed | None:
    """Go through a segment once; None where it holds no sample. Raises ``Malformed``.

    A meter object of at most ``inside`` bytes goes into the manifest.

    Only what is compressed already is held: an hour of 200 changing kinds is some megabytes, not a thousand. An hour
    without managed resources is an empty array, for zero is data.
    """
    runs = Runs(opening.since, timedelta(seconds=opening.source.interval_seconds))
    packed, meters = _Array(), Meters()
    gaps: list[Gap] = []
    census: tuple[Member, ...] = ()
    heads: tuple[ChainHead, ...] = ()
    clock, polled = ClockState(), None
    for frame in frames:
        match frame:
            case Sample():
                for run in runs.add(frame):
                    packed.add(_event(opening, run))
                meters.sample(frame, runs.start)
            case Metered():
                meters.metered(frame)
            case Described():
                meters.described = frame
            case Gap():
                gaps.append(frame)
            case Census(members, told):
                census, heads = merged(census, members), told or heads
            case ClockState():
                clock = ClockState(frame.offset, (*clock.jumps, *frame.jumps))
            case Polled():
                polled = frame
    if not runs.samples:
        return None
    for run in runs.finish():
        packed.add(_event(opening, run))
    body = packed.finish()
    usage = StoredObject(_key(opening, runs.hour, body, ".json.gz"), body)
    made = Packed(opening, usage, packed.events, runs, (*gaps, *runs.gaps), census, clock, polled, heads)
    if not meters.any:
        return made
    document, combinations = meter_document(opening, runs, meters)
    body = gzipped(canonical(document))
    key = METER_PREFIX + _key(opening, runs.hour, body, ".json.gz")
    used, operations = used_of(document)
    return replace(
        made,
        meter=StoredObject(key, body),
        combinations=combinations,
        inside=len(body) <= inside,
        resource_milliseconds=used,
        operations=operations,
    )


def gzipped(data: bytes) -> bytes:
    """The same bytes are the same bytes: no name, no time."""
    packer = zlib.compressobj(level=6, wbits=-zlib.MAX_WBITS)
    tail = zlib.crc32(data).to_bytes(4, "little") + (len(data) & 0xFFFFFFFF).to_bytes(4, "little")
    return b"".join((_GZIP_HEAD, packer.compress(data), packer.flush(), tail))


def manifest(packed: Packed, link: Link) -> StoredObject:
    """The commit record: what it covers, what is missing, who else was there, what came before."""
    opening, runs, usage, meter = packed.opening, packed.runs, packed.usage, packed.meter
    source = opening.source
    body = canonical(
        {
            "version": MANIFEST_VERSION,
            "account": source.account,
            "controlPlane": member_document(source.control_plane),
            "collector": source.collector,
            "spool": link.spool,
            "sequence": opening.sequence,
            "chain": link.chain.value,
            "previousManifestSha256": link.previous,
            "skipped": [{"sequence": s.sequence, "reason": s.reason} for s in link.skipped],
            "hour": stamp(runs.hour),
            "from": stamp(runs.start),
            "to": stamp(runs.end),
            "intervalSeconds": source.interval_seconds,
            "samples": runs.samples,
            "intervals": runs.intervals,
            "intervalsSampled": runs.intervals_sampled,
            "longestMs": _milliseconds(runs.longest),
            "clock": _clock(packed.clock),
            "polled": None
            if packed.polled is None
            else {"kinds": packed.polled.kinds, "everySeconds": packed.polled.every_seconds},
            "gaps": [gap_document(gap) for gap in packed.gaps],
            "objects": [{**_named(usage), "events": packed.events}],
            # Only where there is one: what was recorded without dimensions is stored as it was before.
            **({"meters": [{**_placed(meter, packed.inside), "rows": packed.combinations}]} if meter else {}),
            "census": [member_document(m) for m in packed.census],
            "heads": [head_document(head) for head in packed.heads],
            # An answer that was lost leaves none: the same segment must give the same bytes however often it is stored.
            "receipts": [receipt_document(each) for each in link.receipts],
            "previousReceipt": receipt_document(link.previous_receipt) if link.previous_receipt else None,
            # Only where it was signed: what nobody signs is stored as it was before.
            **({"previousSignature": signature_document(link.previous_signature)} if link.previous_signature else {}),
        }
    )
    return StoredObject("manifest/" + _key(opening, runs.hour, body, ".json"), body)


def _placed(meter: StoredObject, inside: bool) -> dict[str, Any]:
    return {"gzip": base64.b64encode(meter.body).decode()} if inside else _named(meter)


def _named(stored: StoredObject) -> dict[str, Any]:
    return {"key": stored.key, "sha256": stored.sha256, "bytes": len(stored.body)}


def gap_document(gap: Gap) -> dict[str, Any]:
    """A gap as JSON; ``kinds`` is empty where nothing at all was measured."""
    return {
        "from": stamp(gap.start),
        "to": stamp(gap.end),
        "reason": gap.reason,
        "kinds": [_kind(gvk) for gvk in gap.kinds],
        "detail": gap.detail,
    }


def canonical(document: Any) -> bytes:
    """JSON without spaces, keys in the order given, text as UTF-8."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def _kind(gvk: Gvk) -> dict[str, str]:
    return {"group": gvk.group, "version": gvk.version, "kind": gvk.kind}


def _clock(clock: ClockState) -> dict[str, Any]:
    return {
        "offsetMs": None if clock.offset is None else _milliseconds(clock.offset),
        "jumps": [{"at": stamp(jump.at), "ms": _milliseconds(jump.by)} for jump in clock.jumps],
    }


def _milliseconds(span: timedelta) -> int:
    return round(span / timedelta(milliseconds=1))


def _event(opening: Opening, run: Run) -> dict[str, Any]:
    return {
        "kind": "absolute",
        "name": EVENT_NAME,
        "tags": {
            "customresource_group": run.gvk.group,
            "customresource_version": run.gvk.version,
            "customresource_kind": run.gvk.kind,
            "upbound_account": opening.source.account,
            "mxp_id": opening.source.control_plane.id,
        },
        "timestamp": stamp(run.start),
        "timestamp_end": stamp(run.end),
        "value": float(run.value),
    }


def _key(opening: Opening, hour: datetime, body: bytes, suffix: str) -> str:
    source = opening.source
    stem = name_stem(source.account, hour, source.control_plane.host_namespace, opening.sequence)
    return stem + hashlib.sha256(body).hexdigest()[:DIGEST_DIGITS] + suffix


class _Array:
    """A gzipped JSON array that grows by one event at a time."""

    def __init__(self) -> None:
        self.events = 0
        self._packer = zlib.compressobj(level=6, wbits=-zlib.MAX_WBITS)
        self._crc = self._size = 0
        self._out = [_GZIP_HEAD]

    def add(self, event: dict[str, Any]) -> None:
        self._write((b"," if self.events else b"[") + canonical(event))
        self.events += 1

    def finish(self) -> bytes:
        self._write(b"]" if self.events else b"[]")
        tail = self._crc.to_bytes(4, "little") + (self._size & 0xFFFFFFFF).to_bytes(4, "little")
        return b"".join((*self._out, self._packer.flush(), tail))

    def _write(self, data: bytes) -> None:
        self._crc, self._size = zlib.crc32(data, self._crc), self._size + len(data)
        if packed := self._packer.compress(data):
            self._out.append(packed)
