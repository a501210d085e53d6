"""What AWS would decide for a session of the role: the service about the action, KMS about the key. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from keyless.api import Arn
from keyless.identity.verify.behind import KeyUse, Unseen
from keyless.identity.verify.federation import audience_of
from keyless.identity.verify.model import Cluster, Facts, Role
from keyless.identity.verify.trust import session_tags
from keyless.policy import ContextValue, Decision, Outcome, Policies, Principal, Request, Source, evaluate

_SESSION = "keyless"
Told = Mapping[str, ContextValue]
"""Condition keys that somebody told; they win over what follows from the chain."""


def decide(chain: Facts, role: Role, action: str, resource: str, policy: Source | None, told: Told) -> Decision:
    """What the service would decide about ``action`` on ``resource``, whose own policy is ``policy``."""
    sent = {key: value for key, value in (chain.access.sent if chain.access else ()) if value}
    context = {**session_keys(chain, role, resource), **sent, **told}
    owner = chain.owner_of(resource)
    request = Request(action, resource, principal_of(role), context, resource_account=owner)
    return evaluate(request, _policies(chain, role, policy))


def decide_key(chain: Facts, role: Role, use: KeyUse, told: Told) -> Decision:
    """What KMS would decide when the service asks it in the name of the role's session."""
    context = {**session_keys(chain, role, use.arn), **use.context, **told}
    request = Request(use.action, use.arn, principal_of(role), context)
    decision = evaluate(request, _policies(chain, role, use.policy))
    if decision.outcome is Outcome.IMPLICIT_DENY and _is_granted(use, role):
        # A grant allows by itself; a Deny, which was decided before, wins over it.
        return Decision(Outcome.ALLOWED, None, request, decision.policies)
    return decision


def _policies(chain: Facts, role: Role, resource: Source | None) -> Policies:
    """A session policy of the association bounds its sessions; what it denies is denied, whoever allows it."""
    own = chain.association.policy if chain.association else None
    return Policies(
        identity=role.identity, boundary=role.boundary, resource=resource, session=(own,) if own is not None else ()
    )


def principal_of(role: Role) -> Principal:
    """A session of the role."""
    arn = Arn.parse(role.arn)
    session = f"arn:{arn.partition}:sts::{arn.account}:assumed-role/{role.name}/{_SESSION}"
    unique_id = f"{role.unique_id}:{_SESSION}" if role.unique_id else ""
    return Principal("AssumedRole", arn.account, session, role_arn=role.arn, unique_id=unique_id)


def session_keys(chain: Facts, role: Role, resource: str) -> dict[str, ContextValue]:
    """The condition keys that follow from the chain; those of the time only where the time is told."""
    tags = dict(role.tags)
    keys: dict[str, ContextValue] = {"aws:SecureTransport": "true", "aws:ViaAWSService": "false"}
    if chain.now:
        moment = datetime.fromtimestamp(chain.now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        keys |= {
            "aws:CurrentTime": moment,
            "aws:EpochTime": str(int(chain.now)),
            "aws:TokenIssueTime": moment,
        }
    if isinstance(chain.cluster, Cluster):
        tags |= session_tags(chain, chain.cluster)
        keys["aws:RequestedRegion"] = _region(resource) or chain.cluster.region
        keys |= {} if chain.by_association else _token_keys(chain, chain.cluster)
    return keys | {f"aws:PrincipalTag/{key}": value for key, value in tags.items()}


def _token_keys(chain: Facts, cluster: Cluster) -> dict[str, ContextValue]:
    return {
        f"{cluster.host_path}:sub": chain.subject_name,
        f"{cluster.host_path}:aud": audience_of(chain),
        "aws:FederatedProvider": cluster.provider_arn,
    }


def _region(resource: str) -> str:
    return resource.split(":", 5)[3] if resource.count(":") >= 5 else ""


def _is_granted(use: KeyUse, role: Role) -> bool:
    return any(not grant.get("Constraints") for grant in _grants(use, role))


def constrained(use: KeyUse, role: Role) -> tuple[str, ...]:
    """The grants that may allow it: their constraints are about a context that the service makes at the call."""
    ids = (str(grant.get("GrantId", "?")) for grant in _grants(use, role) if grant.get("Constraints"))
    return tuple(f"whether the constraints of grant {one} of {use.arn} are met" for one in ids)


def _grants(use: KeyUse, role: Role) -> list[Mapping[str, Any]]:
    """The grants that give the role the operation."""
    operation = use.action.partition(":")[2]
    listed = () if isinstance(use.grants, Unseen) else use.grants
    return [
        grant
        for grant in listed
        if grant.get("GranteePrincipal") == role.arn and operation in grant.get("Operations", ())
    ]
