"""The simulator's answers: the engine's decisions in IAM's shapes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from keyless.local.cloud.authorise import compiled
from keyless.local.cloud.call import Call
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.iam import shapes
from keyless.local.cloud.iam.positions import Position, statement_positions
from keyless.policy import (
    ContextValue,
    Decision,
    Kind,
    Layer,
    MalformedPolicy,
    Named,
    Outcome,
    Policies,
    Principal,
    Request,
    StatementTrace,
    evaluate,
)

_DECISIONS = {
    Outcome.ALLOWED: "allowed",
    Outcome.EXPLICIT_DENY: "explicitDeny",
    Outcome.IMPLICIT_DENY: "implicitDeny",
    Outcome.UNKNOWN: "implicitDeny",
}
_STRICTEST = ("explicitDeny", "implicitDeny", "allowed")
# The types that AWS's answers carry; the model's enumeration has others.
_TYPES = {Layer.IDENTITY: "IAM Policy", Layer.RESOURCE: "Resource Policy"}
Fields = dict[str, Any]


def invalid(text: str) -> AwsError:
    """InvalidInput."""
    return AwsError("InvalidInput", text, status=400)


@dataclass(slots=True)
class Texts:
    """The documents of a simulation, and their texts by the name that answers call them by."""

    texts: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, text: str, kind: Kind) -> Named:
        """Compile a document that is told; refused as InvalidInput where it is none."""
        try:
            document = compiled(text, kind)
        except MalformedPolicy as error:
            raise invalid(f"{name}: {error}") from None
        self.texts[name] = text
        return Named(name, document)

    def all(self, prefix: str, texts: Iterable[str], kind: Kind) -> tuple[Named, ...]:
        """Several, numbered from 1 as AWS does."""
        return tuple(self.add(f"{prefix}.{number}", text, kind) for number, text in enumerate(texts, 1))

    def span(self, trace: StatementTrace) -> tuple[Position, Position]:
        """Where a statement stands in its document."""
        return statement_positions(self.texts[trace.document])[trace.index]


@dataclass(frozen=True, slots=True)
class Simulation:
    """What is asked again and again, with another action and resource each time."""

    policies: Policies
    texts: Texts
    caller: Principal
    context: Mapping[str, ContextValue]
    owner: str

    def decide(self, action: str, resource: str) -> Decision:
        """One action on one resource."""
        return evaluate(Request(action, resource, self.caller, self.context, self.owner), self.policies)


def answer(call: Call, simulation: Simulation) -> Fields:
    """One page of results: each action on all resources."""
    resources: list[str] = call.params.get("ResourceArns", [])
    results = [_result(simulation, action, resources) for action in call.params["ActionNames"]]
    return shapes.page(call, "EvaluationResults", results)


def _result(simulation: Simulation, action: str, resources: list[str]) -> Fields:
    if action.count(":") != 1 or "*" in action:
        raise invalid(f"Invalid action name {action}: expected service:Operation.")
    each = [_on_resource(simulation, simulation.decide(action, resource)) for resource in resources or ["*"]]
    decisions = [one["EvalResourceDecision"] for one in each]
    result: Fields = {
        "EvalActionName": action,
        "EvalResourceName": each[0]["EvalResourceName"] if len(each) == 1 else "*",
        "EvalDecision": min(decisions, key=_STRICTEST.index),
        "MatchedStatements": _union(one["MatchedStatements"] for one in each),
        "MissingContextValues": _union(one["MissingContextValues"] for one in each),
    }
    if "PermissionsBoundaryDecisionDetail" in each[0]:
        within = [one["PermissionsBoundaryDecisionDetail"]["AllowedByPermissionsBoundary"] for one in each]
        result["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": all(within)}
    if simulation.policies.scps:
        allowed = [one.pop("_within") for one in each]
        result["OrganizationsDecisionDetail"] = {"AllowedByOrganizations": all(allowed)}
    if resources:
        result["ResourceSpecificResults"] = each
        result["EvalDecisionDetails"] = each[0].get("EvalDecisionDetails", {})
    return result


def _on_resource(simulation: Simulation, decision: Decision) -> Fields:
    trace = decision.trace
    fields: Fields = {
        "EvalResourceName": decision.request.resource,
        "EvalResourceDecision": _DECISIONS[decision.outcome],
        "MatchedStatements": [_statement(simulation.texts, one) for one in _matched(decision, trace)],
        "MissingContextValues": _missing(trace),
    }
    if simulation.policies.boundary:
        within = _summary(trace, Layer.BOUNDARY) == "allowed"
        fields["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": within}
    if simulation.policies.scps:
        fields["_within"] = decision.layer is not Layer.SCP
    if simulation.owner and simulation.owner != simulation.caller.account:
        fields["EvalDecisionDetails"] = {kind: _summary(trace, layer) for layer, kind in _TYPES.items()}
    return fields


def _matched(decision: Decision, trace: tuple[StatementTrace, ...]) -> list[StatementTrace]:
    """What decided: the Denies if there is one, else the Allows; nothing where nothing decided. SCPs never show."""
    if decision.outcome is Outcome.IMPLICIT_DENY:
        return []
    effect = "Deny" if decision.outcome is Outcome.EXPLICIT_DENY else "Allow"
    return [one for one in trace if one.applies and one.effect == effect and one.layer in _TYPES]


def _statement(texts: Texts, trace: StatementTrace) -> Fields:
    start, end = texts.span(trace)
    return {
        "SourcePolicyId": trace.document,
        "SourcePolicyType": _TYPES[trace.layer],
        "StartPosition": start,
        "EndPosition": end,
    }


def _missing(trace: tuple[StatementTrace, ...]) -> list[str]:
    """Keys that statements about this very request test, and that nobody told."""
    about = (one for one in trace if one.action and one.resource and one.principal and one.layer in _TYPES)
    return sorted({condition.key for one in about for condition in one.conditions if condition.actual is None})


def _summary(trace: tuple[StatementTrace, ...], layer: Layer) -> str:
    effects = {one.effect for one in trace if one.layer is layer and one.applies}
    return "explicitDeny" if "Deny" in effects else "allowed" if effects else "implicitDeny"


def _union(lists: Iterable[list[Any]]) -> list[Any]:
    found: list[Any] = []
    for one in (item for items in lists for item in items):
        if one not in found:
            found.append(one)
    return found
