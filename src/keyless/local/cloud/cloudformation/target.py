"""From a wish (template, parameters) to what a plan aims at, and to a stack's outputs. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keyless.local.cloud.cloudformation import parameters
from keyless.local.cloud.cloudformation.documents import MISSHAPEN
from keyless.local.cloud.cloudformation.intrinsics import (
    NO_VALUE,
    Scope,
    decide_conditions,
    references,
    resolve,
    without_conditions,
)
from keyless.local.cloud.cloudformation.model import Declared, Resource, Stack, Wish
from keyless.local.cloud.cloudformation.plan import Target
from keyless.local.cloud.cloudformation.template import Template, depends_on, in_order, parse
from keyless.local.cloud.errors import AwsError


def target_of(wish: Wish, stack_id: str, notification_arns: tuple[str, ...] = ()) -> Target:
    """What a stack with this wish aims at; one in review wants nothing yet."""
    if not wish.template:
        return Target((), Scope({}))
    template = parse(wish.template)
    scope = scope_of(template, wish, stack_id, notification_arns)
    declared = {
        name: _declared(name, body, scope)
        for name, body in template.resources.items()
        if scope.conditions.get(str(body.get("Condition")), True)
    }
    needed = {
        name: {one.name for one in references(dict(found.properties))} & set(declared)
        for name, found in declared.items()
    }
    for name, needs in depends_on(template):
        if name in declared and needs in declared:
            needed[name].add(needs)
    return Target([declared[name] for name in in_order(needed)], scope)


def scope_of(template: Template, wish: Wish, stack_id: str, notification_arns: tuple[str, ...] = ()) -> Scope:
    """What names mean in a template, but for its resources."""
    _, _, _, region, account, resource = stack_id.split(":", 5)
    pseudo = {
        "AWS::AccountId": account,
        "AWS::NotificationARNs": list(notification_arns),
        "AWS::Partition": "aws",
        "AWS::Region": region,
        "AWS::StackId": stack_id,
        "AWS::StackName": resource.split("/")[1],
        "AWS::URLSuffix": "amazonaws.com",
    }
    given = {**pseudo, **parameters.typed(template, wish.parameters)}
    scope = Scope(given, template.mappings)
    return Scope(given, template.mappings, decide_conditions(template.conditions, scope))


def _declared(name: str, body: Mapping[str, Any], scope: Scope) -> Declared:
    properties = without_conditions(dict(body.get("Properties") or {}), scope.conditions)
    return Declared(name, str(body["Type"]), properties, deletion=str(body.get("DeletionPolicy", "Delete")))


def outputs_of(stack: Stack) -> tuple[dict[str, str], ...]:
    """The outputs of a stack whose resources are all there; one that cannot be worked out is left away."""
    template = parse(stack.wish.template)
    scope = scope_of(template, stack.wish, stack.id, stack.notification_arns)
    found = []
    for name, body in template.outputs.items():
        if not scope.conditions.get(str(body.get("Condition")), True):
            continue
        value = _output(body, scope, stack.resources)
        if value is not None:
            one = {"OutputKey": name, "OutputValue": value}
            if "Description" in body:
                one["Description"] = str(body["Description"])
            found.append(one)
    return tuple(found)


def _output(body: Mapping[str, Any], scope: Scope, resources: Mapping[str, Resource]) -> str | None:
    whole = Scope(scope.parameters, scope.mappings, scope.conditions, resources)
    try:
        value = resolve(without_conditions(body.get("Value"), scope.conditions), whole)
    except (AwsError, *MISSHAPEN):
        return None
    if value is NO_VALUE or value is None or isinstance(value, dict | list):
        return None
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
