"""Who am I? The identity a session's calls carry: the last link of the chain that a component can see by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol


class Calling(Protocol):
    """What asks: a session, or one whose calls are counted."""

    async def call(self, service: str, operation: str, /, **params: Any) -> dict[str, Any]:
        """Call an operation."""
        ...


@dataclass(frozen=True, slots=True)
class Caller:
    """``arn`` is the session's ARN (``arn:aws:sts::…:assumed-role/ROLE/SESSION``)."""

    account: str
    arn: str
    user_id: str


async def caller_identity(session: Calling) -> Caller:
    """Ask STS; needs no permission. Raises ``AwsTransient`` or ``AwsPermanent``."""
    answer = await session.call("sts", "GetCallerIdentity")
    return Caller(answer["Account"], answer["Arn"], answer["UserId"])
