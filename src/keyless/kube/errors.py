"""What an API server's answer "no" becomes: one class for each next move of the caller.

    Transient                         Permanent
    ├── Conflict        409           ├── NotFound       404
    ├── Expired         410           ├── AlreadyExists  409
    ├── Unauthorized    401 *         ├── Forbidden      403
    ├── Unavailable     429, 5xx      ├── Invalid        422
    └── Unreachable     no answer     └── Rejected       any other 4xx

\\* A 401 is transient because tokens are rotated: the next read of the token may be accepted.

Every class carries ``.status``, the Status object as the server sent it (made up here when it sent none).

Reasons: https://github.com/kubernetes/apimachinery/blob/master/pkg/apis/meta/v1/types.go (StatusReason)
"""

from __future__ import annotations

import json
import math
from typing import Any

from keyless.api import KeylessError, Permanent, Transient

TEXT_LIMIT = 512
"""Bodies that are no Status (a proxy's page, say) are cut: an error must fit a condition's message."""


LONGEST_WAIT_SECONDS = 300.0


class ApiError(KeylessError):
    """The base of all of them: the Status and shortcuts into it."""

    status: dict[str, Any]

    @property
    def code(self) -> int:
        """The HTTP status code."""
        code = self.status.get("code")
        return code if isinstance(code, int) else 0

    @property
    def reason(self) -> str:
        """The machine-readable word, such as ``AlreadyExists``."""
        return str(self.status.get("reason") or "")


class _TransientAnswer(Transient, ApiError):
    def __init__(self, status: dict[str, Any], *, retry_after_seconds: float | None = None) -> None:
        super().__init__(str(status.get("message") or ""), retry_after_seconds=retry_after_seconds)
        self.status = status


class _PermanentAnswer(Permanent, ApiError):
    def __init__(self, status: dict[str, Any]) -> None:
        super().__init__(str(status.get("message") or ""))
        self.status = status


class Conflict(_TransientAnswer):
    """The object changed since it was read, or another manager owns a field: read it again and decide anew."""


class Expired(_TransientAnswer):
    """The resourceVersion or continue token is too old: list again."""


class Unauthorized(_TransientAnswer):
    """The credentials were not accepted."""


class Unavailable(_TransientAnswer):
    """The server is overloaded, starting, or failed on its side."""


class Unreachable(_TransientAnswer):
    """No answer came: refused, timed out, or cut off."""


class NotFound(_PermanentAnswer):
    """The object, or the whole resource, is not there."""


class AlreadyExists(_PermanentAnswer):
    """The name is taken."""


class Forbidden(_PermanentAnswer):
    """The credentials are good but lack the right."""


class Invalid(_PermanentAnswer):
    """The object breaks its schema or a rule."""


class Rejected(_PermanentAnswer):
    """The request itself is wrong, or the server does not offer what it asks for."""


_BY_CODE: dict[int, type[_TransientAnswer] | type[_PermanentAnswer]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Expired,
    422: Invalid,
    429: Unavailable,
}


def error_of(status: dict[str, Any], *, retry_after_seconds: float | None = None) -> KeylessError:
    """The exception for a Status whose ``code`` is 400 or more."""
    code = _code(status.get("code"), 500)
    if status.get("reason") == "AlreadyExists":
        return AlreadyExists(status)
    kind = _BY_CODE.get(code) or (Unavailable if code >= 500 else Rejected)
    if issubclass(kind, _TransientAnswer):
        details = status.get("details")
        told = details.get("retryAfterSeconds") if isinstance(details, dict) else None
        return kind(status, retry_after_seconds=wait_of(told) or retry_after_seconds)
    return kind(status)


def status_of_untrusted(code: int, body: bytes, *, subject: str) -> dict[str, Any]:
    """The Status in an error's ``body``, or one made from the bare ``code``. Cannot fail."""
    try:
        status = json.loads(body)
    except ValueError:
        status = None
    if isinstance(status, dict) and status.get("kind") == "Status":
        # The line's code decides where the two differ: a Status that says Success is no reason to go on.
        return {**status, "code": code}
    text = body[:TEXT_LIMIT].decode("utf-8", "replace").strip()
    return failure_status(code, "", f"{subject}: the server answered {code}{': ' + text if text else ''}")


def wait_of(told: object) -> float | None:
    """The seconds that a server asks to wait, within bounds; None where it says nothing that can be followed.

    Nothing at all would be a storm; for longer than the bound nobody waits without looking.
    """
    try:
        seconds = float(told)  # type: ignore[arg-type]  # anything may have been told: TypeError is caught
    except (TypeError, ValueError):
        return None
    return min(seconds, LONGEST_WAIT_SECONDS) if seconds > 0 and math.isfinite(seconds) else None


def _code(told: object, otherwise: int) -> int:
    return told if isinstance(told, int) and 400 <= told < 600 else otherwise


def failure_status(code: int, reason: str, message: str) -> dict[str, Any]:
    """A Status object that says Failure."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }
