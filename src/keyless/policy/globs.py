"""Patterns with ``*`` and ``?`` and policy variables, matched in bounded time.

A pattern is cut at its stars into runs. The first run is anchored at the start, the last at the end, those between are
searched leftmost: no backtracking, so a match costs at most pattern length × text length whatever the pattern. A run
that holds ``?`` becomes a regular expression without repetition, which keeps that bound.

Facts (facts/identity.md#texts, #variables): ``*`` spans everything, newline included; ``[`` is literal;
``?`` is one UTF-16 unit; ``${key}``, ``${key, 'default'}``, ``${*}``, ``${?}``, ``${$}``; what a variable brings in is
literal. Variables are put in by :mod:`keyless.policy.variables`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

Match = Callable[[str], bool]
Values = Mapping[str, "str | tuple[str, ...] | None"]
"""A context key (lower case) to its value: ``None`` when absent, a tuple when it is multi-valued."""


class Wild(Enum):
    """A wildcard in a parsed pattern."""

    ANY = "*"
    ONE = "?"


@dataclass(frozen=True, slots=True)
class Variable:
    """``${key, 'default'}``; ``key`` in lower case."""

    key: str
    default: str | None


Part = str | Wild | Variable
Parts = tuple[Part, ...]


_WILDS = {"*": Wild.ANY, "?": Wild.ONE}
_AT_WILDS = re.compile(r"([*?])")


def read(text: str, *, wildcards: bool, variables: bool) -> Parts:
    """Cut ``text`` into literals, wildcards and variables; an unclosed ``${`` is literal."""
    if variables and "${" in text:
        return _with_variables(text, wildcards=wildcards)
    if wildcards and ("*" in text or "?" in text):
        return tuple(_WILDS.get(piece, piece) for piece in _AT_WILDS.split(text) if piece)
    return (text,) if text else ()


def _with_variables(text: str, *, wildcards: bool) -> Parts:
    parts: list[Part] = []
    literal: list[str] = []
    position = 0
    while position < len(text):
        part: Part = text[position]
        end = text.find("}", position) if text.startswith("${", position) else -1
        if end >= 0:
            part = _variable(text[position + 2 : end])
            position = end
        elif wildcards and part in ("*", "?"):
            part = _WILDS[part]
        if isinstance(part, str):
            literal.append(part)
        else:
            parts += ["".join(literal), part] if literal else [part]
            literal = []
        position += 1
    return (*parts, "".join(literal)) if literal else tuple(parts)


def _variable(inner: str) -> Part:
    if inner in ("*", "?", "$"):
        return inner
    key, comma, rest = inner.partition(",")
    default = rest.strip()
    quoted = len(default) >= 2 and default[0] == default[-1] == "'"
    return Variable(key.strip().lower(), default[1:-1] if comma and quoted else None)


def has_variables(parts: Parts) -> bool:
    """Whether the pattern depends on the request."""
    return any(isinstance(part, Variable) for part in parts)


def literal(parts: Parts) -> str | None:
    """The text, when there is neither wildcard nor variable."""
    if len(parts) == 1:  # what nearly all literals are
        return parts[0] if isinstance(parts[0], str) else None
    return "".join(part for part in parts if isinstance(part, str)) if all(isinstance(p, str) for p in parts) else None


def anything(_: str) -> bool:
    """The match of ``*``."""
    return True


def matcher(parts: Parts) -> Match:
    """Compile parts without variables; the shapes that real policies are made of get the shortest code."""
    exact = literal(parts)
    if exact is not None:
        return exact.__eq__
    runs = runs_of(parts)
    if any(Wild.ONE in run for run in runs):
        return _matcher_with_ones(runs)
    texts = ["".join(str(part) for part in run) for run in runs]
    head, tail = texts[0], texts[-1]
    if any(texts[1:-1]):
        return lambda text: in_order(texts, text)
    if not tail:
        return (lambda text: text.startswith(head)) if head else anything
    least = len(head) + len(tail)
    return lambda text: len(text) >= least and text.startswith(head) and text.endswith(tail)


def in_order(runs: Sequence[str], text: str) -> bool:
    """Whether ``text`` is the runs with anything between them: two at least."""
    head, tail = runs[0], runs[-1]
    if len(text) < len(head) + len(tail) or not text.startswith(head) or not text.endswith(tail):
        return False
    position, end = len(head), len(text) - len(tail)
    for middle in runs[1:-1]:
        found = text.find(middle, position, end)
        if found < 0:
            return False
        position = found + len(middle)
    return True


def runs_of(parts: Parts) -> list[list[Part]]:
    """Cut at the stars."""
    runs: list[list[Part]] = [[]]
    for part in parts:
        if part is Wild.ANY:
            runs.append([])
        else:
            runs[-1].append(part)
    return runs


def _matcher_with_ones(runs: list[list[Part]]) -> Match:
    patterns = [_expression(run) for run in runs]
    lengths = [sum(1 if part is Wild.ONE else len(units(str(part))) for part in run) for run in runs]

    def match(text: str) -> bool:
        text = units(text)
        if len(runs) == 1:
            return patterns[0].fullmatch(text) is not None
        end = len(text) - lengths[-1]
        if end < lengths[0] or not patterns[0].match(text) or not patterns[-1].match(text, end):
            return False
        position = lengths[0]
        for pattern in patterns[1:-1]:
            found = pattern.search(text, position, end)
            if not found:
                return False
            position = found.end()
        return True

    return match


def _expression(run: list[Part]) -> re.Pattern[str]:
    return re.compile("".join("." if part is Wild.ONE else re.escape(units(str(part))) for part in run), re.DOTALL)


def units(text: str) -> str:
    """``text`` with characters beyond U+FFFF as two surrogates: what ``?`` counts."""
    if text.isascii() or max(text) <= "\uffff":
        return text
    data = text.encode("utf-16-le", "surrogatepass")
    return "".join(chr(int.from_bytes(data[i : i + 2], "little")) for i in range(0, len(data), 2))


def covers(wide: Parts, narrow: Parts) -> bool:
    """True when everything that ``narrow`` matches, ``wide`` matches too (proven; False means not proven).

    ``narrow`` is read as a text whose letters may be wildcards: its ``*`` only fits under a ``*`` of ``wide``.
    """
    pattern, text = _letters(wide), _letters(narrow)
    p = t = 0
    star, mark = -1, 0
    while t < len(text):
        if p < len(pattern) and pattern[p] is Wild.ANY:
            star, mark = p, t
            p += 1
        elif p < len(pattern) and (pattern[p] == text[t] or (pattern[p] is Wild.ONE and _is_unit(text[t]))):
            p += 1
            t += 1
        elif star >= 0:
            mark += 1
            p, t = star + 1, mark
        else:
            return False
    return all(letter is Wild.ANY for letter in pattern[p:])


def may_meet(a: Parts, b: Parts) -> bool:
    """False when it is proven that no text matches both; a variable may be any text.

    Row by row over one pattern: ``reach[i]`` tells whether what was read of ``b`` can be a text of the first ``i``
    letters of ``a``. At most one step per pair of letters.
    """
    one = _free(a)
    reach = _passing_stars(one, [True, *[False] * len(one)])
    for letter in _free(b):
        if letter is Wild.ANY:
            first = reach.index(True) if True in reach else len(reach)
            reach = [i >= first for i in range(len(reach))]
        else:
            steps = [False, *(reach[i] and _agree(own, letter) for i, own in enumerate(one))]
            stay = [reach[i] and i < len(one) and one[i] is Wild.ANY for i in range(len(reach))]
            reach = _passing_stars(one, [step or kept for step, kept in zip(steps, stay, strict=True)])
    return reach[-1]


def meeting(a: Parts, b: Parts) -> str | None:
    """A text that matches both, ``None`` where there is none; a variable counts as any text.

    Each pair of places in the two patterns is looked at once.
    """
    one, other = _free(a), _free(b)
    came: dict[tuple[int, int], tuple[tuple[int, int], str] | None] = {(0, 0): None}
    open_ = [(0, 0)]
    while open_:
        at = open_.pop()
        if at == (len(one), len(other)):
            return _read_back(came, at)
        for step, text in _steps_of(one, other, *at):
            if step not in came:
                came[step] = (at, text)
                open_.append(step)
    return None


def _read_back(came: Mapping[tuple[int, int], tuple[tuple[int, int], str] | None], at: tuple[int, int]) -> str:
    texts: list[str] = []
    while before := came[at]:
        at, text = before
        texts.append(text)
    return "".join(reversed(texts))


def _steps_of(one: list[Part], other: list[Part], i: int, j: int) -> list[tuple[tuple[int, int], str]]:
    """Over a star without a letter, or with a letter that both take."""
    a, b = (one[i] if i < len(one) else None), (other[j] if j < len(other) else None)
    steps = [((i + 1, j), "")] if a is Wild.ANY else []
    steps += [((i, j + 1), "")] if b is Wild.ANY else []
    if a is not None and b is not None and not (a is b is Wild.ANY) and _agree(a, b):
        letter = next((part for part in (a, b) if isinstance(part, str)), "x")
        steps.append(((i if a is Wild.ANY else i + 1, j if b is Wild.ANY else j + 1), letter))
    return steps


def _passing_stars(letters: list[Part], reach: list[bool]) -> list[bool]:
    """A star may also stand for nothing."""
    for i, letter in enumerate(letters):
        if reach[i] and letter is Wild.ANY:
            reach[i + 1] = True
    return reach


def _agree(a: Part, b: Part) -> bool:
    return a == b or Wild.ONE in (a, b) or Wild.ANY in (a, b)


def _free(parts: Parts) -> list[Part]:
    """Letters as ``?`` counts them, with variables as stars."""
    freed = [Wild.ANY if isinstance(part, Variable) else part for part in parts]
    return _letters(tuple(units(part) if isinstance(part, str) else part for part in freed))


def _is_unit(letter: Part) -> bool:
    return isinstance(letter, str) and letter <= "\uffff"


def _letters(parts: Parts) -> list[Part]:
    letters: list[Part] = []
    for part in parts:
        letters += part if isinstance(part, str) else [part]
    return letters
