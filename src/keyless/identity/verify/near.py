"""Names that resemble one that is not there. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_MOST = 3
_RESEMBLES = 0.75


def resembling(wanted: str, names: Iterable[str]) -> tuple[str, ...]:
    """The names that resemble ``wanted``, the nearest first, at most three: for people to choose from."""
    return tuple(difflib.get_close_matches(wanted, list(names), n=_MOST, cutoff=_RESEMBLES))


def is_slip(wanted: str, name: str) -> bool:
    """Whether one letter more, less or other makes one of the other, or two that changed places.

    Only such a name is put into a command: names of one scheme (``usage-a``, ``usage-b``) resemble each other, too.
    """
    longest = max(len(wanted), len(name))
    same = sum(block.size for block in difflib.SequenceMatcher(None, wanted, name, False).get_matching_blocks())
    return wanted != name and longest - same <= 1 and longest > 1
