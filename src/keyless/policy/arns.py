"""ARN patterns: six segments, each matched by itself (facts/identity.md#arns).

``*`` and ``?`` span ``:`` and ``/`` inside the last segment, never the borders before it. In a Resource, variables
count only there; in a condition anywhere. A bare ``*`` matches everything, also the "*" that stands for actions without
a resource.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from keyless.policy.fitting import fit
from keyless.policy.globs import (
    Match,
    Part,
    Parts,
    Values,
    Wild,
    anything,
    covers,
    has_variables,
    literal,
    matcher,
    read,
)
from keyless.policy.variables import Bound, any_of, bound, filled, resolve, without_values

SEGMENTS = 6
_BARE = (Wild.ANY,)


@dataclass(frozen=True, slots=True)
class ArnPattern:
    """One pattern of a Resource; ``match`` is the whole test, where no variable needs the request."""

    text: str
    variables: bool = field(repr=False)
    match: Match | None = field(repr=False, compare=False)

    @property
    def segments(self) -> tuple[Parts, ...]:
        """The six; empty for the bare ``*``. Read again when an analysis asks: a decision needs them compiled only."""
        return () if self.text == "*" else _six(_heads_and_last(self.text, variables=self.variables)) or ()

    def covers(self, other: ArnPattern) -> bool:
        """True when it is proven that all that ``other`` matches matches here."""
        if self.text in ("*", other.text):
            return True
        pairs = zip(self.segments, other.segments, strict=False)
        return other.text != "*" and all(covers(wide, narrow) for wide, narrow in pairs)


def account_of(arn: str) -> str:
    """The account segment of an ARN; empty for "*" and for resources of no account (S3's, AWS's managed policies)."""
    segments = arn.split(":", SEGMENTS - 1)
    found = segments[4] if len(segments) == SEGMENTS else ""
    return "" if found == "aws" else found


def compile_arn(text: str, *, variables: bool) -> ArnPattern | None:
    """Compile a Resource; ``None`` when it is neither an ARN pattern nor ``*``."""
    if text == "*":
        return ArnPattern(text, variables, anything)
    segments = _six(_heads_and_last(text, variables=variables))
    if segments is None:
        return None
    return ArnPattern(text, variables, None if has_variables(segments[-1]) else _whole(segments))


def resources_bound(patterns: Sequence[ArnPattern]) -> Bound:
    """Compile a Resource of several patterns, where variables stand in some."""
    joined = [whole for pattern in patterns if (whole := _joined(pattern.segments))]
    others = [_one_by_one(pattern.segments) for pattern in patterns if not _joined(pattern.segments)]
    tests = [bound(joined), *others] if joined else others
    return tests[0] if len(tests) == 1 else any_of(tests)


def _joined(segments: tuple[Parts, ...]) -> Parts | None:
    """All six as one pattern, where the borders are texts."""
    prefix = _literal_heads(segments) if segments else None
    if prefix is None:
        return None
    first, *others = segments[-1] or ("",)
    return (f"{prefix}{first}", *others) if isinstance(first, str) else (prefix, first, *others)


def _one_by_one(segments: tuple[Parts, ...]) -> Bound:
    """Each segment against its own, with variables in the last; the bare ``*`` has none."""
    if not segments:
        return without_values(anything)
    heads, last = [matcher(segment) for segment in segments[:-1]], bound([segments[-1]])

    def test(arn: str, values: Values) -> bool:
        cut = arn.split(":", SEGMENTS - 1)
        if len(cut) < SEGMENTS or not all(fits(part) for fits, part in zip(heads, cut[:-1], strict=True)):
            return False
        return last(cut[-1], values)

    return test


def _heads_and_last(text: str, *, variables: bool) -> list[Parts]:
    """At the first five colons; a variable has no colon that counts, but none can start before the fifth either."""
    *heads, last = text.split(":", SEGMENTS - 1)
    parts = [read(head, wildcards=True, variables=False) for head in heads]
    return [*parts, read(last, wildcards=True, variables=variables and len(heads) == SEGMENTS - 1)]


class NoArnPattern(Exception):
    """Met in a condition: what is expected is neither an ARN pattern nor ``*``."""


def is_arn(text: str) -> bool:
    """Whether a request's value can be compared with ARN patterns at all."""
    return text.startswith("arn:") and text.count(":") >= SEGMENTS - 1


