"""Sessions that a user gets from its own keys: GetSessionToken, and GetFederationToken for somebody it answers for.

A federated user may do what the user may *and* the session's policies allow; without one it may do nothing but what a
resource's policy grants to it by its own ARN. Neither kind of credentials gets further ones, or calls IAM.
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_control-access_getfederationtoken.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keyless.local.cloud.authenticate import federated_user_arn
from keyless.local.cloud.authorise import tag_keys
from keyless.local.cloud.call import Call, Target
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.iam import checks
from keyless.local.cloud.service import OPEN, Operation
from keyless.local.cloud.sessions import Credentials, Session, Sessions, new_id
from keyless.local.cloud.sts.minting import Minter, Wanted, session_policies
from keyless.local.cloud.sts.packed import check_packed, packed_percent

_SECONDS = 43200


class OwnSessions:
    """The two operations."""

    def __init__(self, sessions: Sessions, minter: Minter) -> None:
        self._sessions = sessions
        self._minter = minter

    def operations(self) -> tuple[Operation, ...]:
        """The table of this part."""
        return (
            Operation("GetSessionToken", self._session_token, OPEN),
            Operation("GetFederationToken", self._federation_token, _federated),
        )

    def _session_token(self, call: Call) -> dict[str, Any]:
        _refuse_sessions(call)
        credentials = self._minted(call, "user", Wanted(call.caller.name, _seconds(call)))
        return {"Credentials": _fields(credentials)}

    def _federation_token(self, call: Call) -> dict[str, Any]:
        _refuse_sessions(call)
        policies, arns = session_policies(call.params.get("Policy"), call.params.get("PolicyArns", ()))
        wanted = Wanted(
            name=call.params["Name"],
            seconds=_seconds(call),
            policies=policies,
            policy_arns=arns,
            tags=_tags(call),
            transitive_tags=tuple(_tags(call)),
        )
        self._minter.check_policies(wanted)
        percent = packed_percent(policies, arns, wanted.tags)
        check_packed(percent, what="session tags" if wanted.tags else "session policies")
        credentials = self._minted(call, "federated", wanted)
        who = {"FederatedUserId": f"{call.account}:{wanted.name}", "Arn": federated_user_arn(call.account, wanted.name)}
        answer: dict[str, Any] = {"Credentials": _fields(credentials), "FederatedUser": who}
        return answer | ({"PackedPolicySize": percent} if percent else {})

    def _minted(self, call: Call, kind: str, wanted: Wanted) -> Credentials:
        session = Session(
            access_key_id=new_id("ASIA", 16),
            kind=kind,
            name=wanted.name,
            principal_name=call.caller.name,
            principal_arn=call.caller.arn,
            principal_id=call.caller.user_id,
            issued_at=call.now,
            expires_at=call.now + wanted.seconds,
            policies=wanted.policies,
            policy_arns=wanted.policy_arns,
            tags=dict(wanted.tags),
            transitive_tags=wanted.transitive_tags,
        )
        credentials = self._sessions.mint(session)
        call.notes["accessKeyId"] = credentials.access_key_id
        return credentials


def _federated(call: Call) -> list[Target]:
    arn, keys = federated_user_arn(call.account, call.params["Name"]), tag_keys(_tags(call))
    actions = ("sts:GetFederationToken", "sts:TagSession") if keys else ("sts:GetFederationToken",)
    return [Target(arn, action, keys=keys) for action in actions]


def _tags(call: Call) -> dict[str, str]:
    return checks.tags(call.params.get("Tags", ()))


def _seconds(call: Call) -> int:
    return int(call.params.get("DurationSeconds", _SECONDS))


def _refuse_sessions(call: Call) -> None:
    if call.caller.session:
        raise AwsError("AccessDenied", f"Cannot call {call.operation} with session credentials", status=403)


def _fields(credentials: Credentials) -> Mapping[str, Any]:
    return {
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_access_key,
        "SessionToken": credentials.session_token,
        "Expiration": float(int(credentials.expires_at)),
    }
