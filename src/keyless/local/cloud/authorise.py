"""Ask the policy engine whether a caller may do what a call wants.

Gathers what is in effect (identity policies, boundary, session policies, the resource's policy) and the condition keys;
the decision itself is :func:`keyless.policy.evaluate`'s.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

from keyless.local.cloud.call import Call, Caller, Target
from keyless.local.cloud.denials import Denials
from keyless.local.cloud.iam.directory import Directory
from keyless.local.cloud.iam.model import Group, Role, User
from keyless.local.cloud.sessions import Session
from keyless.policy import (
    ContextValue,
    Decision,
    Document,
    Kind,
    MalformedPolicy,
    Named,
    Policies,
    Principal,
    Request,
    Unreadable,
    evaluate,
    parse,
    parse_to_store,
)
from keyless.policy.model import Source

#: stands for a managed policy that is attached but not, or no longer, in effect, and for a session's that is not there
_ALLOWS_NOTHING = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"none:NotInEffect","Resource":"*"}]}'


@lru_cache(maxsize=2048)
def compiled(text: str, kind: Kind) -> Document:
    """A document compiled once; raises ``MalformedPolicy``."""
    return parse(text, kind)


@lru_cache(maxsize=256)
def storable(text: str, kind: Kind) -> Document:
    """A document that is being written; raises ``MalformedPolicy`` for what AWS keeps in no policy."""
    return parse_to_store(text, kind)


def source(name: str, text: str, kind: Kind) -> Source:
    """A document for the engine; one that no longer parses counts as unreadable, never as absent."""
    try:
        return Named(name, compiled(text, kind))
    except MalformedPolicy as error:
        return Unreadable(name, str(error))


class Authoriser:
    """Decides calls on what the directory says is in effect."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self.denials = Denials()

    def decide(self, call: Call, target: Target) -> Decision:
        """Decide one question of ``call``."""
        request = Request(
            target.action or f"{call.prefix}:{call.operation}",
            target.resource,
            principal_of(call.caller),
            {**self._keys(call), **target.keys},
            target.account,
        )
        policy = target.policy
        resource = source(policy.name, policy.text, "resource") if policy else None
        return self._remembered(call, evaluate(request, self._policies(call.caller, resource)))

    def decide_trust(self, call: Call, role: Role, request: Request) -> Decision:
        """Decide whether ``role``'s trust policy (and, for AssumeRole, the caller's policies) allow ``request``."""
        trust = source(f"trust policy of {role.name}", role.trust, "trust")
        return self._remembered(call, evaluate(request, self._policies(call.caller, trust)))

    def _remembered(self, call: Call, decision: Decision) -> Decision:
        if not decision.allowed:
            self.denials.keep(call.request_id, decision)
        return decision

    def keys(self, call: Call) -> dict[str, ContextValue]:
        """The global condition keys of ``call``."""
        return self._keys(call)

    def identity_sources(self, holder: Role | User | Group) -> tuple[Source, ...]:
        """The identity policies of a user, with those of its groups, or of a role: inline first."""
        inline = [source(f"inline policy {name}", text, "identity") for name, text in holder.inline.items()]
        own = (*inline, *(self.managed(arn, "identity") for arn in holder.attached))
        if not isinstance(holder, User):
            return own
        groups = (self._directory.effective_group(name) for name in holder.groups)
        return (*own, *(found for group in groups if group for found in self.identity_sources(group)))

    def managed(self, arn: str, kind: Kind) -> Source:
        """A managed policy as decisions see it."""
        policy = self._directory.effective_policy(arn)
        if policy is None:
            return source(arn, _ALLOWS_NOTHING, kind)
        return source(arn, policy.document, kind)

    def _policies(self, caller: Caller, resource: Source | None) -> Policies:
        holder = self._holder(caller)
        session = self._session(caller.session) if caller.session else ()
        if holder is None:
            return Policies(resource=resource, session=session)
        boundary = self.managed(holder.boundary, "boundary") if holder.boundary else None
        return Policies(self.identity_sources(holder), resource, boundary, session)

    def _holder(self, caller: Caller) -> Role | User | None:
        """Whose policies count. A namesake that was made later has another id, and lends nothing."""
        found: Role | User | None = None
        if caller.kind in ("User", "FederatedUser"):
            found = self._directory.effective_user(caller.name)
        elif caller.kind == "Role":
            found = self._directory.effective_role(caller.name)
        unique_id = caller.session.principal_id if caller.session else caller.user_id
        return found if found and unique_id == found.id else None

    def _session(self, session: Session) -> tuple[Source, ...]:
        if session.kind == "federated" and not session.policies and not session.policy_arns:
            return (source("session policy", _ALLOWS_NOTHING, "session"),)
        inline = (source("session policy", text, "session") for text in session.policies)
        return (*inline, *(self.managed(arn, "session") for arn in session.policy_arns))

    def _keys(self, call: Call) -> dict[str, ContextValue]:
        moment = datetime.fromtimestamp(call.now, UTC)
        keys: dict[str, ContextValue] = {
            "aws:CurrentTime": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "aws:EpochTime": str(int(call.now)),
            "aws:SourceIp": call.request.source_ip,
            # Loopback stands for the TLS that AWS's endpoints have: policies that demand it must pass as they do there.
            "aws:SecureTransport": "true",
            "aws:RequestedRegion": call.region,
            "aws:ViaAWSService": "true" if call.via else "false",
            "aws:PrincipalIsAWSService": "false",
        }
        if call.via:
            keys |= {"aws:CalledVia": call.via, "aws:CalledViaFirst": call.via[0], "aws:CalledViaLast": call.via[-1]}
        if agent := call.request.header("user-agent"):
            keys["aws:UserAgent"] = agent
        if referer := call.request.header("referer"):
            keys["aws:Referer"] = referer
        keys.update({f"aws:PrincipalTag/{key}": value for key, value in call.caller.tags.items()})
        if session := call.caller.session:
            keys.update(_session_keys(session))
        return keys


