"""The order in which go-yaml writes keys: digits count as numbers, letters come last. Pure.

Rules: https://github.com/yaml/go-yaml/blob/v2.4.2/sorter.go
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cmp_to_key


def in_order(keys: Iterable[str]) -> list[str]:
    """Return the keys in that order; those that it does not tell apart by their text."""
    return sorted(sorted(keys), key=cmp_to_key(_compare))


def _compare(first: str, second: str) -> int:
    at = next((n for n, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), None)
    if at is None:
        return len(first) - len(second)
    a, b = first[at], second[at]
    if a.isalpha() or b.isalpha():
        # Of two letters the code decides; a letter comes after all else.
        return ord(a) - ord(b) if a.isalpha() and b.isalpha() else 1 if a.isalpha() else -1
    return _signed(_rank(first, second, at), _rank(second, first, at))


def _rank(key: str, other: str, at: int) -> tuple[int, int, int]:
    """Return the number that begins at ``at``, how long it is, and the character itself."""
    value = int((key[at] == "0" or other[at] == "0") and _within_number(key, at))
    end = at
    while end < len(key) and key[end].isdecimal():
        # Go counts in 64 bits and lets them overflow.
        value = (value * 10 + ord(key[end]) - 48) & ((1 << 64) - 1)
        end += 1
    return value - (1 << 64) if value >> 63 else value, end, ord(key[at])


def _within_number(key: str, at: int) -> bool:
    """Return whether digits before ``at`` make a zero there count."""
    before = key[:at]
    digits = before[len(before.rstrip("0123456789")) :]
    return bool(digits.strip("0"))


def _signed(first: tuple[int, int, int], second: tuple[int, int, int]) -> int:
    return (first > second) - (first < second)
