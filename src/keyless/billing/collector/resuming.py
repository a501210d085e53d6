"""Where an earlier pod's chain ended, for a spool that began empty: without a volume each pod has a new one.

The role need not allow it (``s3:ListBucket``, ``s3:GetObject``): then the manifest says that the chain is unknown.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import datetime

import structlog

from keyless.api import KeylessError
from keyless.billing.collector.ports import ObjectStore
from keyless.billing.collector.settings import Settings
from keyless.billing.collector.spool import Spool
from keyless.billing.ledger.model import HOUR, HeadSignature, hour_of, moment_untrusted
from keyless.billing.ledger.objects import manifest_prefix

_log = structlog.get_logger("keyless.vector")
HOURS = 24
"""How far back a head is looked for: one request an hour, where there is nothing."""


async def resume(
    spool: Spool,
    store: ObjectStore,
    settings: Settings,
    now: datetime,
    *,
    billed_before: bool,
    signature: Callable[[str], HeadSignature | None] = lambda _: None,
) -> None:
    """Continue the chain of an earlier pod in a fresh spool; a control plane that was never billed begins one.

    ``signature`` is what that pod told of its last manifest's, by the SHA-256.
    """
    if not spool.fresh or not billed_before:
        return
    spool.continue_from_unknown()
    prefixes = [
        f"{manifest_prefix(settings.account, hour_of(now) - n * HOUR)}{settings.host_namespace}-" for n in range(HOURS)
    ]
    try:
        found = await store.last(prefixes)
    except KeylessError as error:
        _log.info("the head of an earlier pod's chain is not known", error=str(error))
        return
    if found is None:
        return
    key, body = found
    try:
        document = json.loads(body)
        sequence, last = int(document["sequence"]) + 1, moment_untrusted(document["to"])
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
        _log.warning("not a manifest of ours", key=key, error=str(error))
        return
    head = hashlib.sha256(body).hexdigest()
    spool.continue_from(sequence, head, last, signature(head))
