"""The values: a recorded call, how long was watched, and what is left of a policy."""

from __future__ import annotations

from dataclasses import dataclass

from keyless.policy.amend import Written

ANYWHERE = "*"
"""The resource of a call whose record names none: it may have been any that the action reaches."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call that a role's session made and that was allowed; ``time`` in ISO 8601 (UTC)."""

    role: str
    action: str
    resource: str
    time: str


@dataclass(frozen=True, slots=True)
class Span:
    """From the first recorded call to the last, of anybody: the record was kept for at least so long.

    ``skipped``: how many parts of the record were no call that can be read, by what they were. ``objects``: whether
    calls on objects of S3 are in it, which CloudTrail stores only where it was told to.
    """

    first: str = ""
    last: str = ""
    calls: int = 0
    skipped: tuple[tuple[str, int], ...] = ()
    objects: bool = True


@dataclass(frozen=True, slots=True)
class Tightened:
    """``unused``: what is granted and was never used; ``kept``: what was left as it is, and why."""

    document: Written
    unused: tuple[str, ...]
    kept: tuple[str, ...]
    lines: tuple[str, ...]
