"""ARN patterns: six segments, each matched by itself (facts/identity.md#arns).

``*`` and ``?`` span ``:`` and ``/`` inside the last segment, never the borders before it. In a Resource, variables
count only there; in a condition anywhere. A bare ``*`` matches everything, also the "*" that stands for actions without
a resource.
"""

from __future__ import annotations

from dataclasses import dataclass, field

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
from keyless.policy.variables import Bound, bound, by_resolving, resolve

SEGMENTS = 6
_BARE = (Wild.ANY,)


@dataclass(frozen=True, slots=True)
class ArnPattern:
    """One compiled pattern of a Resource; ``match`` is the whole test, where no variable needs the request."""

    text: str
    variables: bool = field(repr=False)
    match: Match | None = field(repr=False, compare=False)
    bound: Bound | None = field(repr=False, compare=False)

    def matches(self, arn: str, values: Values) -> bool:
        """Whether ``arn`` fits, with variables taken from the request."""
        if self.match:
            return self.match(arn)
        return self.bound is not None and self.bound(arn, values)

    def resolved(self, values: Values) -> Match:
        """The whole test for a request with these values."""
        if self.match:
            return self.match
        *heads, last = self.segments
        resolved = resolve(last, values)
        return _nothing if resolved is None else _whole((*heads, resolved))

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
        return ArnPattern(text, variables, anything, None)
    segments = _six(_heads_and_last(text, variables=variables))
    if segments is None:
        return None
    if not has_variables(segments[-1]):
        return ArnPattern(text, variables, _whole(segments), None)
    return ArnPattern(text, variables, None, _bound(segments))


def _bound(segments: tuple[Parts, ...]) -> Bound:
    """All six, with variables in the last."""
    prefix = _literal_heads(segments)
    if prefix is not None:
        first, *others = segments[-1]
        return bound((f"{prefix}{first}", *others) if isinstance(first, str) else (prefix, first, *others))
    heads, last = [matcher(segment) for segment in segments[:-1]], bound(segments[-1])

    def test(arn: str, values: Values) -> bool:
        cut = arn.split(":", SEGMENTS - 1)
        if len(cut) < SEGMENTS or not all(fits(part) for fits, part in zip(heads, cut[:-1], strict=True)):
            return False
        return last(cut[-1], values)

    return test


def _nothing(_: str) -> bool:
    return False


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


def arn_bound(parts: Parts) -> Bound:
    """The same with variables: quick where they stand in the last segment and the others are texts."""
    segments = _cut(parts)
    if len(segments) == SEGMENTS and not has_variables(tuple(part for one in segments[:-1] for part in one)):
        return _bound(tuple(segments)) if _may_be_arn(segments[0]) else lambda text, _: _raise(text)
    return by_resolving(parts, arn_matcher)


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
