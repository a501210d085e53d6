"""Why a patch cannot be applied."""

from __future__ import annotations

from keyless.api import Permanent


class PatchError(Permanent):
    """``code`` and ``reason`` of the Status that the caller gets, with its causes."""

    def __init__(self, code: int, reason: str, message: str, causes: tuple[dict[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.causes = causes


def bad_request(message: str) -> PatchError:
    """The patch itself is no patch."""
    return PatchError(400, "BadRequest", message)


def unprocessable(message: str) -> PatchError:
    """The patch does not fit the object."""
    return PatchError(422, "Invalid", message)
