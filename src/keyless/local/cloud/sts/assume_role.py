"""AssumeRole: external id, session tags, transitive tags, source identity, role chaining.

What a session got for good passes on to the next one: tags whose keys are transitive, and the source identity. Neither
can be set again, and the next role's trust must let both in (``sts:TagSession``, ``sts:SetSourceIdentity``).
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keyless.local.cloud.authorise import Authoriser, principal_of, tag_keys
from keyless.local.cloud.call import Call
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.iam import checks
from keyless.local.cloud.iam.directory import Directory
from keyless.local.cloud.iam.model import Role
from keyless.local.cloud.iam.targets import entity_keys
from keyless.local.cloud.sts.minting import DEFAULT_SECONDS, Minter, Wanted, session_policies
from keyless.local.cloud.sts.web_identity import role_arn_of
from keyless.policy import ContextValue, Request, access_denied


class AssumeRole:
    """Gives a caller that may have it a session of a role."""

    def __init__(self, directory: Directory, authoriser: Authoriser, minter: Minter) -> None:
        self._directory = directory
        self._authoriser = authoriser
        self._minter = minter

    def assume(self, call: Call) -> dict[str, Any]:
        """The operation."""
        params = call.params
        if call.caller.kind == "FederatedUser":
            raise AwsError("AccessDenied", "Cannot call AssumeRole with federation credentials", status=403)
        arn = str(role_arn_of(params["RoleArn"]))
        role = self._directory.effective_role(arn.rpartition("/")[2])
        if role is None or role.arn != arn:
            call.notes["refused"] = f"no role {arn} is in effect"
            raise _not_authorised(call, "sts:AssumeRole", arn)
        wanted = self._wanted(call)
        keys = _keys(call, wanted) | entity_keys(role.tags)
        self._ask(call, role, "sts:AssumeRole", keys)
        if wanted.tags:
            self._ask(call, role, "sts:TagSession", keys)
        if wanted.source_identity:
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
        passing = {key.lower() for key in session.transitive_tags} if session else set()
        inherited = {key: value for key, value in session.tags.items() if key.lower() in passing} if session else {}
        tags, transitive = _tags(call, inherited)
        return Wanted(
            name=params["RoleSessionName"],
            seconds=params.get("DurationSeconds", DEFAULT_SECONDS),
            policies=policies,
            policy_arns=arns,
            tags={**inherited, **tags},
            transitive_tags=(*inherited, *transitive),
            source_identity=_source_identity(call),
            chained=session is not None and session.kind == "role",
        )

    def _ask(self, call: Call, role: Role, action: str, keys: dict[str, ContextValue]) -> None:
        context = {**self._authoriser.keys(call), **keys}
        request = Request(action, role.arn, principal_of(call.caller), context)
        decision = self._authoriser.decide_trust(call, role, request)
        call.decisions.append(decision)
        if not decision.allowed:
            raise AwsError("AccessDenied", access_denied(decision), status=403)


def _tags(call: Call, inherited: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The tags that a call asks for, and which of them are to pass on; raises where they cannot be."""
    try:
        tags = checks.tags(call.params.get("Tags", ()))
    except AwsError as error:
        raise _unfit(error.message) from None
    transitive = tuple(call.params.get("TransitiveTagKeys", ()))
    asked = {key.lower() for key in tags}
    if not {key.lower() for key in transitive} <= asked:
        raise _unfit("The specified transitive tag key must be included in the requested tags.")
    if asked & {key.lower() for key in inherited}:
        raise _unfit(
            "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from"
            " the calling session."
        )
    return tags, transitive


def _source_identity(call: Call) -> str:
    """The one that the calling session has stays; another one is refused."""
    present = call.caller.session.source_identity if call.caller.session else ""
    asked = str(call.params.get("SourceIdentity", ""))
    if present and asked and present != asked:
        raise AwsError("ValidationError", "The source identity is already set for this assume role session", status=400)
    return present or asked


def _unfit(text: str) -> AwsError:
    return AwsError("InvalidParameterValue", text, status=400)


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
