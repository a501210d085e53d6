"""A control plane, a collector and a bucket in a time that the test turns, with a fault at any step.

The recorder, the uploader and the spool are the real ones; the disk is a real folder behind the real ``Disk``, whose
primitives may fail. The control plane's numbers are counted here, by hand.
"""

from __future__ import annotations

import errno
import os
import random
from dataclasses import replace
from datetime import timedelta

from keyless.api import Permanent, Transient
from keyless.billing.collector.clock import Clock
from keyless.billing.collector.describing import Traits
from keyless.billing.collector.disk import NEW, Disk
from keyless.billing.collector.metering import Counted, Metering
from keyless.billing.collector.plan import next_sample_at
from keyless.billing.collector.ports import Counts, Put
from keyless.billing.collector.recorder import Recorder
from keyless.billing.collector.resuming import resume
from keyless.billing.collector.settings import Settings
from keyless.billing.collector.spool import Spool
from keyless.billing.collector.tallies import Tally
from keyless.billing.collector.uploader import Uploader
from keyless.billing.ledger.model import Meter, hour_of
from unit.billing.faults.truth import Truth, account, wrong_receipts
from unit.billing.samples import BUCKET, CTP1, NOON, VPC

SECOND = timedelta(seconds=1)
SETTINGS = Settings(
    account="acme",
    control_plane_id=CTP1.id,
    control_plane_name="ctp1",
    control_plane_group="default",
    host_namespace=CTP1.host_namespace,
    bucket="bucket",
    pod_uid="pod-1",
)


class KilledHere(BaseException):
    """The process ends at this step."""


def failure(code, *, again=False, after=None):
    error = (
        Transient(f"PutObject: {code}: no", retry_after_seconds=after) if again else Permanent(f"PutObject: {code}: no")
    )
    error.code = code
    return error


class Steps:
    """Counts the steps of everything outside the process; ends it at one of them, before, amid or after."""

    def __init__(self):
        self.taken = 0
        self.names = []
        self.kill_at = None

    def take(self, name):
        self.taken += 1
        self.names.append(name)
        if self.kill_at is not None and self.taken >= self.kill_at:
            self.kill_at = None
            raise KilledHere


