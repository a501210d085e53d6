"""What really happened, in a log that the collector does not write, and what its bucket says of it."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from keyless.billing.export.verifying import Check, verify
from keyless.billing.ledger.aggregate import rows
from keyless.billing.ledger.integrity import NOT_IN_MANIFEST
from keyless.billing.ledger.model import Gvk
from unit.billing.bucket import MemoryBucket
from unit.billing.samples import CTP1

HOUR = timedelta(hours=1)


def hour_of(moment):
    return moment.replace(minute=0, second=0, microsecond=0)


def time_of(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


@dataclass
class Truth:
    """Every creation (+1) and deletion (-1), at true time."""

    changes: list[tuple[datetime, Gvk, int]] = field(default_factory=list)

    def note(self, at, gvk, by):
        self.changes.append((at, gvk, by))

    def kinds(self):
        return {gvk for _, gvk, _ in self.changes}

    def most(self, gvk, start, end, *, blind=()):
        """The largest number within [start, end), looked at everywhere but in the ``blind`` intervals."""
        steps = [(start, sum(by for at, kind, by in self.changes if kind == gvk and at <= start))]
        for at, kind, by in sorted(self.changes, key=lambda change: change[0]):
            if kind == gvk and start < at < end:
                steps.append((at, steps[-1][1] + by))
        until = [at for at, _ in steps[1:]] + [end]
        seen = [
            number
            for (at, number), next_at in zip(steps, until, strict=True)
            if not any(a <= at and next_at <= b for a, b in blind)
        ]
        return max(seen, default=0)


@dataclass
class Account:
    """Events in, and where they are."""

    fault: str = ""
    events: int = 0
    stored: int = 0
    in_gaps: int = 0
    unexplained: int = 0
    gaps: list[tuple[str, float]] = field(default_factory=list)
    hours_right: int = 0
    hours_bounded: int = 0
    wrong: list[str] = field(default_factory=list)

    def row(self):
        reasons = sorted({reason for reason, _ in self.gaps})
        return (self.fault, self.events, self.stored, self.in_gaps, ", ".join(reasons))


def manifests_of(bucket):
    return [json.loads(body) for key, body in sorted(bucket.items()) if key.startswith("manifest/account=")]


def account(truth: Truth, bucket: dict[str, bytes], end: datetime, fault: str = "") -> Account:
    """Lay the truth beside the bucket."""
    documents = manifests_of(bucket)
    result = Account(fault)
    slack = timedelta(seconds=45)
    for at, gvk, _ in truth.changes:
        if at >= end:
            continue
        result.events += 1
        gaps = _gaps(documents, gvk)
        if any(a <= at <= b for a, b in gaps):
            result.in_gaps += 1
        elif _covered(documents, at, slack):
            result.stored += 1
        else:
            result.unexplained += 1
    result.gaps = [
        (gap["reason"], (time_of(gap["to"]) - time_of(gap["from"])).total_seconds())
        for document in documents
        for gap in document["gaps"]
    ]
    _compare(truth, bucket, documents, end, result)
    _check_chain(bucket, documents, result)
    _check_meters(bucket, documents, result)
    # Whatever befell an honest collector, the bucket that it leaves is not called tampered with.
    faults = verify(MemoryBucket(dict(bucket)), Check("acme"), now=end).faults
    result.wrong += [f"{f.key}: {f.reason}: {f.detail}" for f in faults if f.reason != NOT_IN_MANIFEST]
    return result


def _gaps(documents, gvk):
    named = {"group": gvk.group, "version": gvk.version, "kind": gvk.kind}
    every = {"group": "apiextensions.k8s.io", "version": "v1", "kind": "CustomResourceDefinition"}
    found = [
        (time_of(gap["from"]), time_of(gap["to"]))
        for document in documents
        for gap in document["gaps"]
        if not gap["kinds"] or named in gap["kinds"] or every in gap["kinds"]
    ]
    lost = [
        (time_of(member["lost"]["from"]), time_of(member["lost"]["to"]))
        for document in documents
        for member in document["census"]
        if "lost" in member
    ]
    return found + lost


def _covered(documents, at, slack):
    return any(time_of(d["from"]) - slack <= at <= time_of(d["to"]) for d in documents)


def _compare(truth, bucket, documents, end, result):
    """Each kind's largest number in each hour: exact where there is no gap, between bounds where there is one."""
    if not truth.changes:
        return
    hour = hour_of(min(at for at, _, _ in truth.changes))
    while hour + HOUR <= end:
        prefix = f"account=acme/date={hour:%Y-%m-%d}/hour={hour:%H}/"
        objects = [(key, body) for key, body in bucket.items() if key.startswith(prefix)]
        told = {row.gvk: row.value for row in rows(hour, hour + HOUR, objects)}
        for gvk in truth.kinds():
            blind = [(a, b) for a, b in _gaps(documents, gvk) if a < hour + HOUR and b > hour]
            # Two samples within the slack bound what lies between; nobody claims more of it.
            most, least = truth.most(gvk, hour, hour + HOUR), truth.most(gvk, hour, hour + HOUR, blind=blind)
            found = told.get(gvk, 0)
            if not blind and found == most:
                result.hours_right += 1
            elif blind and least <= found <= most:
                result.hours_bounded += 1
            else:
                result.wrong.append(f"{gvk.kind} {hour:%H}h: {found}, truth {least}..{most}, gaps {len(blind)}")
        hour += HOUR


