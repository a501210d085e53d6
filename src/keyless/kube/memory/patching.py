"""The patch types of the memory server. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keyless.kube.errors import Conflict, Invalid, failure_status
from keyless.kube.memory.apply import Owned, apply, conflicts, merge
from keyless.kube.resources import KubeObject


def patched(
    live: KubeObject, patch: Any, content_type: str, params: Mapping[str, str], owners: Mapping[str, Owned]
) -> KubeObject:
    """``live`` after ``patch``."""
    if content_type.startswith("application/json-patch"):
        return _json_patched(live, patch)
    if not content_type.startswith("application/apply-patch"):
        result: KubeObject = merge(live, patch)
        return result
    manager = params["fieldManager"]
    found = conflicts(live, patch, owners, manager)
    if found and params.get("force") != "true":
        message = f"Apply failed with {len(found)} conflicts: {'; '.join(found)}"
        raise Conflict(failure_status(409, "Conflict", message))
    return apply(live, patch, owners, manager)


def _json_patched(live: KubeObject, operations: list[KubeObject]) -> KubeObject:
    result: Any = live
    for operation in operations:
        steps = [step.replace("~1", "/").replace("~0", "~") for step in operation["path"].split("/")[1:]]
        try:
            result = _changed(result, steps, operation)
        except (KeyError, IndexError, ValueError):
            message = f"the server rejected our request due to an error in our request: {operation['path']}"
            raise Invalid(failure_status(422, "Invalid", message)) from None
    changed: KubeObject = result
    return changed


def _changed(value: Any, steps: list[str], operation: KubeObject) -> Any:
    """``value`` with the operation done at ``steps``; containers on the way are copied, never changed."""
    if not steps:
        if operation["op"] == "test" and value != operation["value"]:
            raise ValueError("test failed")
        return value if operation["op"] == "test" else operation["value"]
    step, rest = steps[0], steps[1:]
    copy: Any = list(value) if isinstance(value, list) else dict(value)
    at: Any = step if isinstance(copy, dict) else len(copy) if step == "-" else int(step)
    if rest or operation["op"] in {"replace", "test"}:
        copy[at] = _changed(copy[at], rest, operation)
    elif operation["op"] == "remove":
        del copy[at]
    elif isinstance(copy, list):
        copy.insert(at, operation["value"])
    else:
        copy[at] = operation["value"]
    return copy