def _session_keys(session: Session) -> dict[str, ContextValue]:
    issued = datetime.fromtimestamp(session.issued_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    keys: dict[str, ContextValue] = {"aws:TokenIssueTime": issued, **session.federated_keys}
    if session.source_identity:
        keys["aws:SourceIdentity"] = session.source_identity
    if session.federated_provider:
        keys["aws:FederatedProvider"] = session.federated_provider
    if not session.federated_provider:
        keys["aws:MultiFactorAuthPresent"] = "false"
    return keys


def principal_of(caller: Caller) -> Principal:
    """The caller in the engine's words."""
    if caller.kind == "Anonymous":
        return Principal("Anonymous")
    if caller.kind == "Role":
        assert caller.session is not None
        role_arn = caller.session.principal_arn
        return Principal("AssumedRole", caller.account, caller.arn, role_arn, caller.user_id)
    if caller.kind == "FederatedUser":
        assert caller.session is not None
        return Principal("FederatedUser", caller.account, caller.arn, caller.session.principal_arn, caller.user_id)
    return Principal(caller.kind, caller.account, caller.arn, unique_id=caller.user_id)


def tag_keys(tags: dict[str, str]) -> dict[str, ContextValue]:
    """The condition keys of tags in a request: aws:RequestTag/… and aws:TagKeys."""
    found: dict[str, ContextValue] = {f"aws:RequestTag/{key}": value for key, value in tags.items()}
    if tags:
        found["aws:TagKeys"] = tuple(tags)
    return found


def resource_tag_keys(tags: dict[str, str]) -> dict[str, ContextValue]:
    """The condition keys of the tags that a resource has."""
    return {f"aws:ResourceTag/{key}": value for key, value in tags.items()}
