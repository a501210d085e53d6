"""Who a stack's work is done as: the caller that asked for it, or the service role that it named.

What is kept of the caller holds no secret, and is enough to speak for it again after a restart. A session is spoken for
beyond its end, as CloudFormation does; a principal that is gone, or has become another one, lends nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from keyless.local.cloud.authenticate import Authenticator
from keyless.local.cloud.authorise import Authoriser
from keyless.local.cloud.call import Call, Caller
from keyless.local.cloud.errors import AwsError, validation
from keyless.local.cloud.iam.directory import Directory
from keyless.local.cloud.sessions import Session
from keyless.local.cloud.sts import Minter
from keyless.local.cloud.sts.minting import Wanted
from keyless.policy import ContextValue, Principal, Request

SERVICE = "cloudformation.amazonaws.com"
_SESSION = "AWSCloudFormation"


class Actors:
    """Turns callers into what a stack keeps, and back."""

    def __init__(
        self, directory: Directory, authenticator: Authenticator, authoriser: Authoriser, minter: Minter
    ) -> None:
        self._directory = directory
        self._authenticator = authenticator
        self._authoriser = authoriser
        self._minter = minter

    def of(self, call: Call, role_arn: str, stack_id: str) -> dict[str, Any]:
        """What to keep for a stack that ``call`` asks for; raises when CloudFormation may not assume the role."""
        if role_arn:
            return {"session": asdict(self._role_session(call, role_arn, stack_id))}
        if call.caller.session:
            return {"session": asdict(call.caller.session)}
        return {"user": call.caller.name, "id": call.caller.user_id}

    def caller(self, kept: Mapping[str, Any]) -> Caller:
        """The caller that a stack's work is done as; raises AccessDenied when it is gone."""
        if "session" in kept:
            return self._authenticator.session_caller(_session(kept["session"]))
        user = self._directory.user(kept["user"])
        if user is None or user.id != kept["id"]:
            raise AwsError("AccessDenied", f"User {kept['user']} does not exist any more", status=403)
        return Caller("User", self._directory.account, user.arn, user.id, user.name, tags=user.tags)

    def _role_session(self, call: Call, arn: str, stack_id: str) -> Session:
        role = self._directory.effective_role(arn.rpartition("/")[2])
        if role is not None and role.arn == arn:
            request = Request("sts:AssumeRole", arn, Principal("Service", service=SERVICE), self._keys(call, stack_id))
            decision = self._authoriser.decide_trust(call, role, request)
            call.decisions.append(decision)
            if decision.allowed:
                return self._minter.mint(role, Wanted(_SESSION), now=call.now).session
        raise validation(f"Role {arn} is invalid or cannot be assumed")

    def _keys(self, call: Call, stack_id: str) -> dict[str, ContextValue]:
        """What a trust policy may ask of CloudFormation's own call; nothing of the caller is in it."""
        current = self._authoriser.keys(call)
        keys = {name: current[name] for name in ("aws:CurrentTime", "aws:EpochTime", "aws:SecureTransport")}
        return {
            **keys,
            "aws:PrincipalIsAWSService": "true",
            "aws:PrincipalServiceName": SERVICE,
            "aws:SourceAccount": self._directory.account,
            "aws:SourceArn": stack_id,
            "sts:RoleSessionName": _SESSION,
        }


def _session(kept: Mapping[str, Any]) -> Session:
    lists = {name: tuple(kept[name]) for name in ("policies", "policy_arns", "transitive_tags")}
    return Session(**{**kept, **lists})
