"""AssumeRoleWithWebIdentity, in the order of facts/identity.md#token-checks.

The reason for a refusal goes into the audit line; the caller learns what AWS would tell, which for everything that
trust decides is one sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keyless.api import Arn
from keyless.local.cloud.authorise import Authoriser, tag_keys
from keyless.local.cloud.call import Call
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.iam.directory import Directory
from keyless.local.cloud.iam.model import OidcProvider, Role
from keyless.local.cloud.sts.claims import AwsClaims, aws_claims
from keyless.local.cloud.sts.issuers import IssuerKeys
from keyless.local.cloud.sts.minting import DEFAULT_SECONDS, Minter, Wanted, session_policies
from keyless.local.cloud.sts.revocation import Revocation
from keyless.policy import ContextValue, Principal, Request
from keyless.tokens import (
    KeySet,
    TokenRefusal,
    Unverified,
    VerifiedClaims,
    inspect,
    provider_not_found,
    verify_web_identity,
)

_ACTION = "sts:AssumeRoleWithWebIdentity"
_AMAZON, _FACEBOOK = "www.amazon.com", "graph.facebook.com"


class WebIdentity:
    """Exchanges a token of a trusted issuer for a session of a role."""

    def __init__(
        self,
        directory: Directory,
        authoriser: Authoriser,
        minter: Minter,
        issuers: IssuerKeys,
        *,
        revocation: Revocation | None = None,
    ) -> None:
        self._directory = directory
        self._authoriser = authoriser
        self._minter = minter
        self._issuers = issuers
        self._revocation = revocation

    async def assume(self, call: Call) -> dict[str, Any]:
        """The operation."""
        params = call.params
        role_arn = role_arn_of(params["RoleArn"])
        call.notes["roleArn"] = str(role_arn)
        if provider_id := params.get("ProviderId"):
            raise _no_oauth(provider_id)
        seen = _or_raise(call, inspect(params["WebIdentityToken"]))
        call.notes |= _claimed(seen)
        provider = _or_raise(call, self._provider(role_arn, seen))
        keys: KeySet = _or_raise(call, await self._issuers.keys(provider.url, seen.key_id, provider.thumbprints))
        verdict = verify_web_identity(seen, keys, client_ids=provider.client_ids, now=int(call.now))
        claims: VerifiedClaims = _or_raise(call, verdict)
        call.notes |= {"proven": True, "subject": claims.subject, "audience": claims.audience}
        if self._revocation:
            _or_raise(call, await self._revocation.judge(params["WebIdentityToken"], claims))
        role, extra = self._trusted(call, role_arn, provider, claims)
        return self._answer(call, role, provider, claims=claims, extra=extra)

    def _provider(self, role_arn: Arn, seen: Unverified) -> OidcProvider | TokenRefusal:
        """The provider whose whole URL is the issuer, in the role's account."""
        ours = role_arn.account == self._directory.account
        provider = self._directory.effective_provider(seen.issuer) if ours else None
        return provider or provider_not_found(seen.issuer)

    def _trusted(
        self, call: Call, role_arn: Arn, provider: OidcProvider, claims: VerifiedClaims
    ) -> tuple[Role, AwsClaims]:
        """Steps 10 and 11: the role exists, its trust policy allows, and what the token brings along is allowed too."""
        name = role_arn.resource.rpartition("/")[2]
        role = self._directory.effective_role(name)
        if role is None or role.arn != str(role_arn):
            call.notes["refused"] = f"no role {role_arn} is in effect"
            raise _not_authorised()
        extra = aws_claims(claims.claims)
        keys = _claim_keys(provider, claims) | tag_keys(dict(extra.tags))
        if extra.transitive_tags:
            keys["sts:TransitiveTagKeys"] = extra.transitive_tags
        if extra.source_identity:
            keys["sts:SourceIdentity"] = extra.source_identity
        # "false" also where the issuer says nothing about roles, so that a Deny on it holds there too.
        keys["sts:RoleAuthorizedByIdp"] = str(extra.authorizes(role.arn)).lower()
        keys["sts:RoleSessionName"] = call.params["RoleSessionName"]
        self._ask(call, role, provider, keys, action=_ACTION)
        if extra.tags:
            self._ask(call, role, provider, keys, action="sts:TagSession")
        if extra.source_identity:
            self._ask(call, role, provider, keys, action="sts:SetSourceIdentity")
        extra.check_role(role.arn)
        return role, extra

    def _ask(
        self, call: Call, role: Role, provider: OidcProvider, keys: Mapping[str, ContextValue], *, action: str
    ) -> None:
        principal = Principal("WebIdentity", account=self._directory.account, federated=provider.arn)
        context = {**self._authoriser.keys(call), **keys}
        decision = self._authoriser.decide_trust(call, role, Request(action, role.arn, principal, context))
        call.decisions.append(decision)
        if not decision.allowed:
            call.notes["refused"] = f"the trust policy of {role.arn} does not allow {action}"
            raise _not_authorised()

    def _answer(
        self, call: Call, role: Role, provider: OidcProvider, *, claims: VerifiedClaims, extra: AwsClaims
    ) -> dict[str, Any]:
        params = call.params
        policies, arns = session_policies(params.get("Policy"), params.get("PolicyArns", ()))
        prefix = provider.key_prefix
        wanted = Wanted(
            name=params["RoleSessionName"],
            seconds=params.get("DurationSeconds", DEFAULT_SECONDS),
            policies=policies,
            policy_arns=arns,
            tags=extra.tags,
            transitive_tags=extra.transitive_tags,
            source_identity=extra.source_identity,
            federated_provider=provider.arn,
            federated_keys={f"{prefix}:sub": claims.subject, f"{prefix}:aud": claims.audience},
            subject=claims.subject,
        )
        minted = self._minter.mint(role, wanted, now=call.now)
        call.notes |= {"assumedRole": minted.arn, "accessKeyId": minted.credentials.access_key_id}
        answer: dict[str, Any] = {
            "Credentials": minted.credential_fields(),
            "SubjectFromWebIdentityToken": claims.subject,
            "AssumedRoleUser": minted.user_fields(),
            "PackedPolicySize": minted.packed_percent,
            "Provider": provider.arn,
            "Audience": claims.audience,
        }
        if extra.source_identity:
            answer["SourceIdentity"] = extra.source_identity
        return answer


