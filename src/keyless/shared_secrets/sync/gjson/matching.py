"""Wildcards: ``*`` for any characters, ``?`` for one, ``\\`` for the next one itself. Pure, without backtracking."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from keyless.shared_secrets.sync.gjson.budget import Budget

_TERM = re.compile(r"\\(.)|(\*+)|(\?+)|([^\\*?]+)|\\", re.DOTALL)


def matches(text: bytes, pattern: bytes, budget: Budget) -> bool:
    """Return whether the whole text fits the pattern: its pieces between stars, each at its first place."""
    subject = text.decode("utf-8", "surrogateescape")
    pieces = _pieces(pattern)
    budget.spend(1 + len(pieces), size=2 * len(text))
    if not pieces:
        return False
    if len(pieces) == 1:
        return pieces[0].fits(subject, 0)
    at = pieces[0].size
    if not pieces[0].fits(subject[:at], 0):
        return False
    for piece in pieces[1:-1]:
        # A piece of a thousand marks over a long text is the costly case: length times length.
        budget.spend(2, size=(len(subject) - at) * (1 + piece.size // 4))
        found = piece.expression.search(subject, at)
        if not found:
            return False
        at = found.end()
    end = len(subject) - pieces[-1].size
    return end >= at and pieces[-1].fits(subject, end)


@dataclass(frozen=True, slots=True)
class _Piece:
    """What stands between two stars: always as long as it is written."""

    expression: re.Pattern[str]
    size: int

    def fits(self, subject: str, at: int) -> bool:
        return self.expression.fullmatch(subject, at) is not None


# A path asks the same pattern of each member, and reading it costs more than trying it.
@lru_cache(maxsize=64)
def _pieces(pattern: bytes) -> tuple[_Piece, ...]:
    """Read a pattern; none for one that ends in a backslash, which escapes nothing."""
    pieces: list[tuple[list[str], int]] = [([], 0)]
    for match in _TERM.finditer(pattern.decode("utf-8", "surrogateescape")):
        terms, size = pieces[-1]
        if match[2]:
            pieces.append(([], 0))
        elif match[3]:
            terms.append(f".{{{len(match[3])}}}")
            pieces[-1] = (terms, size + len(match[3]))
        elif match[1] or match[4]:
            terms.append(re.escape(match[1] or match[4]))
            pieces[-1] = (terms, size + len(match[1] or match[4]))
        else:
            return ()
    return tuple(_Piece(re.compile("".join(terms), re.DOTALL), size) for terms, size in pieces)
