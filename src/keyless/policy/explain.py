"""Words for people (being written)."""

from __future__ import annotations

from keyless.policy.evaluate import Decision


def explain(decision: Decision) -> list[str]:
    """Lines: the answer, the statement that decided, and per condition operator, key, expected and actual value."""
    raise NotImplementedError
