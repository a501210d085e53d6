"""Who am I? The identity a session's calls carry: the last link of the chain that a component can see by itself."""

from __future__ import annotations

from dataclasses import dataclass

from keyless.aws.sessions import Session


@dataclass(frozen=True, slots=True)
class Caller:
    """``arn`` is the session's ARN (``arn:aws:sts::…:assumed-role/ROLE/SESSION``)."""

    account: str
    arn: str
    user_id: str


async def caller_identity(session: Session) -> Caller:
    """Ask STS; needs no permission. Raises ``AwsTransient`` or ``AwsPermanent``."""
    answer = await session.call("sts", "GetCallerIdentity")
    return Caller(answer["Account"], answer["Arn"], answer["UserId"])
