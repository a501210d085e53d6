"""Who signed a request: find the key, verify the signature, know the caller.

Nothing is trusted before the signature holds; a session's token proves itself (see :mod:`sessions`), its role must
still exist as the same role.
"""

from __future__ import annotations

from dataclasses import dataclass

from keyless.local.cloud.call import ANONYMOUS, Caller
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.iam.directory import Directory
from keyless.local.cloud.sessions import Session, Sessions
from keyless.local.cloud.signatures import (
    Signature,
    SignatureFault,
    check,
    decode_chunks_untrusted,
    refuse,
)
from keyless.local.cloud.wire.http import HttpRequest

#: what buckets made since June 2020 say to version 2, which botocore still presigns with unless told ``s3v4``
_OLD_SIGNATURE = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."


@dataclass(frozen=True, slots=True)
class Authenticated:
    """The proven caller and the request with its plain body."""

    caller: Caller
    request: HttpRequest


class Authenticator:
    """Verifies requests against the keys that the directory and the sessions know."""

    def __init__(self, directory: Directory, sessions: Sessions) -> None:
        self._directory = directory
        self._sessions = sessions

    def authenticate(
        self,
        request: HttpRequest,
        signature: Signature | SignatureFault,
        *,
        protocol: str,
        scopes: tuple[str, ...],
        now: float,
    ) -> Authenticated:
        """Return the caller; raises the service's error. An unsigned request is Anonymous, to be judged later."""
        if signature is SignatureFault.MISSING:
            if protocol == "rest-xml" and request.argument("AWSAccessKeyId"):
                raise AwsError("InvalidRequest", _OLD_SIGNATURE, status=400)
            return Authenticated(ANONYMOUS, decode_chunks_untrusted(request, None, ""))
        if isinstance(signature, SignatureFault):
            raise refuse(signature, protocol)
        if signature.service not in scopes:
            raise refuse(SignatureFault.MISMATCH, protocol)
        caller, secret = self._caller(signature, protocol)
        if fault := check(request, signature, secret, now):
            raise refuse(fault[0], protocol, fault[1])
        if caller.session and caller.session.expires_at <= now:
            raise refuse(SignatureFault.EXPIRED_TOKEN, protocol)
        if caller.session and caller.session.kind != "role" and "iam" in scopes:
            # GetSessionToken's credentials call IAM with multi-factor authentication only, and nobody has a device;
            # GetFederationToken's never do.
            raise refuse(SignatureFault.UNKNOWN_KEY, protocol)
        return Authenticated(caller, decode_chunks_untrusted(request, signature, secret))

    def _caller(self, signature: Signature, protocol: str) -> tuple[Caller, str]:
        if signature.token:
            session = self._sessions.read_untrusted(signature.token)
            if session is None or session.access_key_id != signature.access_key_id:
                raise refuse(SignatureFault.BAD_TOKEN, protocol)
            return self.session_caller(session, protocol), self._sessions.secret_of(session.access_key_id)
        key = self._directory.access_key(signature.access_key_id)
        user = self._directory.user(key.user) if key and key.active else None
        if key is None or user is None:
            raise refuse(SignatureFault.UNKNOWN_KEY, protocol)
        caller = Caller("User", self._directory.account, user.arn, user.id, user.name, key.id, tags=user.tags)
        return caller, key.secret

    def _own_session(self, session: Session, protocol: str) -> Caller:
        """Who a session of a user's own keys speaks for: the user itself, or somebody it answers for."""
        account, user = self._directory.account, self._directory.user(session.principal_name)
        if user is None or user.id != session.principal_id:
            raise refuse(SignatureFault.UNKNOWN_KEY, protocol)
        key_id = session.access_key_id
        if session.kind == "user":
            return Caller("User", account, user.arn, user.id, user.name, key_id, session, tags=user.tags)
        arn, user_id = federated_user_arn(account, session.name), f"{account}:{session.name}"
        return Caller("FederatedUser", account, arn, user_id, user.name, key_id, session, tags=session.tags)

    def session_caller(self, session: Session, protocol: str = "query") -> Caller:
        """The caller that a session speaks for."""
        account = self._directory.account
        if session.kind != "role":
            return self._own_session(session, protocol)
        role = self._directory.role(session.principal_name)
        tags = {**(role.tags if role and role.id == session.principal_id else {}), **session.tags}
        return Caller(
            "Role",
            account,
            assumed_role_arn(account, session.principal_name, session.name),
            f"{session.principal_id}:{session.name}",
            session.principal_name,
            session.access_key_id,
            session,
            tags=tags,
        )


def federated_user_arn(account: str, name: str) -> str:
    """The ARN of whom GetFederationToken's credentials speak for."""
    return f"arn:aws:sts::{account}:federated-user/{name}"


def assumed_role_arn(account: str, role: str, session: str) -> str:
    """The ARN of a session: no role path in it."""
    return f"arn:aws:sts::{account}:assumed-role/{role}/{session}"


def must_be_signed(caller: Caller, protocol: str) -> None:
    """Raise where a signature is needed and there is none."""
    if caller.kind == "Anonymous":
        raise refuse(SignatureFault.MISSING, protocol)
