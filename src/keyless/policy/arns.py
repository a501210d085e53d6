"""ARN patterns: six segments, each matched by itself (identity.md rules 6 and 13).

``*`` and ``?`` span ``:`` and ``/`` inside the last segment, never the borders before it; variables count only there.
A bare ``*`` matches everything, also the "*" that stands for actions without a resource.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from keyless.policy.globs import Lookup, Match, Parts, Wild, covers, has_variables, literal, matcher, read, resolve

SEGMENTS = 6


@dataclass(frozen=True, slots=True)
class ArnPattern:
    """One compiled pattern. ``segments`` is empty for the bare ``*``."""

    text: str
    segments: tuple[Parts, ...]
    match: Match | None = field(repr=False, compare=False)

    def matches(self, arn: str, lookup: Lookup) -> bool:
        """Whether ``arn`` fits, with variables taken from the request."""
        if self.match:
            return self.match(arn)
        last = resolve(self.segments[-1], lookup)
        return last is not None and _whole((*self.segments[:-1], last))(arn)

    def covers(self, other: ArnPattern) -> bool:
        """True when it is proven that all that ``other`` matches matches here."""
        if not self.segments or self.text == other.text:
            return True
        pairs = zip(self.segments, other.segments, strict=False)
        return bool(other.segments) and all(covers(wide, narrow) for wide, narrow in pairs)


def compile_arn(text: str, *, variables: bool) -> ArnPattern | None:
    """Compile ``text``; ``None`` when it is neither an ARN pattern nor ``*``."""
    if text == "*":
        return ArnPattern(text, (), lambda _: True)
    cut = _cut(text)
    if len(cut) < SEGMENTS and not cut[-1].endswith("*"):
        return None
    # "arn:aws:s3*" leaves the rest open.
    heads = tuple(read(segment, wildcards=True, variables=False) for segment in cut[: SEGMENTS - 1])
    last = read(cut[-1], wildcards=True, variables=variables) if len(cut) == SEGMENTS else (Wild.ANY,)
    segments = (*heads, *((Wild.ANY,),) * (SEGMENTS - 1 - len(heads)), last)
    return ArnPattern(text, segments, None if has_variables(last) else _whole(segments))


def _cut(text: str) -> list[str]:
    """At the first five colons; a variable has no colon that counts, but none can start before the fifth either."""
    return text.split(":", SEGMENTS - 1)


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