def _check_chain(bucket, documents, result):
    """Numbers are gapless or explained, each manifest names the one before, every object is what it says."""
    spools: dict[str, list[dict]] = {}
    for document in documents:
        spools.setdefault(document["spool"], []).append(document)
    hashes = {hashlib.sha256(body).hexdigest() for key, body in bucket.items() if key.startswith("manifest/account=")}
    for spool, members in spools.items():
        numbers = sorted(d["sequence"] for d in members)
        skipped = {s["sequence"] for d in members for s in d["skipped"]}
        if len(set(numbers)) != len(numbers):
            result.wrong.append(f"spool {spool}: two manifests of one number: {numbers}")
        missing = set(range(numbers[0], numbers[-1] + 1)) - set(numbers) - skipped
        if missing:
            result.wrong.append(f"spool {spool}: numbers without a word: {sorted(missing)}")
        for document in members:
            previous = document["previousManifestSha256"]
            if document["chain"] == "Continued" and previous not in hashes:
                result.wrong.append(f"number {document['sequence']} follows a manifest that is not there")
    for document in documents:
        beside = [each for each in document.get("meters", []) if "gzip" not in each]
        for each in document["objects"] + beside:
            if hashlib.sha256(bucket.get(each["key"], b"")).hexdigest() != each["sha256"]:
                result.wrong.append(f"{each['key']} is not what its manifest says")
        if sum(1 for d in documents if d["objects"] == document["objects"]) > 1:
            result.wrong.append(f"{document['objects'][0]['key']} is committed twice")


def receipts_of(bucket):
    """Which request stored a key, as manifests tell it."""
    told = [
        receipt
        for document in manifests_of(bucket)
        for receipt in [*document["receipts"], *([document["previousReceipt"]] if document["previousReceipt"] else [])]
    ]
    return {receipt["key"]: receipt["requestId"] for receipt in told}


def wrong_receipts(bucket, requests):
    """A request that a manifest names is the one that stored the object, whatever happened in between."""
    return [
        f"{k}: stored by {requests.get(k)}, told {r}" for k, r in receipts_of(bucket).items() if requests.get(k) != r
    ]


def _check_meters(bucket, documents, result):
    """Whatever happened: the combinations of a kind add up to what the events of their segment say."""
    for document in documents:
        if document["controlPlane"]["id"] != CTP1.id:
            # A neighbour's, made by hand.
            continue
        [usage], [meter] = document["objects"], document["meters"]
        largest, told = {}, {}
        for event in json.loads(gzip.decompress(bucket[usage["key"]])):
            kind = event["tags"]["customresource_kind"]
            largest[kind] = max(largest.get(kind, 0), int(event["value"]))
        body = base64.b64decode(meter["gzip"]) if "gzip" in meter else bucket[meter["key"]]
        found = json.loads(gzip.decompress(body))
        for row in found["rows"]:
            named = dict(zip(found["columns"], row, strict=True))
            told[named["kind"]] = told.get(named["kind"], 0) + named["atPeak"]
        if told != {kind: value for kind, value in largest.items() if value}:
            result.wrong.append(f"number {document['sequence']}: {told} by dimensions, {largest} by events")
