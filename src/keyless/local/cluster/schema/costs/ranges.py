"""Least and most of a size or a cost; what is more than 64 bits hold is "without bound". Pure."""

from __future__ import annotations

import math
from typing import NamedTuple

MOST = 2**64 - 1


class Range(NamedTuple):
    """Sizes are characters, bytes or items; costs are CEL's units."""

    least: int
    most: int

    def plus(self, other: Range) -> Range:
        """Both, one after the other."""
        return Range(min(self.least + other.least, MOST), min(self.most + other.most, MOST))

    def times(self, other: Range) -> Range:
        """One for each of the other."""
        return Range(min(self.least * other.least, MOST), min(self.most * other.most, MOST))

    def scaled(self, factor: float) -> Range:
        """So much for each, rounded up."""
        return Range(_scaled(self.least, factor), _scaled(self.most, factor))

    def or_(self, other: Range) -> Range:
        """Either."""
        return Range(min(self.least, other.least), max(self.most, other.most))


def exactly(number: int) -> Range:
    """No more and no less."""
    return Range(number, number)


NOTHING, ONE, UNKNOWN = exactly(0), exactly(1), Range(0, MOST)


def _scaled(number: int, factor: float) -> int:
    found = float(number) * factor
    return MOST if found >= 2.0**64 else math.ceil(found)
