"""The simulator's answers: the engine's decisions in IAM's shapes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import orjson

from keyless.local.cloud.authorise import compiled
from keyless.local.cloud.call import Call
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.iam import shapes
from keyless.local.cloud.iam.context_keys import variables_of
from keyless.local.cloud.iam.known_actions import takes_resources
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
_SHOWN = {**_TYPES, Layer.BOUNDARY: "IAM Policy"}
_OF_TRUST = ("sts:assumerole", "sts:tagsession", "sts:setsourceidentity")
_OF_THE_CALLER = ("aws:principalarn", "aws:principalaccount", "aws:principaltype", "aws:userid", "aws:username")
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
        return _positions(self.texts[trace.document])[trace.index]

    def variables(self, trace: StatementTrace) -> tuple[str, ...]:
        """The context keys that a statement's policy variables need."""
        return variables_of(self.texts[trace.document], trace.index)


@lru_cache(maxsize=16)
def _trusting(account: str) -> Named:
    """The trust policy that a simulation takes for granted, since none can be told: whoever of the account may."""
    statement = {"Effect": "Allow", "Principal": {"AWS": account}, "Action": "sts:*"}
    text = orjson.dumps({"Version": "2012-10-17", "Statement": [statement]}).decode()
    return Named("trust policy", compiled(text, "trust"))


@lru_cache(maxsize=256)
def _positions(text: str) -> list[tuple[Position, Position]]:
    return statement_positions(text)


@dataclass(frozen=True, slots=True)
class Simulation:
    """What is asked again and again, with another action and resource each time."""

    policies: Policies
    texts: Texts
    caller: Principal
    context: Mapping[str, ContextValue]
    #: the account that owns what names no account in its ARN; empty where nobody told
    owner: str

    def decide(self, action: str, resource: str) -> Decision:
        """One action on one resource; an action that knows no resources is asked on "*", whatever was named."""
        asked = resource if takes_resources(action) else "*"
        policies = self.policies
        if policies.resource is None and action.lower().startswith(_OF_TRUST):
            policies = replace(policies, resource=_trusting(self.caller.account))
        return evaluate(Request(action, asked, self.caller, self.context, self.owner_of(resource)), policies)

    def owner_of(self, resource: str) -> str:
        """Whose the resource is: as its ARN says, else as was told, else the caller's. An ARN alone makes no question
        between two accounts: without a resource's policy there is only the caller's side to simulate."""
        segments = resource.split(":", 5)
        named = segments[4] if len(segments) == 6 else ""
        if self.policies.resource is None:
            named = ""
        return named or self.owner or self.caller.account

    def is_missing(self, key: str) -> bool:
        """Whether nobody told a context key, and it does not follow from the caller."""
        lowered = key.lower()
        return lowered not in _OF_THE_CALLER and lowered not in {told.lower() for told in self.context}


def answer(call: Call, simulation: Simulation) -> Fields:
    """One page of results: each action on all resources."""
    resources: list[str] = call.params.get("ResourceArns", [])
    for resource in resources:
        if resource != "*" and not resource.startswith("arn:"):
            raise invalid(f'Invalid resource {resource}: expected an ARN or "*".')
    for action in call.params["ActionNames"]:
        if action.count(":") != 1 or "*" in action:
            raise invalid(f"Invalid action name {action}: expected service:Operation.")
    page = shapes.page(call, "EvaluationResults", call.params["ActionNames"])
    page["EvaluationResults"] = [_result(simulation, action, resources) for action in page["EvaluationResults"]]
    return page


