"""A refused token, in AWS's words and in ours."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TokenRefusal:
    """``code`` and ``message`` are STS's, verbatim (facts/identity.md#sts); ``detail`` is for our own trace.

    For :func:`verify_service_account`, code is ``Unauthorized`` and message what the API server would log.
    """

    code: str
    message: str
    detail: str
    status: int = 400
