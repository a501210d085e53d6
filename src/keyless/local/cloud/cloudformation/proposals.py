"""What a template would change: the checks before a stack is touched, and the list that a change set shows. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from keyless.local.cloud.cloudformation.intrinsics import Scope, resolve
from keyless.local.cloud.cloudformation.kinds import KINDS
from keyless.local.cloud.cloudformation.kinds.kind import with_tags
from keyless.local.cloud.cloudformation.model import Declared, Resource, Stack, Wish
from keyless.local.cloud.cloudformation.target import outputs_of, target_of
from keyless.local.cloud.cloudformation.template import Template
from keyless.local.cloud.errors import AwsError, validation

NOTHING = "No updates are to be performed."
_UNKNOWN_YET = object()


def acknowledged(template: Template, capabilities: tuple[str, ...]) -> None:
    """Raise unless the caller acknowledges what the template makes of IAM."""
    for needed in template.capabilities:
        enough = {needed, "CAPABILITY_NAMED_IAM"}
        if not enough & set(capabilities):
            text = f"Requires capabilities : [{needed}]"
            raise AwsError("InsufficientCapabilitiesException", text, status=400)


def same_types(stack: Stack, wish: Wish) -> None:
    """Raise where a resource would become one of another type under its name."""
    changed = [
        one.logical_id
        for one in target_of(wish, stack.id).declared
        if one.logical_id in stack.resources and stack.resources[one.logical_id].type != one.type
    ]
    if changed:
        text = "Update of resource type is not permitted. The new template modifies resource type of the following"
        raise validation(f"{text} resources: [{', '.join(changed)}]")


def is_same(stack: Stack, wish: Wish) -> bool:
    """Whether the wish changes nothing: no resource, no tag, no output."""
    if dict(stack.wish.tags) != dict(wish.tags) or changes(stack, wish):
        return False
    return outputs_of(replace(stack, wish=wish)) == stack.outputs


def changes(stack: Stack, wish: Wish) -> list[dict[str, Any]]:
    """The changes that a wish brings, as DescribeChangeSet lists them."""
    target = target_of(wish, stack.id, stack.notification_arns)
    found = [change for one in target.declared if (change := _change(stack, one, wish, target.scope))]
    wanted = {one.logical_id for one in target.declared}
    gone = [one for one in stack.resources.values() if one.exists and one.logical_id not in wanted]
    return found + [_listed("Remove", one.logical_id, one.type, one.physical_id) for one in gone]


def _change(stack: Stack, declared: Declared, wish: Wish, scope: Scope) -> dict[str, Any] | None:
    found = stack.resources.get(declared.logical_id)
    if found is None or not found.exists:
        return _listed("Add", declared.logical_id, declared.type)
    kind = KINDS[declared.type]
    properties = with_tags(kind, _foreseen(declared, stack, scope), wish.tags)
    differing = sorted(
        name for name in {*found.properties, *properties} if found.properties.get(name) != properties.get(name)
    )
    if not differing:
        return None
    listed = _listed("Modify", declared.logical_id, declared.type, found.physical_id)
    replaces = set(differing) & kind.immutable
    listed["ResourceChange"] |= {
        "Replacement": "True" if replaces else "False",
        "Scope": ["Properties"],
        "Details": [_detail(name, is_recreated=name in kind.immutable) for name in differing],
    }
    return listed


def _foreseen(declared: Declared, stack: Stack, scope: Scope) -> Mapping[str, Any]:
    """The properties as far as they are known before anything is made."""
    known: dict[str, Resource] = dict(stack.resources)
    whole = replace(scope, resources=known)
    foreseen: dict[str, Any] = {}
    for name, value in declared.properties.items():
        try:
            foreseen |= resolve({name: value}, whole)
        except AwsError:
            foreseen[name] = _UNKNOWN_YET
    return foreseen


def _listed(action: str, name: str, kind: str, physical_id: str = "") -> dict[str, Any]:
    change: dict[str, Any] = {
        "Action": action,
        "LogicalResourceId": name,
        "ResourceType": kind,
        "Scope": [],
        "Details": [],
    }
    if physical_id:
        change["PhysicalResourceId"] = physical_id
    return {"Type": "Resource", "ResourceChange": change}


def _detail(name: str, *, is_recreated: bool) -> dict[str, Any]:
    target = {"Attribute": "Properties", "Name": name, "RequiresRecreation": "Always" if is_recreated else "Never"}
    return {"Target": target, "Evaluation": "Static", "ChangeSource": "DirectModification"}
