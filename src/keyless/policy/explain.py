"""Words for people: why a decision came out as it did, and what would have to change."""

from __future__ import annotations

from keyless.policy.evaluate import Decision
from keyless.policy.model import ConditionTrace, Outcome, Principal, StatementTrace
from keyless.policy.statements import Statement

# So many of an element's entries are shown: enough to see a slip, and a line stays a line.
_SHOWN = 5


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
    ordered = sorted(allows, key=lambda trace: len(misses(trace)))
    return [f"{trace.label}: {'; '.join(misses(trace, _statement(decision, trace)))}" for trace in ordered]


def misses(trace: StatementTrace, statement: Statement | None = None) -> list[str]:
    """The parts of a statement that did not match the request, each with what the ``statement`` lists instead."""
    parts = [
        f"its {name} does not match{_listed(name, statement)}"
        for name, holds in (("Action", trace.action), ("Resource", trace.resource), ("Principal", trace.principal))
        if not holds
    ]
    return parts + [condition_line(condition) for condition in trace.conditions if not condition.holds]


def _statement(decision: Decision, trace: StatementTrace) -> Statement | None:
    """The statement that a trace is of."""
    known = decision.policies
    sources = (*known.identity, *known.session, known.resource, known.boundary, known.endpoint)
    grouped = (source for level in (*known.scps, *known.rcps) for source in level)
    for source in (*sources, *grouped):
        if source is not None and source.document is not None and source.name == trace.document:
            return next((one for one in source.document.statements if one.index == trace.index), None)
    return None


def _listed(name: str, statement: Statement | None) -> str:
    """What an element lists, a few of many; nothing for principals, whose entries have no one form."""
    if statement is None:
        return ""
    if name == "Action":
        texts, negated = statement.actions.names, statement.actions.negated
    elif name == "Resource" and statement.resources is not None:
        texts, negated = tuple(one.text for one in statement.resources.patterns), statement.resources.negated
    else:
        return ""
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return f" ({'all but' if negated else 'it lists'} {', '.join(texts[:_SHOWN])}{more})"


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
