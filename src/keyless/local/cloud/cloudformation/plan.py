"""What a stack needs next. Pure, and decided from the stack's own record alone.

There is no list of steps to keep: each step is worked out from what is there and what is wanted, so a plan that was
stopped after any step goes on with the next one. The states are CloudFormation's.

    CREATE_IN_PROGRESS → CREATE_COMPLETE | ROLLBACK_IN_PROGRESS → ROLLBACK_COMPLETE | ROLLBACK_FAILED
    UPDATE_IN_PROGRESS → UPDATE_COMPLETE_CLEANUP_IN_PROGRESS → UPDATE_COMPLETE
                       | UPDATE_ROLLBACK_IN_PROGRESS → UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS
                           → UPDATE_ROLLBACK_COMPLETE | UPDATE_ROLLBACK_FAILED
    DELETE_IN_PROGRESS → DELETE_COMPLETE | DELETE_FAILED
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from keyless.local.cloud.cloudformation.documents import MISSHAPEN
from keyless.local.cloud.cloudformation.intrinsics import Scope, resolve
from keyless.local.cloud.cloudformation.kinds import KINDS, violations
from keyless.local.cloud.cloudformation.kinds.kind import with_tags
from keyless.local.cloud.cloudformation.model import Declared, Properties, Resource, Stack
from keyless.local.cloud.errors import AwsError


@dataclass(frozen=True, slots=True)
class Target:
    """What is wanted: the template's resources in the order of their needs, and what names mean."""

    declared: Sequence[Declared]
    scope: Scope


@dataclass(frozen=True, slots=True)
class Make:
    """Make a resource: a new one, or in the place of one that cannot be changed so."""

    declared: Declared
    properties: Properties
    replaces: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """Change a resource where it is."""

    declared: Declared
    properties: Properties


