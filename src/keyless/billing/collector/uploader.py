"""Carries closed segments to the bucket: the usage object, then its manifest, then the spool forgets them.

Stopped after any step it starts over with the same bytes under the same keys. It retries for ever, for what is wrong is
mended outside (a policy, an association), and says what is wrong in the condition ``BillingStored``.
"""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta

import structlog

from keyless.api import KeylessError, Transient
from keyless.billing.collector.plan import retry_after
from keyless.billing.collector.ports import Host, ObjectStore
from keyless.billing.collector.spool import Spool
from keyless.billing.ledger.objects import CONTENT_TYPE, count_events, manifest, usage_object

_log = structlog.get_logger("keyless.vector.uploader")
STORED = "UsageStored"
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9]*")
MESSAGE_LIMIT = 1000


class Uploader:
    """One spool's way into one bucket."""

    def __init__(self, spool: Spool, store: ObjectStore, host: Host, *, bucket: str) -> None:
        self.segments_stored = 0
        self.last_failure = ""
        self._spool = spool
        self._store = store
        self._host = host
        self._bucket = bucket
        self._failures = 0

    async def run(self, closed: asyncio.Event) -> None:
        """Upload whatever waits, and again whenever ``closed`` is set, until cancelled."""
        while True:
            closed.clear()
            pause = await self.upload_waiting()
            if pause is None:
                await closed.wait()
                continue
            await asyncio.sleep(pause.total_seconds())

    async def upload_waiting(self) -> timedelta | None:
        """Upload all waiting segments; after a failure, how long to wait before the next try."""
        for sequence in self._spool.waiting():
            try:
                await self._upload(sequence)
            except KeylessError as error:
                return await self._failed(error)
            self._failures = 0
            self.last_failure = ""
        return None

    async def _upload(self, sequence: int) -> None:
        segment = self._spool.read(sequence)
        if segment is None:
            _log.warning("segment held nothing readable", sequence=sequence)
            return
        usage = usage_object(segment)
        await self._store.put_new(usage.key, usage.body, CONTENT_TYPE)
        # Read here, not when the segment was opened: by now the manifest before it is acknowledged.
        previous = self._spool.head.previous_manifest_sha256
        record = manifest(segment, usage, events=count_events(segment), previous=previous)
        await self._store.put_new(record.key, record.body, "application/json")
        self._spool.drop(sequence, record.sha256)
        self.segments_stored += 1
        _log.info("usage stored", key=usage.key, samples=len(segment.samples))
        arn = await self._store.identity()
        await self._host.report(stored=True, reason=STORED, message=f"usage is stored in s3://{self._bucket} as {arn}")

    async def _failed(self, error: KeylessError) -> timedelta:
        self._failures += 1
        self.last_failure = str(error)
        pause = retry_after(self._failures, error.retry_after_seconds if isinstance(error, Transient) else None)
        _log.warning("usage not stored", error=str(error), waiting=len(self._spool.waiting()))
        try:
            await self._host.report(
                stored=False,
                reason=_reason(error),
                message=f"{str(error)[:MESSAGE_LIMIT]}; usage is kept and tried again",
            )
        except KeylessError as silent:
            _log.warning("condition not written", error=str(silent))
        return pause


def _reason(error: KeylessError) -> str:
    """AWS's own code where there is one, else the kind of failure; a condition's reason is one CamelCase word."""
    code = str(getattr(error, "code", "") or "")
    return code if _WORD.fullmatch(code) else type(error).__name__