class FaultyDisk(Disk):
    """The real folder. A write that is cut off leaves half of its bytes."""

    def __init__(self, folder, steps):
        super().__init__(folder)
        self.steps = steps
        self.room = None
        """Bytes until the disk is full; None: no end."""
        self.broken = None

    def used(self):
        return sum(os.stat(self.folder / name).st_size for name in self.names())

    def _write(self, name, data, at):
        self._fail()
        try:
            self.steps.take(f"write {name}")
        except KilledHere:
            super()._write(name, data[: len(data) // 2], at)
            raise
        old = self.size(name) if name in self.names() else 0
        if self.room is not None and self.used() - old + at + len(data) > self.room:
            super()._write(name, data[: len(data) // 3], at)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super()._write(name, data, at)
        if not name.endswith(NEW):
            self.steps.take(f"written {name}")

    def _replace(self, name, other):
        self.steps.take(f"replace {other}")
        super()._replace(name, other)
        self.steps.take(f"replaced {other}")

    def _unlink(self, name):
        self.steps.take(f"unlink {name}")
        super()._unlink(name)

    def _sync(self, handle):
        """What a killed process has written stays without it."""

    def _fail(self):
        if self.broken is not None:
            raise OSError(self.broken, os.strerror(self.broken))


class FaultyBucket:
    """Conditional writes; each is two steps, for the answer may be lost after the bytes were taken."""

    def __init__(self, steps, stage):
        self.objects = {}
        self.requests = {}
        """Which request stored a key, where its answer was not lost."""
        self.steps = steps
        self.stage = stage
        self.failures = []
        """One for each request to come; None: it succeeds. The last one stays."""
        self.lost_answers = 0
        self.may_read = True
        self.sts = None

    async def put_new(self, key, body, content_type):
        self.steps.take("put")
        refused = self.failures[0] if self.failures else None
        if len(self.failures) > 1:
            self.failures.pop(0)
        if refused is not None:
            raise refused
        self.stage.tell_time()
        found = self.objects.get(key)
        assert found in {None, body}, "a key never stands for other bytes"
        self.objects[key] = body
        if self.lost_answers:
            self.lost_answers -= 1
            raise failure("ConnectionClosed", again=True)
        self.steps.take("put done")
        if found is not None:
            return Put()
        self.requests[key] = f"R{len(self.requests)}"
        return Put(self.requests[key], self.stage.time)

    async def identity(self):
        if self.sts is not None:
            raise self.sts
        return "arn:aws:sts::111122223333:assumed-role/billing/session"

    async def learn_time(self):
        if not self.failures:
            self.stage.tell_time()

    async def last(self, prefixes):
        if not self.may_read:
            raise failure("AccessDenied")
        for prefix in prefixes:
            keys = [key for key in self.objects if key.startswith(prefix)]
            if keys:
                return max(keys), self.objects[max(keys)]
        return None


class Numbers:
    """The control plane as the collector counts it."""

    def __init__(self, now):
        self.now = now
        self.numbers = {}
        self.peaks = {}
        self.failure = None
        self.unknown = {}
        self.tallies = {}
        self.metering = Metering(100)

    def change(self, gvk, by):
        traits, tally = Traits(labels=("payments",)), self.tally(gvk)
        for _ in range(abs(by)):
            tally.change(None if by > 0 else traits, traits if by > 0 else None, self.now())
        before = self.numbers.get(gvk, 0)
        self.numbers[gvk] = before + by
        seen = self.peaks.setdefault(hour_of(self.now()), {})
        seen[gvk] = max(seen.get(gvk, 0), before, before + by)

    def counts(self):
        peaks, self.peaks = self.peaks, {}
        if self.failure is not None:
            return Counts(failure=self.failure)
        known = {gvk: n for gvk, n in self.numbers.items() if n and gvk not in self.unknown}
        return Counts(known, peaks, dict(self.unknown))

    def metered(self, at, *, whole):
        kinds = [Counted(Meter.MANAGED, g, None, self.tally(g), g in self.unknown) for g in self.numbers]
        return self.metering.take(at, kinds, whole=whole)

    def tally(self, gvk):
        if gvk not in self.tallies:
            found = self.tallies[gvk] = Tally(self.now())
            if number := self.numbers.get(gvk, 0):
                found.replace({Traits(labels=("payments",)): number}, self.now(), known=False)
        return self.tallies[gvk]

    async def settled(self):
        return None


class Space:
    """The host API."""

    def __init__(self):
        self.members = [replace(CTP1, billed_from=NOON - timedelta(days=1))]
        self.said = []
        self.neighbours = ()
        self.kept = self.told = self.signed = None

    def census(self):
        return tuple(self.members)

    def heads(self):
        return self.neighbours

    def stored(self, head, used=None, signature=None):
        self.kept, self.told, self.signed = head, used, signature

    def signature(self, sha256):
        return self.signed if self.kept is not None and self.kept.sha256 == sha256 else None

    def used(self, since):
        return self.told if self.told is not None and self.told.since == since else None

    def own(self):
        return self.members[0]

    def labels(self):
        return {"team": "payments"}

    async def report(self, *said):
        self.said += said


class Stage:
    """One control plane's metering, from the first second on."""

    def __init__(self, folder, *, start=NOON, volume=True, wall_error=timedelta(), seed=1, flush=0, rate=0.1):
        self.time = start
        self.start = start
        self.wall_error = wall_error
        self.truth = Truth()
        self.steps = Steps()
        self.space = Space()
        self.bucket = FaultyBucket(self.steps, self)
        self.numbers = {}
        self.random = random.Random(seed)
        self.changing = True
        self.kills = 0
        self.down_for = timedelta(seconds=20)
        self._flush = flush
        self._rate = rate
        self._folder = folder
        self._volume = volume
        self._pods = 0
        self._up_at = start
        self.recorder = None
        self.capacity_from = ""
        self.signer = None

    def tell_time(self):
        """S3's ``Date``."""
        self.clock.learn(self.time.replace(microsecond=0), self.ticks())

    def ticks(self):
        return (self.time - self.start).total_seconds() + 1000.0

    def wall(self):
        return self.time + self.wall_error

    async def boot(self):
        """Start the collector: a new process, on the same volume or on a new, empty one."""
        self._pods += 1
        folder = self._folder / ("volume" if self._volume else f"pod-{self._pods}")
        self.disk = FaultyDisk(folder, self.steps)
        self.clock = Clock(self.wall, self.ticks)
        spool = Spool(self.disk)
        await self.bucket.learn_time()
        settings = replace(
            SETTINGS, pod_uid=f"pod-{self._pods}", spool_persistent=self._volume, flush_seconds=self._flush
        )
        await resume(spool, self.bucket, settings, self.clock.now(), billed_before=True, signature=self.space.signature)
        self.counter = Numbers(self.clock.now)
        self.counter.numbers = self.numbers
        self.spool = spool
        self.recorder = Recorder(settings, spool, self.counter, self.space, self.clock)
        self.uploader = Uploader(
            spool,
            self.bucket,
            self.space,
            bucket="bucket",
            now=self.clock.now,
            capacity_from=self.capacity_from,
            signer=self.signer,
        )
        self._due = self._retry_at = self.time

    async def play(self, seconds, at=None):
        """Let time pass; ``at`` are actions by second."""
        for second in range(seconds):
            if at and second in at:
                at[second]()
            self._live()
            try:
                await self._work()
            except KilledHere:
                self.kill()
            self.time += SECOND

    def kill(self):
        """``kill -9``."""
        self.kills += 1
        if self.recorder is not None:
            self.disk.release()
        self.recorder = None
        self._up_at = self.time + self.down_for

    async def end(self, fault=""):
        """Mend everything, let the hour end, store what waits, and lay the truth beside the bucket."""
        self.bucket.failures, self.bucket.lost_answers, self.steps.kill_at = [], 0, None
        if self.recorder is not None:
            self.disk.room = self.disk.broken = None
            self.counter.failure, self.counter.unknown = None, {}
        await self.play(120)
        end = (
            self.time
            if self.time.minute < 5 and self.time.hour != self.start.hour
            else hour_of(self.time) + timedelta(hours=1)
        )
        await self.play(int((end - self.time).total_seconds()) + 90)
        self.recorder.close()
        assert await self.uploader.upload_waiting() is None
        assert self.spool.waiting() == []
        told = account(self.truth, self.bucket.objects, hour_of(self.time), fault)
        told.wrong += wrong_receipts(self.bucket.objects, self.bucket.requests)
        return told

    def change(self, gvk, by):
        self.truth.note(self.time, gvk, by)
        if self.recorder is not None:
            self.counter.change(gvk, by)
        else:
            self.numbers[gvk] = self.numbers.get(gvk, 0) + by

    def _live(self):
        if not self.changing or self.random.random() > self._rate:
            return
        gvk = self.random.choice((VPC, BUCKET))
        number = self.numbers.get(gvk, 0)
        self.change(gvk, -1 if number and self.random.random() < 0.45 else 1)
        if self.random.random() < 0.3:
            # It comes and goes between two samples.
            self.change(gvk, 1)
            self.change(gvk, -1)

    async def _work(self):
        if self.recorder is None:
            if self.time < self._up_at:
                return
            await self.boot()
        if self.clock.now() >= self._due or self._due - self.clock.now() > timedelta(minutes=1):
            self.recorder.sample()
            self._due = next_sample_at(self.clock.now(), SETTINGS.interval)
        if self.time >= self._retry_at and self.spool.waiting():
            pause = await self.uploader.upload_waiting()
            self._retry_at = self.time + (pause or timedelta())
