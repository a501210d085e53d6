"""One kind's numbers by what its objects tell, and for how long, exactly, since the sample before. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from keyless.billing.collector.describing import Traits

_MILLISECOND = timedelta(milliseconds=1)


@dataclass(slots=True)
class _Touched:
    """What has changed since the sample before: the number then, the time up to ``at``, and how many were made."""

    before: int
    at: datetime
    milliseconds: float = 0.0
    created: int = 0


@dataclass(frozen=True, slots=True)
class News:
    """Of one combination: the number at the sample before and now, the exact time between, and how many were made."""

    before: int
    count: int
    milliseconds: int
    created: int


class Tally:
    """Told of every change as it comes."""

    def __init__(self, at: datetime) -> None:
        self.counts: dict[Traits, int] = {}
        self.total = 0
        self.peak: Mapping[Traits, int] | None = None
        """How it was when there were most, where that is over since the sample before."""
        self._taken_at = at
        self._touched: dict[Traits, _Touched] = {}
        self._most = 0
        self._at_most = True

    def change(self, before: Traits | None, after: Traits | None, at: datetime) -> None:
        """One object came (``before`` is None), went (``after`` is None) or tells something else."""
        if before == after:
            return
        if before is not None:
            self._leave_peak()
            self._add(before, -1, at)
        if after is not None:
            self._add(after, 1, at)
        if before is None and after is not None:
            self._touched[after].created += 1
        self._note_peak()

    def replace(self, counts: Mapping[Traits, int], at: datetime, *, known: bool) -> None:
        """All of them, anew; ``known``: what is more than before was made since, not only found."""
        self._leave_peak()
        for traits in self.counts.keys() | counts.keys():
            if (by := counts.get(traits, 0) - self.counts.get(traits, 0)) != 0:
                self._add(traits, by, at)
                self._touched[traits].created += max(by, 0) if known else 0
        self._note_peak()

    def take(self, at: datetime) -> dict[Traits, News]:
        """What has changed since the last call, and begin anew."""
        taken: dict[Traits, News] = {}
        for traits, touched in self._touched.items():
            count = self.counts.get(traits, 0)
            milliseconds = touched.milliseconds + count * _passed(touched.at, at)
            taken[traits] = News(touched.before, count, round(milliseconds), touched.created)
        self._touched, self._taken_at = {}, at
        return taken

    def begin_peak(self) -> None:
        """The next peak is one of its own."""
        self.peak, self._most, self._at_most = None, self.total, True

    def _add(self, traits: Traits, by: int, at: datetime) -> None:
        count = self.counts.get(traits, 0)
        touched = self._touched.get(traits)
        if touched is None:
            touched = self._touched[traits] = _Touched(count, self._taken_at)
        touched.milliseconds += count * _passed(touched.at, at)
        touched.at = max(at, touched.at)
        self.total += by
        if count + by > 0:
            self.counts[traits] = count + by
        else:
            self.counts.pop(traits, None)

    def _leave_peak(self) -> None:
        # Only once for each new height, so that a kind that grows and shrinks is not copied at every step.
        if self._at_most and self.total == self._most and self.total > 0:
            self.peak = dict(self.counts)
        self._at_most = False

    def _note_peak(self) -> None:
        if self.total > self._most:
            self._most, self._at_most, self.peak = self.total, True, None


def _passed(start: datetime, end: datetime) -> float:
    return max((end - start) / _MILLISECOND, 0.0)
