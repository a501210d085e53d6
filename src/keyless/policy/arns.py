"""ARN patterns: six segments, each matched by itself (identity.md rules 6 and 13).

``*`` and ``?`` span ``:`` and ``/`` inside the last segment, never the borders before it. In a Resource, variables
count only there; in a condition anywhere. A bare ``*`` matches everything, also the "*" that stands for actions without
a resource.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from keyless.policy.globs import (
    Lookup,
    Match,
    Part,
    Parts,
    Wild,
    anything,
    covers,
    has_variables,
    literal,
    matcher,
    read,
    resolve,
)

SEGMENTS = 6
_BARE = (Wild.ANY,)


@dataclass(frozen=True, slots=True)
class ArnPattern:
    """One compiled pattern of a Resource; ``match`` is the whole test, where no variable needs the request."""

    text: str
    variables: bool = field(repr=False)
    match: Match | None = field(repr=False, compare=False)
    bound: Callable[[str, Lookup], bool] | None = field(repr=False, compare=False)

    def matches(self, arn: str, lookup: Lookup) -> bool:
        """Whether ``arn`` fits, with variables taken from the request."""
        if self.match:
            return self.match(arn)
        return self.bound is not None and self.bound(arn, lookup)

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
    """The account segment of an ARN; empty for "*" and for resources that carry none (S3)."""
    segments = arn.split(":", SEGMENTS - 1)
    return segments[4] if len(segments) == SEGMENTS else ""


def compile_arn(text: str, *, variables: bool) -> ArnPattern | None:
    """Compile a Resource; ``None`` when it is neither an ARN pattern nor ``*``."""
    if text == "*":
        return ArnPattern(text, variables, anything, None)
    segments = _six(_heads_and_last(text, variables=variables))
    if segments is None:
        return None
    if not has_variables(segments[-1]):
        return ArnPattern(text, variables, _whole(segments), None)

    def bound(arn: str, lookup: Lookup) -> bool:
        last = resolve(segments[-1], lookup)
        return last is not None and _whole((*segments[:-1], last))(arn)

    return ArnPattern(text, variables, None, bound)


def _nothing(_: str) -> bool:
    return False


def _heads_and_last(text: str, *, variables: bool) -> list[Parts]:
    """At the first five colons; a variable has no colon that counts, but none can start before the fifth either."""
    *heads, last = text.split(":", SEGMENTS - 1)
    parts = [read(head, wildcards=True, variables=False) for head in heads]
    return [*parts, read(last, wildcards=True, variables=variables and len(heads) == SEGMENTS - 1)]


def arn_matcher(parts: Parts) -> Match:
    """Compile an ARN that a condition expects; what is neither an ARN pattern nor ``*`` matches nothing."""
    if parts == _BARE:
        return anything
    segments = _six(_cut(parts))
    return _whole(segments) if segments else _nothing


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
    heads = [literal(segment) for segment in segments[:-1]]
    if None not in heads:
        # The usual case: five literal segments hold all five borders, so one pass over the text is enough.
        prefix = "".join(f"{head}:" for head in heads)
        return matcher((prefix, *segments[-1]))
    matchers = [matcher(segment) for segment in segments]

    def match(arn: str) -> bool:
        cut = arn.split(":", SEGMENTS - 1)
        return len(cut) == SEGMENTS and all(fits(part) for fits, part in zip(matchers, cut, strict=True))

    return match