def arn_matcher(parts: Parts) -> Match:
    """Compile an ARN that a condition expects; one that is none raises :class:`NoArnPattern` when it is met."""
    if parts == _BARE:
        return anything
    segments = _six(_cut(parts))
    if segments is None or not _may_be_arn(segments[0]):
        return _raise
    return _whole(segments)


def arn_bound(patterns: Sequence[Parts]) -> Bound:
    """The same for several, with variables: one after the other, since one that is no ARN ends the asking."""
    if all(_is_surely_arn(parts) for parts in patterns):
        return bound(patterns)
    return any_of([_arn_bound(parts) for parts in patterns])


def _is_surely_arn(parts: Parts) -> bool:
    """All borders stand before the first wildcard, whatever the variables bring: one pass over the text is enough."""
    before = tuple(takewhile(lambda part: not isinstance(part, Wild), parts))
    colons = sum(part.count(":") for part in before if isinstance(part, str))
    return colons >= SEGMENTS - 1 and isinstance(parts[0], str) and parts[0].startswith("arn:")


def _arn_bound(parts: Parts) -> Bound:
    if not has_variables(parts):
        return without_values(arn_matcher(parts))
    if not any(isinstance(part, Wild) for part in parts):
        return _whole_arn(parts)

    def test(arn: str, values: Values) -> bool:
        resolved = resolve(parts, values)
        if resolved is None:
            return False
        segments = _six(_cut(resolved))  # now, not before: what a variable brings may hold borders
        if segments is None or not fit(segments[0], "arn"):
            return _raise(arn)
        cut = arn.split(":", SEGMENTS - 1)
        return len(cut) == SEGMENTS and all(fit(part, text) for part, text in zip(segments, cut, strict=True))

    return test


def _whole_arn(parts: Parts) -> Bound:
    """Without wildcards, as ``${aws:PrincipalArn}``."""

    def test(arn: str, values: Values) -> bool:
        wanted = filled(parts, values)
        return wanted is not None and (arn == wanted if is_arn(wanted) else _raise(wanted))

    return test


def is_arn_pattern(text: str, *, variables: bool) -> bool:
    """Whether IAM keeps it in a condition; what variables make of it shows when a request comes."""
    parts = read(text, wildcards=True, variables=variables)
    return has_variables(parts) or arn_matcher(parts) is not _raise


def _may_be_arn(first: Parts) -> bool:
    return matcher(first)("arn")


def _raise(_: str) -> bool:
    raise NoArnPattern


def _cut(parts: Parts) -> list[Parts]:
    """At the first five colons."""
    segments: list[list[Part]] = [[]]
    for part in parts:
        if isinstance(part, str):
            first, *others = part.split(":", SEGMENTS - len(segments))
            segments[-1].append(first)
            segments += [[other] for other in others]
        else:
            segments[-1].append(part)
    return [tuple(part for part in segment if part != "") for segment in segments]


def _six(segments: list[Parts]) -> tuple[Parts, ...] | None:
    """All six; "arn:aws:s3*" leaves the rest open."""
    missing = SEGMENTS - len(segments)
    if not missing:
        return tuple(segments)
    return (*segments, *(_BARE,) * missing) if segments[-1][-1:] == _BARE else None


def _whole(segments: tuple[Parts, ...]) -> Match:
    prefix = _literal_heads(segments)
    if prefix is not None:
        return matcher((prefix, *segments[-1]))
    matchers = [matcher(segment) for segment in segments]

    def match(arn: str) -> bool:
        cut = arn.split(":", SEGMENTS - 1)
        return len(cut) == SEGMENTS and all(fits(part) for fits, part in zip(matchers, cut, strict=True))

    return match


def _literal_heads(segments: tuple[Parts, ...]) -> str | None:
    """The usual case: five literal segments hold all five borders, so one pass over the text is enough."""
    heads = [literal(segment) for segment in segments[:-1]]
    return None if None in heads else "".join(f"{head}:" for head in heads)
