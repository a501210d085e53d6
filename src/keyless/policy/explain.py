"""Words for people: why a decision came out as it did, and what would have to change."""

from __future__ import annotations

from keyless.policy.evaluate import Decision
from keyless.policy.model import ConditionTrace, Outcome, Principal, StatementTrace


def explain(decision: Decision) -> list[str]:
    """Lines: the answer, the statement that decided, and per condition operator, key, expected and actual value.

    For a No without a deciding statement, the near misses: statements of the deciding kind of policy that fail in
    some parts, with the parts named.
    """
    request = decision.request
    question = f"{who(request.principal)}: {request.action} on {request.resource}"
    lines = [f"{decision.outcome.value}: {question}", *_reason(decision)]
    if decision.outcome is Outcome.IMPLICIT_DENY:
        lines += [f"  {miss}" for miss in near_misses(decision)]
    return lines + [f"  not read: {unread}" for unread in decision.unread]


def who(principal: Principal) -> str:
    """The caller in one word."""
    return principal.arn or principal.federated or principal.service or principal.kind


def near_misses(decision: Decision) -> list[str]:
    """What each Allow of the layer that decided would have needed; the closest first."""
    allows = [t for t in decision.trace if t.layer is decision.layer and t.effect == "Allow" and not t.applies]
    return [f"{trace.label}: {'; '.join(misses(trace))}" for trace in sorted(allows, key=lambda t: len(misses(t)))]


def misses(trace: StatementTrace) -> list[str]:
    """The parts of a statement that did not match the request."""
    parts = [
        f"its {name} does not match"
        for name, holds in (("Action", trace.action), ("Resource", trace.resource), ("Principal", trace.principal))
        if not holds
    ]
    return parts + [condition_line(condition) for condition in trace.conditions if not condition.holds]


def condition_line(condition: ConditionTrace) -> str:
    """``StringEquals host:sub: expected "a", found "b"``."""
    expected = " or ".join(f'"{value}"' for value in condition.expected)
    return f"{condition.operator} {condition.key}: expected {expected}, found {_found(condition)}"


def _found(condition: ConditionTrace) -> str:
    actual = condition.actual
    if actual is None:
        return "nothing (the key is absent)"
    return f'"{actual}"' if isinstance(actual, str) else "[" + ", ".join(f'"{value}"' for value in actual) + "]"


def _reason(decision: Decision) -> list[str]:
    by = decision.decided_by
    if by is not None:
        verb = "denies" if by.effect == "Deny" else "allows"
        conditions = [f"    {condition_line(condition)}" for condition in by.conditions]
        return [f"  {by.label} ({by.layer.value}) {verb} it", *conditions]
    if decision.outcome is Outcome.IMPLICIT_DENY and decision.layer:
        return [f"  no {decision.layer.value} allows it"]
    if decision.outcome is Outcome.UNKNOWN:
        return ["  nothing that could be read denies it, but not everything could be read"]
    return ["  allowed without a policy"]
