"""Whole numbers in texts of others: ASCII digits and nothing else.

Python's own readers take more: ``int(" 1_0 ")`` is 10, ``"٣".isdigit()`` is true, and ``float("nan")`` is no error.
"""

from __future__ import annotations

import re

MOST_DIGITS = 19
"""What 64 bits hold; a longer text is no number, so that none is costly to read."""
_DIGITS = re.compile(r"[0-9]{1,19}")
_WHOLE = re.compile(r"[+-]?[0-9]{1,19}")


def is_digits(text: str) -> bool:
    """Return whether the text is ASCII digits, one at least and ``MOST_DIGITS`` at most."""
    return _DIGITS.fullmatch(text) is not None


def whole_number(text: str) -> int:
    """Return the number that ``text`` is, with or without a sign; raises ``ValueError`` for anything else."""
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"expected a whole number of at most {MOST_DIGITS} digits")
    return int(text)
