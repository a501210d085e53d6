"""``head.json``: what outlives the segments of a spool."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from datetime import datetime

from keyless.api import Permanent
from keyless.billing.ledger.capacity_used import Used, used_document, used_untrusted
from keyless.billing.ledger.frames import receipt_document, receipt_untrusted, signature_document, signature_untrusted
from keyless.billing.ledger.model import Chain, HeadSignature, Malformed, Receipt, Skipped, moment_untrusted, stamp

VERSION = 2


@dataclass(frozen=True, slots=True)
class Head:
    """``sequence`` is the next number; ``committed`` the last one whose manifest was acknowledged."""

    spool: str = field(default_factory=lambda: uuid.uuid4().hex)
    sequence: int = 0
    committed: int = -1
    chain: Chain = Chain.FIRST
    previous: str = ""
    stored_to: datetime | None = None
    """The end of the last segment that was committed."""
    last_sample: datetime | None = None
    skipped: tuple[Skipped, ...] = ()
    receipts: tuple[Receipt, ...] = ()
    """Of objects whose manifest is not acknowledged yet."""
    manifest_receipt: Receipt | None = None
    """Of the last manifest."""
    manifest_signature: HeadSignature | None = None
    """Of the last manifest; None where nobody signs, or the key was away."""
    used: Used | None = None
    """Of a capacity, up to ``stored_to``."""


def written(head: Head) -> bytes:
    """The file's bytes."""
    document = {
        "version": VERSION,
        "spool": head.spool,
        "sequence": head.sequence,
        "committed": head.committed,
        "chain": head.chain.value,
        "previousManifestSha256": head.previous,
        "storedTo": stamp(head.stored_to) if head.stored_to else None,
        "lastSample": stamp(head.last_sample) if head.last_sample else None,
        "skipped": [[each.sequence, each.reason] for each in head.skipped],
        "receipts": [receipt_document(each) for each in head.receipts],
        "manifestReceipt": receipt_document(head.manifest_receipt) if head.manifest_receipt else None,
        "manifestSignature": signature_document(head.manifest_signature) if head.manifest_signature else None,
        "used": used_document(head.used) if head.used else None,
    }
    return json.dumps(document).encode()


def read_untrusted(name: str, data: bytes) -> Head:
    """Read it; raises ``Malformed``, and ``Permanent`` where a newer collector wrote it."""
    try:
        document = json.loads(data)
        version = int(document["version"])
        if version > VERSION:
            raise Permanent(
                f"{name}: expected version {VERSION} or older, found {version}: "
                "a newer collector wrote it; run that version, or give this one an empty folder"
            )
        previous = str(document["previousManifestSha256"])
        last = moment_untrusted(document["lastSample"]) if document["lastSample"] else None
        sequence = int(document["sequence"])
        if version == 1:
            chain = Chain.CONTINUED if previous else Chain.FIRST
            return Head(sequence=sequence, chain=chain, previous=previous, last_sample=last)
        return Head(
            spool=str(document["spool"]),
            sequence=sequence,
            committed=int(document["committed"]),
            chain=Chain(document["chain"]),
            previous=previous,
            stored_to=moment_untrusted(document["storedTo"]) if document["storedTo"] else None,
            last_sample=last,
            skipped=tuple(Skipped(int(number), str(reason)) for number, reason in document["skipped"]),
            receipts=tuple(receipt_untrusted(each) for each in document.get("receipts", ())),
            manifest_receipt=receipt_untrusted(found) if (found := document.get("manifestReceipt")) else None,
            manifest_signature=signature_untrusted(of) if (of := document.get("manifestSignature")) else None,
            used=used_untrusted(told) if (told := document.get("used")) else None,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Malformed(f"{name}: expected a spool's head, found {type(error).__name__}") from None
