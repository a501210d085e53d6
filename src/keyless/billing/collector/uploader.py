"""Carries closed segments to the bucket: usage and meter object, then their manifest, then the spool forgets them.

Stopped after any step it starts over with the same bytes under the same keys. It retries for ever, for what is wrong is
mended outside (a policy, an association, a disk), and says what is wrong in the condition ``BillingStored``, at every
attempt and with its time. Who it was that stored is told in a step of its own: it may fail, the usage is stored.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from keyless.api import KeylessError, Transient
from keyless.api.words import counted
from keyless.billing.collector.host import STORED, not_stored
from keyless.billing.collector.plan import retry_after
from keyless.billing.collector.ports import HeadSigner, Host, ObjectStore, Said
from keyless.billing.collector.spool import Spool
from keyless.billing.ledger.capacity_used import Used, added
from keyless.billing.ledger.model import ChainHead, HeadSignature, Receipt, stamp
from keyless.billing.ledger.objects import CONTENT_TYPE, Packed, StoredObject, manifest

_log = structlog.get_logger("keyless.vector.uploader")
USAGE_STORED = "UsageStored"
NOT_SIGNED = "UsageStoredNotSigned"
SPOOL_BROKEN = "SpoolBroken"
_WORD = re.compile(r"[A-Za-z]([A-Za-z0-9]|[A-Za-z0-9_,:]*[A-Za-z0-9_])?")
MESSAGE_LIMIT = 4000
ATTEMPT_SECONDS = 120.0
"""Longer than the SDK's own retries take together: an attempt that hangs on anything else ends as a failure."""
WHO_SECONDS = 10.0
SIGN_SECONDS = 10.0


