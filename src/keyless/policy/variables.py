"""Patterns with policy variables, compiled once: a request only brings the values.

Patterns that begin alike are asked together: 120 resources below ``bucket/${aws:PrincipalTag/team}/`` cost one look-up.
Facts: facts/identity.md#variables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile

from keyless.policy.fitting import fit
from keyless.policy.globs import Match, Part, Parts, Values, Variable, Wild, has_variables, in_order, matcher, runs_of

Bound = Callable[[str, Values], bool]
"""Whether a text fits, with the variables' values from the request; one that does not resolve fits nothing."""


def resolve(parts: Parts, values: Values) -> Parts | None:
    """Put values in for variables; ``None`` when one has neither a single value nor a usable default."""
    resolved: list[Part] = []
    for part in parts:
        if isinstance(part, Variable):
            value = _value(part, values)
            if value is None:
                return None
            resolved.append(value)
        else:
            resolved.append(part)
    return tuple(resolved)


def bound(patterns: Sequence[Parts]) -> Bound:
    """Compile: whether a text fits one of ``patterns``. Nothing is compiled when a request comes."""
    fixed = [matcher(parts) for parts in patterns if not has_variables(parts)]
    grouped = _Beginnings()
    others = [_any_shape(parts) for parts in patterns if has_variables(parts) and not grouped.take(parts)]
    tests = [*map(without_values, fixed), *grouped.tests(), *others]
    return tests[0] if len(tests) == 1 else any_of(tests)


def bound_but_for_case(patterns: Sequence[Parts]) -> Bound:
    """The same for texts without wildcards, where upper and lower case are one."""
    if len(patterns) == 1:
        return _one_but_for_case(patterns[0])
    about: dict[Variable, list[tuple[str, str]]] = {}
    others = []
    for parts in patterns:
        cut = _around_a_variable(parts)
        if cut:
            about.setdefault(cut[1], []).append((cut[0], cut[2]))
        else:
            others.append(parts)

    def test(text: str, values: Values) -> bool:
        wanted = text.lower()
        for variable, pairs in about.items():
            value = _value(variable, values)
            # The whole is lowered, never its parts: a sigma at the end of a word becomes another letter.
            if value is not None and any(f"{head}{value}{tail}".lower() == wanted for head, tail in pairs):
                return True
        texts = (filled(parts, values) for parts in others)
        return any(made is not None and made.lower() == wanted for made in texts)

    return test


def _one_but_for_case(parts: Parts) -> Bound:
    def test(text: str, values: Values) -> bool:
        made = filled(parts, values)
        return made is not None and made.lower() == text.lower()

    return test


def any_of(tests: Sequence[Bound]) -> Bound:
    """Asked in their order."""

    def test(text: str, values: Values) -> bool:
        return any(fits(text, values) for fits in tests)

    return test


def without_values(match: Match) -> Bound:
    """What needs nothing of the request, among others that do."""
    return lambda text, _: match(text)


def _value(variable: Variable, values: Values) -> str | None:
    """A key with several values never resolves, not even to its default."""
    value = values[variable.key]
    if value is None:
        return variable.default
    return value if isinstance(value, str) else None


def filled(parts: Sequence[Part], values: Values) -> str | None:
    """The text that parts without wildcards become; ``None`` where a variable does not resolve."""
    texts: list[str] = []
    for part in parts:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, Variable):
            value = values[part.key]
            if not isinstance(value, str):
                if value is not None or part.default is None:
                    return None
                value = part.default
            texts.append(value)
    return "".join(texts)


def _around_a_variable(parts: Parts) -> tuple[str, Variable, str] | None:
    """The text before, the variable, and the text behind it, where that is all."""
    head = parts[0] if parts and isinstance(parts[0], str) else ""
    rest = parts[1:] if head else parts
    if not rest or not isinstance(rest[0], Variable) or not all(isinstance(part, str) for part in rest[1:]):
        return None
    return head, rest[0], "".join(map(str, rest[1:]))