def role_arn_of(text: str) -> Arn:
    """The ARN of a role; raises ValidationError for any other text."""
    try:
        arn = Arn.parse(text)
    except ValueError:
        raise AwsError("ValidationError", f"{text} is invalid", status=400) from None
    if arn.service != "iam" or not arn.resource.startswith("role/"):
        raise AwsError("ValidationError", "Request ARN is invalid", status=400)
    return arn


def _not_authorised() -> AwsError:
    """One sentence for whatever trust decides, tags and source identity too."""
    return AwsError("AccessDenied", f"Not authorized to perform {_ACTION}", status=403)


def _no_oauth(provider_id: str) -> AwsError:
    """There are no accounts of Amazon or Facebook here, so no access token of theirs can be good."""
    if provider_id == _AMAZON:
        return AwsError("InvalidIdentityToken", "Provided Token is not a Login With Amazon token", status=400)
    if provider_id == _FACEBOOK:
        return AwsError("InvalidIdentityToken", "Provided Token is not a Facebook token", status=400)
    text = "Unrecognized OAuth provider. Do not include a provider parameter when submitting OpenIDConnect ID tokens"
    return AwsError("AccessDenied", text, status=403)


def _or_raise(call: Call, outcome: Any) -> Any:
    if isinstance(outcome, TokenRefusal):
        call.notes["refused"] = outcome.detail
        raise AwsError(outcome.code, outcome.message, status=outcome.status)
    return outcome


def _claimed(seen: Unverified) -> dict[str, Any]:
    """For the audit line: what the token says of itself, proven or not (``proven`` tells)."""
    notes: dict[str, Any] = {"issuer": seen.issuer[:256], "proven": False, "subject": str(seen.claims.get("sub"))[:256]}
    inner = seen.claims.get("kubernetes.io")
    pod = inner.get("pod") if isinstance(inner, dict) else None
    if isinstance(pod, dict):
        notes |= {"podName": str(pod.get("name"))[:256], "podUid": str(pod.get("uid"))[:64]}
    return notes


def _claim_keys(provider: OidcProvider, claims: VerifiedClaims) -> dict[str, ContextValue]:
    prefix = provider.key_prefix
    keys: dict[str, ContextValue] = {
        f"{prefix}:sub": claims.subject,
        f"{prefix}:aud": claims.audience,
        f"{prefix}:oaud": claims.audiences,
        "aws:FederatedProvider": provider.arn,
    }
    methods = claims.claims.get("amr")
    if isinstance(methods, list) and all(isinstance(item, str) for item in methods):
        keys[f"{prefix}:amr"] = tuple(methods)
    return keys
