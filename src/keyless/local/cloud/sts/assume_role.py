"""AssumeRole: external id, session tags, transitive tags, role chaining."""

from __future__ import annotations

from typing import Any

from keyless.local.cloud.authorise import Authoriser, principal_of, tag_keys
from keyless.local.cloud.call import Call
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.iam import checks
from keyless.local.cloud.iam.directory import Directory
from keyless.local.cloud.iam.model import Role
from keyless.local.cloud.sts.minting import DEFAULT_SECONDS, Minter, Wanted, session_policies
from keyless.local.cloud.sts.web_identity import role_arn_of
from keyless.policy import ContextValue, Request


class AssumeRole:
    """Gives a caller that may have it a session of a role."""

    def __init__(self, directory: Directory, authoriser: Authoriser, minter: Minter) -> None:
        self._directory = directory
        self._authoriser = authoriser
        self._minter = minter

    def assume(self, call: Call) -> dict[str, Any]:
        """The operation."""
        params = call.params
        arn = str(role_arn_of(params["RoleArn"]))
        role = self._directory.effective_role(arn.rpartition("/")[2])
        if role is None or role.arn != arn:
            call.notes["refused"] = f"no role {arn} is in effect"
            raise _not_authorised(call, "sts:AssumeRole", arn)
        wanted = self._wanted(call)
        keys = _keys(call, wanted)
        self._ask(call, role, "sts:AssumeRole", keys)
        if wanted.tags:
            self._ask(call, role, "sts:TagSession", keys)
        if params.get("SourceIdentity"):
            self._ask(call, role, "sts:SetSourceIdentity", keys)
        minted = self._minter.mint(role, wanted, now=call.now)
        call.notes |= {"assumedRole": minted.arn, "accessKeyId": minted.credentials.access_key_id}
        answer: dict[str, Any] = {"Credentials": minted.credential_fields(), "AssumedRoleUser": minted.user_fields()}
        if minted.packed_percent:
            answer["PackedPolicySize"] = minted.packed_percent
        if wanted.source_identity:
            answer["SourceIdentity"] = wanted.source_identity
        return answer

    def _wanted(self, call: Call) -> Wanted:
        params, session = call.params, call.caller.session
        policies, arns = session_policies(params.get("Policy"), params.get("PolicyArns", ()))
        tags = checks.tags(params.get("Tags", ()))
        inherited = {key: session.tags[key] for key in session.transitive_tags} if session else {}
        if clash := {key.lower() for key in tags} & {key.lower() for key in inherited}:
            raise AwsError(
                "InvalidParameterValue",
                f"The tag keys {', '.join(sorted(clash))} are transitive in the calling session and cannot be set",
                status=400,
            )
        identity = session.source_identity if session else ""
        asked = params.get("SourceIdentity", "")
        if identity and asked and identity != asked:
            raise _not_authorised(call, "sts:SetSourceIdentity", params["RoleArn"])
        return Wanted(
            name=params["RoleSessionName"],
            seconds=params.get("DurationSeconds", DEFAULT_SECONDS),
            policies=policies,
            policy_arns=arns,
            tags={**inherited, **tags},
            transitive_tags=(*inherited, *params.get("TransitiveTagKeys", ())),
            source_identity=asked or identity,
            chained=session is not None and session.kind == "role",
        )

    def _ask(self, call: Call, role: Role, action: str, keys: dict[str, ContextValue]) -> None:
        context = {**self._authoriser.keys(call), **keys}
        request = Request(action, role.arn, principal_of(call.caller), context)
        decision = self._authoriser.decide_trust(call, role, request)
        call.decisions.append(decision)
        if not decision.allowed:
            raise _not_authorised(call, action, role.arn)


def _keys(call: Call, wanted: Wanted) -> dict[str, ContextValue]:
    keys = tag_keys(dict(wanted.tags))
    keys["sts:RoleSessionName"] = wanted.name
    if wanted.transitive_tags:
        keys["sts:TransitiveTagKeys"] = wanted.transitive_tags
    if external := call.params.get("ExternalId"):
        keys["sts:ExternalId"] = external
    if wanted.source_identity:
        keys["sts:SourceIdentity"] = wanted.source_identity
    return keys


def _not_authorised(call: Call, action: str, arn: str) -> AwsError:
    text = f"User: {call.caller.arn} is not authorized to perform: {action} on resource: {arn}"
    return AwsError("AccessDenied", text, status=403)
