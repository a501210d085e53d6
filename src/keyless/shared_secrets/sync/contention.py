"""Another writer that changes a target back each time it is repaired: noticed, told, and not fought forever. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

WINDOW_SECONDS = 600.0
REPAIRS = 5
"""So many repairs within the window are a contest; a person who edits a Secret by hand does not come to that."""
CAP_SECONDS = 1800.0


@dataclass(frozen=True, slots=True)
class Contest:
    """The repairs of one target that came close upon each other."""

    times: int
    last: datetime

    def wait_seconds(self, now: datetime) -> float:
        """Return how long the next repair has to wait: not at all until it is a contest, then ever longer."""
        if self.times < REPAIRS:
            return 0.0
        wait = min(CAP_SECONDS, 60.0 * 2.0 ** min(self.times - REPAIRS, 10))
        return max(0.0, wait - (now - self.last).total_seconds())


def repaired(before: Contest | None, now: datetime) -> Contest:
    """Return the contest after one more repair; after a quiet time it begins anew."""
    # A wait that the contest itself imposed is no quiet time.
    quiet = WINDOW_SECONDS + (CAP_SECONDS if before and before.times >= REPAIRS else 0.0)
    if before is None or (now - before.last).total_seconds() > quiet:
        return Contest(1, now)
    return Contest(before.times + 1, now)
