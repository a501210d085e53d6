"""Match a pattern that is known only when the request comes, without compiling it; says what ``globs.matcher`` says.

The bound is the same: no backtracking, pattern length times text length.
"""

from __future__ import annotations

from collections.abc import Sequence

from keyless.policy.globs import Part, Parts, Wild, in_order, literal, runs_of, units


def fit(parts: Parts, text: str) -> bool:
    """Whether ``text`` fits ``parts``, in which no variable is left."""
    if Wild.ONE in parts:
        return _fit_with_ones(parts, units(text))
    exact = literal(parts)
    if exact is not None:
        return text == exact
    return in_order(["".join(map(str, run)) for run in runs_of(parts)], text)


def _fit_with_ones(parts: Parts, text: str) -> bool:
    """Runs between stars, the first at the start, the last at the end, the others as far left as they go."""
    runs = [[units(part) if isinstance(part, str) else part for part in run] for run in runs_of(parts)]
    position = _after(runs[0], text, 0)
    if len(runs) == 1:
        return position == len(text)
    end = len(text) - _length(runs[-1])
    if position < 0 or end < position or _after(runs[-1], text, end) < 0:
        return False
    for run in runs[1:-1]:
        position = _search(run, text, position, end)
        if position < 0:
            return False
    return True


def _length(run: Sequence[Part]) -> int:
    return sum(len(part) if isinstance(part, str) else 1 for part in run)


def _after(run: Sequence[Part], text: str, position: int) -> int:
    """Where the run ends that begins at ``position``; -1 where the text differs."""
    for part in run:
        if isinstance(part, str):
            if not text.startswith(part, position):
                return -1
            position += len(part)
        else:
            position += 1
    return position if position <= len(text) else -1


def _search(run: Sequence[Part], text: str, start: int, end: int) -> int:
    """Where the leftmost occurrence between ``start`` and ``end`` ends; from one place of a text of its to the next."""
    last = end - _length(run)
    ahead = 0
    for part in run:
        if isinstance(part, str) and part:
            break
        ahead += 0 if isinstance(part, str) else 1
    anchor = next((part for part in run if isinstance(part, str) and part), "")
    while start <= last:
        start = text.find(anchor, start + ahead, end) - ahead
        if start < 0 or start > last:
            return -1
        after = _after(run, text, start)
        if after >= 0:
            return after
        start += 1
    return -1