def _result(simulation: Simulation, action: str, resources: list[str]) -> Fields:
    each = [_on_resource(simulation, action, resource) for resource in resources or ["*"]]
    decisions = [one["EvalResourceDecision"] for one in each]
    organisation = [one.pop("_organisation") for one in each]
    result: Fields = {
        "EvalActionName": action,
        "EvalResourceName": each[0]["EvalResourceName"] if len(each) == 1 else "*",
        "EvalDecision": min(decisions, key=_STRICTEST.index),
        "MatchedStatements": _union(one["MatchedStatements"] for one in each),
        # Where resources are named, each has its own.
        "MissingContextValues": [] if resources else each[0]["MissingContextValues"],
    }
    if simulation.policies.boundary:
        within = [one["PermissionsBoundaryDecisionDetail"]["AllowedByPermissionsBoundary"] for one in each]
        result["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": all(within)}
    if simulation.policies.scps:
        result["OrganizationsDecisionDetail"] = {"AllowedByOrganizations": all(organisation)}
    if resources:
        result["ResourceSpecificResults"] = each
        result["EvalDecisionDetails"] = each[0].get("EvalDecisionDetails", {})
    return result


def _on_resource(simulation: Simulation, action: str, resource: str) -> Fields:
    decision = simulation.decide(action, resource)
    trace = decision.trace_of_action
    fields: Fields = {
        "EvalResourceName": resource,
        "EvalResourceDecision": _DECISIONS[decision.outcome],
        "MatchedStatements": [_statement(simulation.texts, one) for one in _matched(decision, trace)],
        "MissingContextValues": _missing(simulation, trace),
        "_organisation": _allowed_by_organisation(simulation, trace),
    }
    if simulation.policies.boundary:
        within = _summary(trace, Layer.BOUNDARY) == "allowed"
        fields["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": within}
    if simulation.owner_of(resource) != simulation.caller.account:
        fields["EvalDecisionDetails"] = {kind: _summary(trace, layer) for layer, kind in _TYPES.items()}
    return fields


def _allowed_by_organisation(simulation: Simulation, trace: tuple[StatementTrace, ...]) -> bool:
    """Whether every level of service control policies allows, whatever else decided."""
    levels = [{source.name for source in level} for level in simulation.policies.scps]
    of_level = [[one for one in trace if one.layer is Layer.SCP and one.document in names] for names in levels]
    return all(_summary(tuple(statements), Layer.SCP) == "allowed" for statements in of_level)


def _matched(decision: Decision, trace: tuple[StatementTrace, ...]) -> list[StatementTrace]:
    """What decided: the Denies if there is one, else the Allows; nothing where nothing decided. SCPs never show."""
    if decision.outcome is Outcome.IMPLICIT_DENY:
        return []
    effect = "Deny" if decision.outcome is Outcome.EXPLICIT_DENY else "Allow"
    layers = _SHOWN if effect == "Deny" else _TYPES  # a boundary grants nothing
    return [one for one in trace if one.applies and one.effect == effect and one.layer in layers]


def _statement(texts: Texts, trace: StatementTrace) -> Fields:
    start, end = texts.span(trace)
    return {
        "SourcePolicyId": trace.document,
        "SourcePolicyType": _SHOWN[trace.layer],
        "StartPosition": start,
        "EndPosition": end,
    }


def _missing(simulation: Simulation, trace: tuple[StatementTrace, ...]) -> list[str]:
    """Keys that statements about this request ask for, in conditions or variables, and that nobody told."""
    found: dict[str, str] = {}
    for one in trace:
        if not (one.principal and one.layer in _SHOWN):
            continue
        variables = simulation.texts.variables(one)
        # A resource with a variable that nobody told matches nothing, so it cannot tell whether it is meant.
        if one.resource or variables:
            keys = [*(condition.key for condition in one.conditions), *variables]
            found.update({key.lower(): key for key in keys if simulation.is_missing(key)})
    return sorted(found.values())


def _summary(trace: tuple[StatementTrace, ...], layer: Layer) -> str:
    effects = {one.effect for one in trace if one.layer is layer and one.applies}
    return "explicitDeny" if "Deny" in effects else "allowed" if effects else "implicitDeny"


def _union(lists: Iterable[list[Any]]) -> list[Any]:
    found: list[Any] = []
    for one in (item for items in lists for item in items):
        if one not in found:
            found.append(one)
    return found
