"""Where every sample is: sampled = stored + spooled + lost, at any moment. Pure."""

from __future__ import annotations


class Tally:
    """The samples of one spool since this process began, those that it found there included."""

    def __init__(self) -> None:
        self.sampled = 0
        """All of them."""
        self.stored = 0
        self.lost = 0
        """In segments, or parts of them, that could not be read any more."""
        self._spooled: dict[int, int] = {}
        self._packed: dict[int, int] = {}

    @property
    def spooled(self) -> int:
        """Those that wait."""
        return sum(self._spooled.values())

    def wrote(self, sequence: int, samples: int) -> None:
        """Samples of a segment are on disk."""
        self.sampled += samples
        self._spooled[sequence] = self._spooled.get(sequence, 0) + samples

    def packed(self, sequence: int, samples: int) -> None:
        """So many of a segment were readable when it was made an object; they are not stored yet."""
        self._packed[sequence] = samples

    def acknowledged(self, sequence: int) -> None:
        """The manifest of a segment was acknowledged: what was packed is stored, what else was there is lost."""
        there = self._spooled.pop(sequence, 0)
        packed = self._packed.pop(sequence, there)
        self.stored += packed
        # More than were known come from a segment that could not be read when this process began.
        self.sampled += max(packed - there, 0)
        self.lost += max(there - packed, 0)

    def unreadable(self, sequence: int) -> None:
        """Nothing of a segment can be read any more."""
        self._packed.pop(sequence, None)
        self.lost += self._spooled.pop(sequence, 0)
