"""The time of samples: counted by the monotonic clock, set by S3's ``Date``.

A wall clock that is set while the collector runs moves no sample: the time goes on from where it was, and the jump is
recorded. Which of the two is right, S3 decides: where its ``Date`` and ours differ by over two seconds, S3's counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from keyless.billing.ledger.model import ClockJump, ClockState

TOLERANCE = timedelta(seconds=2)
"""``Date`` is cut to whole seconds and as old as its way to us."""
_HALF_SECOND = timedelta(seconds=0.5)


def wall() -> datetime:
    """The machine's clock."""
    return datetime.now(UTC)


def ticks() -> float:
    """Seconds since the machine started; they go on while it sleeps, where the system can tell."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


class Clock:
    """Corrected time, which never jumps but where S3 says so."""

    def __init__(self, wall: Callable[[], datetime] = wall, ticks: Callable[[], float] = ticks) -> None:
        self.offset: timedelta | None = None
        """S3's clock less the machine's; None before S3 first answered."""
        self._wall = wall
        self._ticks = ticks
        self._start = wall()
        self._started = ticks()
        self._drift = timedelta()
        self._jumps: list[ClockJump] = []
        self._told = False

    def now(self) -> datetime:
        """The corrected time."""
        return self._at(self._ticks())

    def read_ticks(self) -> float:
        """For :meth:`learn`: when an answer came."""
        return self._ticks()

    def learn(self, server: datetime, read_at: float) -> None:
        """S3's ``Date`` in an answer that came when the ticks were ``read_at``."""
        truth = server + _HALF_SECOND
        wrong_by = truth - self._at(read_at)
        ran = timedelta(seconds=self._ticks() - read_at)
        self._set_offset(truth + ran - self._wall())
        if abs(wrong_by) > TOLERANCE:
            self._start += wrong_by
            self._drift -= wrong_by
            self._note(wrong_by)

    def check(self) -> None:
        """Compare the machine's clock with the time that has passed, and note a jump."""
        drift = self._wall() - self.now()
        if abs(drift - self._drift) > TOLERANCE:
            self._note(drift - self._drift)
            self._drift = drift
            # Measured against another clock: it is not known any more, S3 will tell.
            self.offset = None

    def news(self) -> ClockState | None:
        """What was noted since the last call; None where nothing was."""
        if not self._jumps and self._told:
            return None
        state = ClockState(self.offset, tuple(self._jumps))
        self._jumps, self._told = [], True
        return state

    def state(self) -> ClockState:
        """What is known now, for the beginning of a segment; notes are told once."""
        return self.news() or ClockState(self.offset)

    def _set_offset(self, offset: timedelta) -> None:
        if self.offset is None or abs(offset - self.offset) > TOLERANCE:
            self._told = False
        self.offset = offset

    def _note(self, by: timedelta) -> None:
        self._jumps.append(ClockJump(self.now(), by))

    def _at(self, read: float) -> datetime:
        return self._start + timedelta(seconds=read - self._started)
