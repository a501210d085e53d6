"""What a segment becomes in the bucket: one usage object in the peer's contract, then one manifest.

The same segment always gives the same bytes under the same keys, so an upload that is repeated after a crash finds
its own object there (412) and is done. The usage object is a gzipped JSON **array** of the peer's events with
``Content-Type: application/gzip`` and no ``Content-Encoding``: what readers with both AWS SDKs for Go accept. The
manifest is the commit record: usage without a manifest was not acknowledged. Manifests live outside ``account=``, where
the peer reads every object as events.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from keyless.billing.ledger.frames import member_document
from keyless.billing.ledger.model import Gvk, Segment, hour_of, stamp

EVENT_NAME = "kube_managedresource_uid"
CONTENT_TYPE = "application/gzip"
MANIFEST_VERSION = 1


@dataclass(frozen=True, slots=True)
class StoredObject:
    """A key and the bytes that belong there."""

    key: str
    body: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.body).hexdigest()


def hour_prefix(account: str, hour: datetime) -> str:
    """``account=A/date=D/hour=HH/``: where the peer looks for the events of one hour."""
    start = hour_of(hour)
    return f"account={account}/date={start:%Y-%m-%d}/hour={start:%H}/"


def manifest_prefix(account: str, hour: datetime) -> str:
    """Where the manifests of one hour are."""
    return "manifest/" + hour_prefix(account, hour)


def usage_object(segment: Segment) -> StoredObject:
    """The segment's events; an hour without managed resources is an empty array, for zero is data."""
    events = list(_events(segment))
    body = _gzip(_canonical(events))
    return StoredObject(hour_prefix(segment.source.account, segment.hour) + _name(segment, body, ".json.gz"), body)


def manifest(segment: Segment, usage: StoredObject, *, events: int, previous: str) -> StoredObject:
    """The commit record of ``usage``: what it covers, what is missing, who else was there, what came before.

    ``previous`` is the SHA-256 of this collector's manifest before this one: the links of a chain.
    """
    source = segment.source
    body = _canonical(
        {
            "version": MANIFEST_VERSION,
            "account": source.account,
            "controlPlane": member_document(source.control_plane),
            "collector": source.collector,
            "sequence": segment.sequence,
            "previousManifestSha256": previous,
            "hour": stamp(segment.hour),
            "from": stamp(segment.start),
            "to": stamp(segment.end),
            "intervalSeconds": source.interval_seconds,
            "samples": len(segment.samples),
            "gaps": [{"from": stamp(g.start), "to": stamp(g.end), "reason": g.reason} for g in segment.gaps],
            "objects": [{"key": usage.key, "sha256": usage.sha256, "bytes": len(usage.body), "events": events}],
            "census": [member_document(m) for m in segment.census],
        }
    )
    return StoredObject(manifest_prefix(source.account, segment.hour) + _name(segment, body, ".json"), body)


def count_events(segment: Segment) -> int:
    """How many events the usage object holds."""
    return sum(1 for _ in _events(segment))


def _events(segment: Segment) -> Iterator[dict[str, Any]]:
    """One event for each stretch of samples in which a kind's count stayed the same, zero included."""
    kinds = sorted({gvk for sample in segment.samples for gvk in sample.counts})
    for gvk in kinds:
        start, value = segment.samples[0].at, segment.samples[0].counts.get(gvk, 0)
        for sample in segment.samples[1:]:
            found = sample.counts.get(gvk, 0)
            if found != value:
                yield _event(segment, gvk, (start, sample.at), value)
                start, value = sample.at, found
        yield _event(segment, gvk, (start, segment.end), value)


def _event(segment: Segment, gvk: Gvk, interval: tuple[datetime, datetime], value: int) -> dict[str, Any]:
    return {
        "kind": "absolute",
        "name": EVENT_NAME,
        "tags": {
            "customresource_group": gvk.group,
            "customresource_version": gvk.version,
            "customresource_kind": gvk.kind,
            "upbound_account": segment.source.account,
            "mxp_id": segment.source.control_plane.id,
        },
        "timestamp": stamp(interval[0]),
        "timestamp_end": stamp(interval[1]),
        "value": float(value),
    }


def _name(segment: Segment, body: bytes, suffix: str) -> str:
    # The host namespace stands first, so that a policy can narrow a collector to its own objects.
    digest = hashlib.sha256(body).hexdigest()[:16]
    return f"{segment.source.control_plane.host_namespace}-{segment.sequence:010d}-{digest}{suffix}"


def _canonical(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def _gzip(data: bytes) -> bytes:
    out = io.BytesIO()
    # mtime 0 and no file name: the same events are the same bytes.
    with gzip.GzipFile(fileobj=out, mode="wb", mtime=0, filename="") as packed:
        packed.write(data)
    return out.getvalue()