class Uploader:
    """One spool's way into one bucket."""

    def __init__(
        self,
        spool: Spool,
        store: ObjectStore,
        host: Host,
        *,
        bucket: str,
        now: Callable[[], datetime],
        capacity_from: str = "",
        signer: HeadSigner | None = None,
    ) -> None:
        self._signer = signer
        self._unsigned = ""
        """Why the key did not sign in this round of uploads."""
        self._capacity_from = capacity_from
        self.segments_stored = 0
        self.failures = 0
        """In all."""
        self.last_failure = ""
        self.stored_to: datetime | None = None
        self.waiting_since: datetime | None = None
        """Where the oldest usage that waits begins."""
        self._spool = spool
        self._store = store
        self._host = host
        self._bucket = bucket
        self._now = now
        self._in_a_row = 0
        self._upload_lock = asyncio.Lock()
        self._range: tuple[datetime, datetime] | None = None
        self._session = self._silent = ""
        """The ARN of the session that writes in this round of uploads, or why STS did not say it."""

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
        # A segment is one upload at a time: the last flush may begin while a try is being given up.
        async with self._upload_lock:
            stored: str | None = None
            self._session = self._silent = self._unsigned = ""
            for sequence in self._spool.waiting():
                try:
                    async with asyncio.timeout(ATTEMPT_SECONDS):
                        stored = await self._upload(sequence) or stored
                except TimeoutError:
                    return await self._failed("Timeout", f"no end after {ATTEMPT_SECONDS:.0f} s", None)
                except OSError as error:
                    return await self._failed(SPOOL_BROKEN, f"the spool: {error.strerror}", None)
                except KeylessError as error:
                    told = error.retry_after_seconds if isinstance(error, Transient) else None
                    return await self._failed(_reason(error), str(error), told)
                self._in_a_row, self.last_failure = 0, ""
            self.waiting_since = self._range = None
            if stored is not None:
                await self._tell_stored()
            return None

    async def _upload(self, sequence: int) -> str | None:
        # In a thread: an hour of many changes takes a second to compress, and samples go on meanwhile.
        packed = await asyncio.to_thread(self._spool.pack, sequence)
        if packed is None:
            _log.error("segment held nothing readable; its number is skipped", sequence=sequence)
            return None
        first = packed.runs.start if self._range is None else min(self._range[0], packed.runs.start)
        self._range, self.waiting_since = (first, max(packed.runs.end, self._newest())), first
        receipts = [await self._put(stored, CONTENT_TYPE) for stored in packed.objects]
        self._spool.note(*(receipt for receipt in receipts if receipt is not None))
        # Read here, not when the segment was opened: by now the manifest before it is acknowledged.
        record = manifest(packed, self._spool.link(packed))
        own = await self._put(record, "application/json")
        used = self._used(packed)
        signature = await self._signed(record.sha256)
        self._spool.drop(sequence, record.sha256, packed.runs.end, own, used, signature)
        self._host.stored(
            ChainHead(
                packed.opening.source.control_plane.id, self._spool.head.spool, sequence, record.sha256, packed.runs.end
            ),
            used,
            signature,
        )
        self.segments_stored += 1
        self.stored_to, self._range = packed.runs.end, None
        _log.info("usage stored", key=packed.usage.key, samples=packed.runs.samples, events=packed.events)
        return packed.usage.key

    def _used(self, packed: Packed) -> Used | None:
        """What was used of the capacity with this segment; a new spool goes on from what the one before had told."""
        if not (since := self._capacity_from):
            return None
        known = self._spool.head.used
        if known is None or known.since != since:
            known = self._host.used(since) or Used(since)
        return added(known, packed.runs.start, packed.resource_milliseconds, packed.operations)

    async def _signed(self, sha256: str) -> HeadSignature | None:
        """After it is stored, and once a round where it fails: a key that is away keeps no usage waiting."""
        if self._signer is None or self._unsigned:
            return None
        try:
            async with asyncio.timeout(SIGN_SECONDS):
                return await self._signer.sign(sha256)
        except KeylessError as error:
            self._unsigned = f"{_reason(error)}: {error}"
        except TimeoutError:
            self._unsigned = f"Timeout: no answer in {SIGN_SECONDS:.0f} s"
        _log.warning("manifest not signed", error=self._unsigned)
        return None

    async def _put(self, stored: StoredObject, content_type: str) -> Receipt | None:
        """Store it; which request did, or None where it was there already."""
        put = await self._store.put_new(stored.key, stored.body, content_type)
        if not put.request_id:
            return None
        await self._ask_who()
        return Receipt(stored.key, put.request_id, self._session, put.at or self._now())

    async def _ask_who(self) -> None:
        """Once for each round of uploads, and not for long: usage is not kept waiting by STS."""
        if self._session or self._silent:
            return
        try:
            async with asyncio.timeout(WHO_SECONDS):
                self._session = await self._store.identity()
        except KeylessError as error:
            self._silent = _reason(error)
        except TimeoutError:
            self._silent = "Timeout"

    def _newest(self) -> datetime:
        return self._spool.head.last_sample or self._now()

    async def _tell_stored(self) -> None:
        """That it is stored is certain; by whom, STS is asked, and its silence changes nothing."""
        await self._ask_who()
        who = f" as {self._session}" if self._session else f" (by whom, STS did not say: {self._silent})"
        reason, signed = USAGE_STORED, ""
        if self._unsigned:
            later = "the next manifest that is signed vouches for what came before it"
            reason, signed = NOT_SIGNED, f"; not signed: {_shortened(self._unsigned)}; {later}"
        told = f"usage is stored in s3://{self._bucket}{who}, last at {self._time()}{signed}"
        await self._report(True, reason, told)

    async def _failed(self, reason: str, text: str, told_seconds: float | None) -> timedelta:
        self._in_a_row += 1
        self.failures += 1
        self.last_failure = f"{reason}: {text}"
        waiting = len(self._spool.waiting())
        _log.warning("usage not stored", reason=reason, error=text, waiting=waiting)
        which = f"{not_stored(*self._range)}: " if self._range is not None else ""
        tried = f"; tried last at {self._time()}, {counted(waiting, 'segment')} kept, to be tried again"
        await self._report(False, reason, f"{which}s3://{self._bucket}: {_shortened(text)}{tried}")
        return retry_after(self._in_a_row, told_seconds)

    async def _report(self, status: bool, reason: str, message: str) -> None:
        try:
            await self._host.report(Said(STORED, status, reason, message))
        except KeylessError as silent:
            _log.warning("condition not written", error=str(silent))

    def _time(self) -> str:
        return stamp(self._now().replace(microsecond=0))


def _shortened(text: str) -> str:
    """From the middle: a sentence of S3's says at its end what it is about."""
    if len(text) <= MESSAGE_LIMIT:
        return text
    half = MESSAGE_LIMIT // 2
    return f"{text[:half]} … {text[-half:]}"


def _reason(error: KeylessError) -> str:
    """AWS's own code where there is one, else the kind of failure; in the form that a condition's reason must have."""
    code = str(getattr(error, "code", "") or "").rpartition(".")[2]
    return code if _WORD.fullmatch(code) else type(error).__name__