@dataclass(frozen=True, slots=True)
class Restore:
    """Take back the resource that a replacement put aside."""

    logical_id: str


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove a resource; ``kept``: only from the stack."""

    resource: Resource
    kept: bool = False


@dataclass(frozen=True, slots=True)
class Fail:
    """A resource cannot be brought to what is wanted, and nobody need be asked to know it."""

    declared: Declared
    reason: str


@dataclass(frozen=True, slots=True)
class Become:
    """The stack takes another status."""

    status: str
    reason: str = ""


Step = Make | Change | Restore | Remove | Fail | Become

_AFTER_MAKING = {
    "CREATE_IN_PROGRESS": "CREATE_COMPLETE",
    "UPDATE_IN_PROGRESS": "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
    "UPDATE_ROLLBACK_IN_PROGRESS": "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
}
_AFTER_CLEANING = {
    "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS": "UPDATE_COMPLETE",
    "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS": "UPDATE_ROLLBACK_COMPLETE",
}
_AFTER_REMOVING = {"ROLLBACK_IN_PROGRESS": "ROLLBACK_COMPLETE", "DELETE_IN_PROGRESS": "DELETE_COMPLETE"}
_REMOVAL_FAILED = {"ROLLBACK_IN_PROGRESS": "ROLLBACK_FAILED", "DELETE_IN_PROGRESS": "DELETE_FAILED"}
IN_PROGRESS = frozenset({*_AFTER_MAKING, *_AFTER_CLEANING, *_AFTER_REMOVING})
CLEANING = frozenset(_AFTER_CLEANING)


def next_step(stack: Stack, target: Target) -> Step | None:
    """The step that the stack needs now; None when it is at rest."""
    if stack.status in _AFTER_MAKING:
        return _making(stack, target)
    if stack.status in _AFTER_CLEANING:
        return _cleaning(stack, target)
    if stack.status in _AFTER_REMOVING:
        return _removing(stack, target)
    return None


def _making(stack: Stack, target: Target) -> Step:
    if any(one.status.endswith("_FAILED") for one in stack.resources.values()):
        return _after_failure(stack)
    for declared in target.declared:
        if step := _towards(stack, declared, target.scope):
            return step
    return Become(_AFTER_MAKING[stack.status])


def _towards(stack: Stack, declared: Declared, scope: Scope) -> Step | None:
    kind, found = KINDS[declared.type], stack.resources.get(declared.logical_id)
    try:
        resolved = resolve(dict(declared.properties), replace(scope, resources=stack.resources))
        properties = with_tags(kind, resolved, stack.wish.tags)
    except AwsError as error:
        return Fail(declared, error.message)
    except MISSHAPEN:
        return Fail(declared, "Properties validation failed: unsupported structure")
    if faults := violations(kind, properties):
        text = f"Properties validation failed for resource {declared.logical_id} with message:\n{faults}"
        return Fail(declared, text)
    if found is None or not found.exists:
        return Make(declared, properties)
    differing = {
        name for name in {*found.properties, *properties} if found.properties.get(name) != properties.get(name)
    }
    if not differing:
        return None
    if not differing & kind.immutable:
        return Change(declared, properties)
    if any(one.logical_id == found.logical_id and one.properties == properties for one in stack.leftovers):
        return Restore(found.logical_id)
    name = found.properties.get(kind.name_property)
    if name is not None and name == properties.get(kind.name_property):
        text = "CloudFormation cannot update a stack when a custom-named resource requires replacing."
        return Fail(declared, f"{text} Rename {name} and update the stack again.")
    return Make(declared, properties, replaces=True)


def _after_failure(stack: Stack) -> Become:
    made = [one.logical_id for one in stack.resources.values() if one.status == "CREATE_FAILED"]
    changed = [one.logical_id for one in stack.resources.values() if one.status == "UPDATE_FAILED"]
    reason = _sentence("create", made) + _sentence("update", changed)
    if stack.status == "UPDATE_ROLLBACK_IN_PROGRESS":
        return Become("UPDATE_ROLLBACK_FAILED", reason)
    if stack.status == "UPDATE_IN_PROGRESS":
        status = "UPDATE_FAILED" if stack.on_failure == "DO_NOTHING" else "UPDATE_ROLLBACK_IN_PROGRESS"
        return Become(status, reason)
    if stack.on_failure == "DO_NOTHING":
        return Become("CREATE_FAILED", reason)
    if stack.on_failure == "DELETE":
        return Become("DELETE_IN_PROGRESS", f"{reason}Delete requested by user.")
    return Become("ROLLBACK_IN_PROGRESS", f"{reason}Rollback requested by user.")


def _sentence(verb: str, names: Iterable[str]) -> str:
    listed = ", ".join(names)
    return f"The following resource(s) failed to {verb}: [{listed}]. " if listed else ""


def _cleaning(stack: Stack, target: Target) -> Step:
    wanted = {one.logical_id for one in target.declared}
    unwanted = [one for one in stack.resources.values() if one.logical_id not in wanted]
    for one in (*stack.leftovers, *reversed(unwanted)):
        return Remove(one, kept=_is_kept(stack, one))
    return Become(_AFTER_CLEANING[stack.status])


def _removing(stack: Stack, target: Target) -> Step:
    failed = [one.logical_id for one in stack.resources.values() if one.status == "DELETE_FAILED"]
    if failed:
        return Become(_REMOVAL_FAILED[stack.status], _sentence("delete", failed))
    order = {one.logical_id: index for index, one in enumerate(target.declared)}
    left = [one for one in stack.resources.values() if one.status not in ("DELETE_COMPLETE", "DELETE_SKIPPED")]
    for one in (*stack.leftovers, *sorted(left, key=lambda one: -order.get(one.logical_id, len(order)))):
        return Remove(one, kept=_is_kept(stack, one))
    return Become(_AFTER_REMOVING[stack.status])


def _is_kept(stack: Stack, one: Resource) -> bool:
    if one.logical_id in stack.retain:
        return True
    # What a failed creation left behind goes, unless the author said Retain without exception.
    return one.deletion == "Retain" or (one.deletion != "Delete" and stack.status != "ROLLBACK_IN_PROGRESS")
