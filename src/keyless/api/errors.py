"""The three kinds of failure, named after the caller's next move, and refusals as values.

    KeylessError
    ├── Transient   try again, after ``retry_after_seconds`` where it is known
    ├── Permanent   trying again changes nothing: someone must act; the message says what
    └── Bug         our own mistake: report it

A refusal (denied, invalid, not yet) is not a failure: pure code returns a :class:`Refusal`.
"""

from __future__ import annotations

from dataclasses import dataclass

from keyless.api.reasons import Reason


class KeylessError(Exception):
    """The base of all failures that this project raises on purpose."""


class Transient(KeylessError):
    """The same request may succeed later."""

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class Permanent(KeylessError):
    """The same request will fail again until someone changes something."""


class Bug(KeylessError):
    """An invariant of ours does not hold."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer of "no": ``reason`` from the catalogue, ``detail`` with subject, expected, found and next step."""

    reason: Reason
    detail: str