class _Beginnings:
    """What nearly all policies have: a text, a variable, a text, and perhaps a star; by what they begin with."""

    def __init__(self) -> None:
        self._tails: dict[tuple[str, Variable], tuple[list[str], list[str]]] = {}

    def take(self, parts: Parts) -> bool:
        """Whether the pattern is of that shape; it is kept then."""
        open_ = parts[-1:] == (Wild.ANY,)
        cut = _around_a_variable(parts[:-1] if open_ else parts)
        if cut is None:
            return False
        head, variable, tail = cut
        exact, opens = self._tails.setdefault((head, variable), ([], []))
        (opens if open_ else exact).append(tail)
        return True

    def tests(self) -> Iterator[Bound]:
        """One test for all of them."""
        if len(self._tails) == 1:
            ((head, variable), (exact, opens)) = next(iter(self._tails.items()))
            one = len(exact) + len(opens) == 1
            yield (
                _after(head, variable, *(exact or opens), open_=not exact)
                if one
                else _one_of(head, variable, exact, opens)
            )
        elif self._tails:
            yield self._by_beginning()

    def _by_beginning(self) -> Bound:
        """A look-up for each length of a beginning, so that many beginnings cost what one does."""
        groups: dict[str, list[Bound]] = {}
        for (head, variable), (exact, opens) in self._tails.items():
            groups.setdefault(head, []).append(_one_of(head, variable, exact, opens))
        lengths = sorted({len(head) for head in groups})

        def test(text: str, values: Values) -> bool:
            for length in lengths:
                for fits in groups.get(text[:length], ()):
                    if fits(text, values):
                        return True
            return False

        return test


def _after(head: str, variable: Variable, tail: str, *, open_: bool) -> Bound:
    """One pattern of that shape: what a statement with a single resource has."""
    key, default, start = variable.key, variable.default, len(head)

    def test(text: str, values: Values) -> bool:
        if not text.startswith(head):  # before anything is looked up: most of many statements end here
            return False
        value = values[key]
        if value.__class__ is not str:
            if value is not None or default is None:
                return False
            value = default
        wanted = f"{value}{tail}"
        return text.startswith(wanted, start) and (open_ or len(text) == start + len(wanted))

    return test


def _one_of(head: str, variable: Variable, exact: Sequence[str], opens: Sequence[str]) -> Bound:
    """All that share a beginning and a variable: the rest of the text is asked for among theirs."""
    ends, starts, length = frozenset(exact), tuple(opens), len(head)

    def test(text: str, values: Values) -> bool:
        if not text.startswith(head):
            return False
        value = _value(variable, values)
        if value is None or not text.startswith(value, length):
            return False
        rest = text[length + len(value) :]
        return rest in ends or rest.startswith(starts)

    return test


def _any_shape(parts: Parts) -> Bound:
    if Wild.ONE in parts:
        return _with_ones(parts)
    first, *runs = runs_of(parts)
    tail = runs[-1][-1] if runs and runs[-1] and isinstance(runs[-1][-1], str) else ""
    begins = _beginning(first)

    def test(text: str, values: Values) -> bool:
        if not text.endswith(tail):
            return False
        start = begins(text, values)
        if start is None:
            return False
        found = [start]
        for run in runs:
            made = filled(run, values)
            if made is None:
                return False
            found.append(made)
        return in_order(found, text) if runs else text == start

    return test


def _beginning(run: Sequence[Part]) -> Callable[[str, Values], str | None]:
    """What the text must begin with, where it does: nearly always that settles it, before more is looked up."""
    head = run[0] if run and isinstance(run[0], str) else ""
    rest, length = run[1:] if head else run, len(head)

    def begins(text: str, values: Values) -> str | None:
        if not text.startswith(head):
            return None
        if not rest:
            return head
        made = filled(rest, values)
        return None if made is None or not text.startswith(made, length) else head + made

    return begins


def _with_ones(parts: Parts) -> Bound:
    """With ``?``: no expression is made of the values, they are looked for as they are."""
    begins = _beginning(tuple(takewhile(lambda part: not isinstance(part, Wild), parts)))

    def test(text: str, values: Values) -> bool:
        # Beyond U+FFFF a text is compared in halves of characters: ``fit`` knows.
        if text.isascii() and begins(text, values) is None:
            return False
        resolved = resolve(parts, values)
        return resolved is not None and fit(resolved, text)

    return test
