"""How long to wait before the next try. Pure: jitter is added by the loops."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Doubles from ``first_seconds`` up to ``cap_seconds``."""

    first_seconds: float = 0.1
    cap_seconds: float = 60.0

    def seconds(self, failures: int) -> float:
        """The wait after that many failures in a row; none after none."""
        if failures <= 0:
            return 0.0
        # 2**30 s is beyond any cap; without the bound a long outage would overflow the float.
        return min(self.cap_seconds, self.first_seconds * 2.0 ** min(failures - 1, 30))
