"""An answer as lines for people and as JSON for programs. Pure."""

from __future__ import annotations

from keyless.identity.explain.model import Answer, Verdict
from keyless.identity.verify import Link, State
from keyless.policy import Decision, StatementTrace
from keyless.policy import explain as decision_lines

_WAYS = {"irsa": "by its annotation", "pod-identity": "by an association", "": "no way to a role"}
_NOT_LOOKED_AT = "service control, resource control and VPC endpoint policies"


def render_text(answer: Answer) -> str:
    """Plain lines: the verdict, the links that do not hold, the decision, what is missing for certainty."""
    question = answer.question
    lines = [
        f"{answer.verdict}: {question.namespace}/{question.service_account}: {question.action} on {question.resource}",
        f"  role      {answer.role_arn or 'none'} ({_WAYS[answer.way]})",
        *(line for link in answer.links if link.state in (State.BROKEN, State.UNKNOWN) for line in _link(link)),
    ]
    if answer.decision:
        lines += [f"  {answer.decision.outcome} for a session of the role"]
        lines += [f"  {line}" for line in decision_lines(answer.decision)[1:]]
    if answer.key:
        request = answer.key.request
        lines += [f"  key       {answer.key.outcome}: {request.action} on {request.resource}"]
        lines += [f"  {line}" for line in decision_lines(answer.key)[1:]]
    known = set(answer.decision.unread if answer.decision else ()) | set(answer.key.unread if answer.key else ())
    lines += [f"  not seen  {each}" for each in answer.unread if each not in known]
    if answer.untold:
        told = " ".join(f"--context '{key}=VALUE'" for key in answer.untold)
        lines.append(f"  hangs on  {', '.join(answer.untold)}: tell it with {told}")
    if answer.verdict is not Verdict.DENIED:
        lines.append(f"  not seen  {_NOT_LOOKED_AT}")
    return "\n".join(lines)


def _link(link: Link) -> list[str]:
    lines = [f"  {link.state.value.lower():<9} {link.name}: {link.found}"]
    lines += [f"  expected  {link.expected}"] if link.state is State.BROKEN else []
    lines += [f"  advice    {link.advice}"] if link.advice else []
    lines += [f"  change    {line}" for line in link.diff]
    return lines + ([f"  fix       {link.fix}"] if link.fix else [])


def render_json(answer: Answer) -> dict[str, object]:
    """One object; the same words as in the text, and the whole trace."""
    decision, question = answer.decision, answer.question
    by = decision.decided_by if decision else None
    return {
        "serviceAccount": f"{question.namespace}/{question.service_account}",
        "action": question.action,
        "resource": question.resource,
        "verdict": answer.verdict.value,
        "role": answer.role_arn or None,
        "mode": answer.way or None,
        "outcome": decision.outcome.value if decision else None,
        "layer": decision.layer.value if decision and decision.layer else None,
        "decidedBy": _statement(by) if by else None,
        "key": _key(answer.key) if answer.key else None,
        "unread": list(answer.unread),
        "untold": list(answer.untold),
        "links": [
            {
                "name": link.name,
                "state": link.state.value,
                "reason": link.reason.value if link.reason else None,
                "expected": link.expected,
                "found": link.found,
                "fix": link.fix or None,
                "advice": link.advice or None,
                "diff": list(link.diff),
            }
            for link in answer.links
        ],
        "trace": [_statement(one) for one in decision.trace] if decision else [],
        "notSeen": _NOT_LOOKED_AT,
    }


def _key(decision: Decision) -> dict[str, object]:
    by = decision.decided_by
    return {
        "action": decision.request.action,
        "resource": decision.request.resource,
        "outcome": decision.outcome.value,
        "layer": decision.layer.value if decision.layer else None,
        "decidedBy": _statement(by) if by else None,
    }


def _statement(trace: StatementTrace) -> dict[str, object]:
    return {
        "layer": trace.layer.value,
        "document": trace.document,
        "index": trace.index,
        "sid": trace.sid or None,
        "effect": trace.effect,
        "applies": trace.applies,
        "action": trace.action,
        "resource": trace.resource,
        "principal": trace.principal,
        "conditions": [
            {
                "operator": condition.operator,
                "key": condition.key,
                "expected": list(condition.expected),
                "actual": condition.actual,
                "holds": condition.holds,
            }
            for condition in trace.conditions
        ],
    }
