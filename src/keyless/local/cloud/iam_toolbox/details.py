"""The engine's decisions in IAM Toolbox's shapes: context, evaluations with their checks, policies. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from keyless.policy import ContextValue, Decision, Layer, Outcome, Principal, StatementTrace

Fields = dict[str, Any]

_EFFECTS = {
    Outcome.ALLOWED: "ALLOW",
    Outcome.EXPLICIT_DENY: "EXPLICIT_DENY",
    Outcome.IMPLICIT_DENY: "IMPLICIT_DENY",
    Outcome.UNKNOWN: "IMPLICIT_DENY",
}
#: layer → (the check's type, the policy's type), in the order of AWS's answers
_TYPES = {
    Layer.RCP: ("RESOURCE_CONTROL_POLICY", "RESOURCE_CONTROL_POLICY"),
    Layer.SCP: ("SERVICE_CONTROL_POLICY", "SERVICE_CONTROL_POLICY"),
    Layer.ENDPOINT: ("VPC_ENDPOINT", "VPC_ENDPOINT_POLICY"),
    Layer.TRUST: ("RESOURCE", "RESOURCE_BASED_POLICY"),
    Layer.RESOURCE: ("RESOURCE", "RESOURCE_BASED_POLICY"),
    Layer.IDENTITY: ("PRINCIPAL", "IDENTITY_BASED_POLICY"),
    Layer.BOUNDARY: ("PERMISSIONS_BOUNDARY", "PERMISSIONS_BOUNDARY"),
    Layer.SESSION: ("SESSION", "SESSION_POLICY"),
}
#: keys that belong to one question and not to the whole request
_OF_A_QUESTION = ("aws:requesttag/", "aws:resourcetag/", "aws:tagkeys")


def details(decisions: Sequence[Decision]) -> Fields:
    """The answer for the questions of one request, none of which may be missing."""
    policies: dict[str, Fields] = {}
    for decision in decisions:
        for one in decision.trace:
            policies.setdefault(_uri(one), _policy(one, decision))
    return {
        "requestContext": _context(decisions[0], of_question=False),
        "evaluations": [_evaluation(decision) for decision in decisions],
        "policies": list(policies.values()),
    }


def _context(decision: Decision, *, of_question: bool) -> dict[str, Any]:
    found: dict[str, ContextValue] = {
        key: value for key, value in decision.request.context.items() if _is_of_question(key) is of_question
    }
    return {key: list(value) if isinstance(value, tuple) else value for key, value in sorted(found.items())}


def _is_of_question(key: str) -> bool:
    lowered = key.lower()
    return not lowered.startswith("aws:") or lowered.startswith(_OF_A_QUESTION)


def _evaluation(decision: Decision) -> Fields:
    trace = decision.trace
    return {
        "action": decision.request.action,
        "resource": decision.request.resource,
        "context": _context(decision, of_question=True),
        "evaluatedEffect": _EFFECTS[decision.outcome],
        "matchedPolicies": _matched(trace),
        "checks": [check for layer in _TYPES for check in _checks(decision, layer, trace)],
    }


def _checks(decision: Decision, layer: Layer, trace: Iterable[StatementTrace]) -> list[Fields]:
    """One check for a kind of policy that bore on the decision: it has statements, or is what lacked the Allow."""
    here = [one for one in trace if one.layer is layer]
    applying = {one.effect for one in here if one.applies}
    if layer in (Layer.TRUST, Layer.RESOURCE) and layer is not decision.layer and not applying:
        return []  # within an account a resource's policy need not allow
    if not here and layer is not decision.layer and layer is not Layer.IDENTITY:
        return []
    effect = "EXPLICIT_DENY" if "Deny" in applying else "ALLOW" if applying else "IMPLICIT_DENY"
    check, policy = _TYPES[layer]
    return [
        {
            "checkType": check,
            "evaluatedEffect": effect,
            "relevantPolicyTypes": [policy],
            "matchedPolicies": _matched(here),
        }
    ]


def _matched(trace: Iterable[StatementTrace]) -> list[Fields]:
    found: dict[str, list[Fields]] = {}
    for one in trace:
        if one.applies:
            effect = {"sid": one.sid or f"Statement{one.index + 1}", "evaluatedEffect": one.effect.upper()}
            found.setdefault(_uri(one), []).append(effect)
    return [{"uri": uri, "matchedStatements": statements} for uri, statements in found.items()]


def _uri(trace: StatementTrace) -> str:
    """A managed policy's ARN; for an inline one an identifier that tells nothing."""
    if trace.document.startswith("arn:"):
        return trace.document
    return hashlib.sha256(f"{trace.layer.name} {trace.document}".encode()).hexdigest()[:32]


def _policy(trace: StatementTrace, decision: Decision) -> Fields:
    of_resource = trace.layer in (Layer.TRUST, Layer.RESOURCE)
    place = decision.request.resource if of_resource else _holder(decision.request.principal)
    fields: Fields = {
        "type": _TYPES[trace.layer][1],
        "inline": not trace.document.startswith("arn:"),
        "uri": _uri(trace),
    }
    return fields | ({"attachedTo": [{"arn": place}]} if place.startswith("arn:") else {})


def _holder(principal: Principal) -> str:
    return principal.role_arn or principal.arn
