"""Kubernetes' Status errors, with the API server's own texts.

Spec: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/ and, for the sentences,
k8s.io/apimachinery ``pkg/api/errors``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from keyless.api import Permanent

MODIFIED_TEXT = "the object has been modified; please apply your changes to the latest version and try again"


class ApiError(Permanent):
    """A request is refused; ``status`` is the body that the caller gets."""

    def __init__(
        self, code: int, reason: str, message: str, *, details: Mapping[str, Any] | None = None, wait: int = 0
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            **({"details": dict(details)} if details is not None else {}),
            "code": code,
        }
        self.retry_after_seconds = wait
        self.warnings: tuple[str, ...] = ()


def qualified(group: str, resource: str) -> str:
    """``deployments.apps``; ``pods`` for the core group."""
    return f"{resource}.{group}" if group else resource


def details(group: str, kind: str, name: str, causes: Sequence[Mapping[str, str]] = ()) -> dict[str, Any]:
    """The details of a Status; empty parts are left out."""
    parts: dict[str, Any] = {"name": name, "group": group, "kind": kind, "causes": [dict(c) for c in causes]}
    return {key: value for key, value in parts.items() if value}


def not_found(group: str, resource: str, name: str) -> ApiError:
    """404 for an object."""
    text = f'{qualified(group, resource)} "{name}" not found'
    return ApiError(404, "NotFound", text, details=details(group, resource, name))


def no_such_path() -> ApiError:
    """404 for a path or resource that is not served."""
    return ApiError(404, "NotFound", "the server could not find the requested resource", details={})


def already_exists(group: str, resource: str, name: str) -> ApiError:
    """409 for a name that is taken."""
    text = f'{qualified(group, resource)} "{name}" already exists'
    return ApiError(409, "AlreadyExists", text, details=details(group, resource, name))


def conflict(group: str, resource: str, name: str, why: str = MODIFIED_TEXT) -> ApiError:
    """409 for a write on a version that is no longer the newest."""
    text = f'Operation cannot be fulfilled on {qualified(group, resource)} "{name}": {why}'
    return ApiError(409, "Conflict", text, details=details(group, resource, name))


def bad_request(message: str) -> ApiError:
    """400."""
    return ApiError(400, "BadRequest", message)


def unauthorized() -> ApiError:
    """401: the credentials prove nobody."""
    return ApiError(401, "Unauthorized", "Unauthorized")


def forbidden(group: str, resource: str, name: str, why: str) -> ApiError:
    """403; without a resource (a path), Kubernetes quotes nothing."""
    subject = f'{qualified(group, resource)} "{name}"' if name else qualified(group, resource)
    text = f"{subject} is forbidden: {why}" if resource else f"forbidden: {why}"
    return ApiError(403, "Forbidden", text, details=details(group, resource, name))


def invalid(group: str, kind: str, name: str, causes: Sequence[Mapping[str, str]]) -> ApiError:
    """422; each cause has ``reason``, ``message`` and ``field``."""
    faults = [f"{cause['field']}: {cause['message']}" for cause in causes]
    text = faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]"
    subject = f"{kind}.{group}" if group else kind
    return ApiError(
        422, "Invalid", f'{subject} "{name}" is invalid: {text}', details=details(group, kind, name, causes)
    )


def method_not_allowed() -> ApiError:
    """405."""
    return ApiError(
        405, "MethodNotAllowed", "the server does not allow this method on the requested resource", details={}
    )


def not_acceptable() -> ApiError:
    """406."""
    return ApiError(406, "NotAcceptable", "only the following media types are accepted: application/json")


def unsupported_media(accepted: Sequence[str]) -> ApiError:
    """415."""
    text = f"the body of the request was in an unknown format - accepted media types include: {', '.join(accepted)}"
    return ApiError(415, "UnsupportedMediaType", text)


def too_large(limit: int) -> ApiError:
    """413."""
    return ApiError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {limit}")


def expired(message: str) -> ApiError:
    """410: the resourceVersion or continue token is older than what is remembered."""
    return ApiError(410, "Expired", message)


def internal(message: str) -> ApiError:
    """500."""
    return ApiError(
        500, "InternalError", f"Internal error occurred: {message}", details={"causes": [{"message": message}]}
    )


def success(group: str, resource: str, name: str, uid: str) -> dict[str, Any]:
    """The answer to a deletion that left nothing behind."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {**details(group, resource, name), "uid": uid},
    }
