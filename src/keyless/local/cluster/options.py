"""The query parameters and bodies that steer writes and deletions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keyless.api.numbers import whole_number
from keyless.local.cluster.messages import Request
from keyless.local.cluster.status import bad_request, invalid

_VALIDATIONS = ("Ignore", "Strict", "Warn")
_POLICIES = ("Background", "Foreground", "Orphan")


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """Of create, update and patch."""

    manager: str
    dry_run: bool
    validation: str
    force: bool


def write_options(request: Request) -> WriteOptions:
    """Read them; unknown values are refused by name."""
    validation = request.params.get("fieldValidation") or "Warn"
    if validation not in _VALIDATIONS:
        raise _unsupported("CreateOptions", "fieldValidation", validation, _VALIDATIONS)
    manager = request.params.get("fieldManager", "")
    if len(manager) > 128:
        cause = {"reason": "FieldValueTooLong", "message": "Too long: may not be more than 128 bytes"}
        raise invalid("meta.k8s.io", "CreateOptions", "", [{**cause, "field": "fieldManager"}])
    agent = request.headers.get("user-agent", "").split("/")[0]
    return WriteOptions(
        manager or agent or "keyless",
        _dry_run(request.params.get("dryRun", ""), "CreateOptions"),
        validation,
        request.flag("force"),
    )


def _dry_run(value: object, kind: str) -> bool:
    if value in ("", None, []):
        return False
    if value not in ("All", ["All"]):
        raise _unsupported(kind, "dryRun", str(value), ("All",))
    return True


def _unsupported(kind: str, field: str, value: str, allowed: tuple[str, ...]) -> Exception:
    listed = ", ".join(f'"{choice}"' for choice in allowed)
    message = f'Unsupported value: "{value}": supported values: {listed}'
    return invalid("meta.k8s.io", kind, "", [{"reason": "FieldValueNotSupported", "message": message, "field": field}])


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """Of delete and deletecollection. ``policy`` None leaves the choice to the finalizers that are there."""

    dry_run: bool = False
    grace_seconds: int | None = None
    policy: str | None = None
    uid: str = ""
    resource_version: str = ""


def delete_options(request: Request, body: Any) -> DeleteOptions:
    """Read them from the body, else from the query."""
    if body is not None and not isinstance(body, dict):
        raise bad_request("the body of a deletion is no DeleteOptions object")
    source: Mapping[str, Any] = body or request.params
    preconditions = source.get("preconditions") or {}
    policy = source.get("propagationPolicy") or None
    orphan = source.get("orphanDependents")
    if policy is not None and policy not in _POLICIES:
        raise _unsupported("DeleteOptions", "propagationPolicy", str(policy), _POLICIES)
    if policy is None and orphan is not None:
        policy = "Orphan" if str(orphan).lower() == "true" else "Background"
    return DeleteOptions(
        _dry_run(source.get("dryRun") or request.params.get("dryRun", ""), "DeleteOptions"),
        _grace(source.get("gracePeriodSeconds")),
        policy,
        preconditions.get("uid", ""),
        preconditions.get("resourceVersion", ""),
    )


def _grace(value: object) -> int | None:
    if value is None:
        return None
    try:
        return max(whole_number(str(value)), 0)
    except ValueError as error:
        raise bad_request(f"gracePeriodSeconds: expected a whole number, found {str(value)[:20]!r}") from error
