"""Decide (being written)."""

from __future__ import annotations

from dataclasses import dataclass, field

from keyless.policy.model import Layer, Outcome, Policies, Request, StatementTrace


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to a request and everything that led to it.

    ``layer``: the kind of policy that decided (the one lacking an Allow, or holding the Deny); ``None`` when allowed
    without any policy (root, GetCallerIdentity). ``decided_by``: the statement that decided, if one did. ``unread``:
    what could not be read, as "name: why".
    """

    outcome: Outcome
    layer: Layer | None
    decided_by: StatementTrace | None
    unread: tuple[str, ...]
    request: Request = field(repr=False)
    policies: Policies = field(repr=False)

    @property
    def allowed(self) -> bool:
        """True only for a certain Allow."""
        return self.outcome is Outcome.ALLOWED

    @property
    def trace(self) -> tuple[StatementTrace, ...]:
        """Every statement of every readable document, computed when asked."""
        raise NotImplementedError


def evaluate(request: Request, policies: Policies) -> Decision:
    """Decide ``request`` under ``policies``; never raises."""
    raise NotImplementedError
