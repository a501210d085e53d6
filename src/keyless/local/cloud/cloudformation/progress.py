"""What a stack's record is after a step, and the events that tell of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from keyless.local.cloud.cloudformation.kinds import Made
from keyless.local.cloud.cloudformation.model import Resource, Stack
from keyless.local.cloud.cloudformation.plan import CLEANING, Become, Change, Fail, Make, Remove, Restore

STACK_TYPE = "AWS::CloudFormation::Stack"


@dataclass(frozen=True, slots=True)
class Told:
    """One event: what it is about, its status and why."""

    logical_id: str
    type: str
    status: str
    physical_id: str = ""
    reason: str = ""
    properties: Mapping[str, Any] | None = None


def event_of(told: Told, stack: Stack, event_id: str, now: float) -> dict[str, Any]:
    """The event as DescribeStackEvents lists it."""
    body: dict[str, Any] = {
        "StackId": stack.id,
        "EventId": event_id,
        "StackName": stack.name,
        "LogicalResourceId": told.logical_id,
        "PhysicalResourceId": told.physical_id,
        "ResourceType": told.type,
        "Timestamp": now,
        "ResourceStatus": told.status,
    }
    if told.reason:
        body["ResourceStatusReason"] = told.reason
    if told.properties is not None:
        body["ResourceProperties"] = orjson.dumps(told.properties).decode()
    if stack.request_token:
        body["ClientRequestToken"] = stack.request_token
    return body


def of_stack(stack: Stack) -> Told:
    """The event of a stack's own status."""
    return Told(stack.name, STACK_TYPE, stack.status, stack.id, stack.reason)


def of_resource(one: Resource) -> Told:
    """The event of a resource's status."""
    return Told(one.logical_id, one.type, one.status, one.physical_id, one.reason, dict(one.properties))


def of_made(one: Resource, *, is_new: bool) -> tuple[Told, ...]:
    """The events of a resource that is there now: a new one is told with its id before it is complete."""
    told = of_resource(one)
    if not is_new:
        return (told,)
    return replace(told, status="CREATE_IN_PROGRESS", reason="Resource creation Initiated"), told


def began(stack: Stack, step: Make | Change, now: float) -> Stack:
    """A resource is being made or changed."""
    declared = step.declared
    found = stack.resources.get(declared.logical_id)
    if isinstance(step, Make) and not step.replaces:
        one = Resource(
            declared.logical_id,
            declared.type,
            "CREATE_IN_PROGRESS",
            now,
            properties=step.properties,
            deletion=declared.deletion,
            generation=found.generation if found else 0,
        )
    else:
        assert found is not None
        one = replace(found, status="UPDATE_IN_PROGRESS", changed_at=now, reason="")
        if isinstance(step, Make):
            text = "Requested update requires the creation of a new physical resource; hence creating one."
            one = replace(one, reason=text)
    return _with(stack, one)


def done(stack: Stack, step: Make | Change, made: Made, now: float) -> Stack:
    """A resource was made or changed; one that was replaced is put aside."""
    found = stack.resources[step.declared.logical_id]
    replaces = isinstance(step, Make) and step.replaces
    one = replace(
        found,
        status="CREATE_COMPLETE" if isinstance(step, Make) and not replaces else "UPDATE_COMPLETE",
        changed_at=now,
        reason="",
        physical_id=made.physical_id,
        properties=step.properties,
        attributes=dict(made.attributes),
        deletion=step.declared.deletion,
        generation=found.generation + 1,
    )
    leftovers = (found, *stack.leftovers) if replaces else stack.leftovers
    return _with(replace(stack, leftovers=leftovers), one)


def failed(stack: Stack, step: Make | Change | Fail, reason: str, now: float) -> Stack:
    """A resource could not be made or changed; it is as it was."""
    declared = step.declared
    found = stack.resources.get(declared.logical_id)
    if found is None:
        found = Resource(declared.logical_id, declared.type, "", now)
    status = "UPDATE_FAILED" if found.exists else "CREATE_FAILED"
    return _with(stack, replace(found, status=status, changed_at=now, reason=reason))


def restored(stack: Stack, step: Restore, now: float) -> Stack:
    """The resource that was put aside is the stack's again; what replaced it is to go."""
    old = next(one for one in stack.leftovers if one.logical_id == step.logical_id)
    new = stack.resources[step.logical_id]
    leftovers = (new, *(one for one in stack.leftovers if one is not old))
    back = replace(old, status="UPDATE_COMPLETE", changed_at=now, reason="", generation=new.generation)
    return _with(replace(stack, leftovers=leftovers), back)


def removing(step: Remove, now: float) -> Resource:
    """The resource as it is called while it is removed."""
    return replace(step.resource, status="DELETE_IN_PROGRESS", changed_at=now, reason="")


def removed(stack: Stack, step: Remove, now: float, reason: str = "") -> tuple[Stack, Resource]:
    """The stack without the resource, or with one that could not be removed; and the resource's last state.

    While an update cleans up, a resource that cannot be removed is let go: the update has succeeded.
    """
    status = "DELETE_FAILED" if reason else "DELETE_SKIPPED" if step.kept else "DELETE_COMPLETE"
    one = replace(step.resource, status=status, changed_at=now, reason=reason)
    if step.resource in stack.leftovers:
        return replace(stack, leftovers=tuple(o for o in stack.leftovers if o != step.resource)), one
    if stack.status in CLEANING:
        kept = {name: o for name, o in stack.resources.items() if name != one.logical_id}
        return replace(stack, resources=kept), one
    return _with(stack, one), one


def became(stack: Stack, step: Become, now: float) -> Stack:
    """The stack in its next status."""
    changed = replace(stack, status=step.status, reason=step.reason.strip())
    if step.status == "UPDATE_ROLLBACK_IN_PROGRESS":
        assert stack.before is not None
        return settled(replace(changed, wish=stack.before, before=stack.wish))
    if step.status == "DELETE_COMPLETE":
        return replace(changed, deleted_at=now, outputs=(), before=None, retain=())
    if step.status in ("UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"):
        return replace(changed, before=None)
    return changed


def settled(stack: Stack) -> Stack:
    """Failures behind the stack: what was never made is dropped, what was not changed is as it was."""
    kept = {
        name: replace(one, status="UPDATE_COMPLETE", reason="") if one.status == "UPDATE_FAILED" else one
        for name, one in stack.resources.items()
        if one.exists
    }
    return replace(stack, resources=kept)


def retrying(stack: Stack) -> Stack:
    """Before another attempt to delete: resources that could not be removed are tried again."""
    again = {
        name: replace(one, status="DELETE_IN_PROGRESS", reason="") if one.status == "DELETE_FAILED" else one
        for name, one in stack.resources.items()
    }
    return replace(stack, resources=again)


def _with(stack: Stack, one: Resource) -> Stack:
    return replace(stack, resources={**stack.resources, one.logical_id: one})
