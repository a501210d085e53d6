"""The two decisions of an answer: of the service about the action, of KMS about the key behind the resource. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from keyless.api import Arn
from keyless.identity.explain.model import Evidence, KeyUse, Unseen
from keyless.identity.verify import Cluster, Facts
from keyless.identity.verify.federation import audience_of
from keyless.identity.verify.model import Role
from keyless.identity.verify.trust import session_tags
from keyless.policy import ContextValue, Decision, Outcome, Policies, Principal, Request, evaluate

_SESSION = "keyless-explain"


def decide(evidence: Evidence, role: Role) -> Decision:
    """What AWS would decide for a session of the role."""
    arn = Arn.parse(role.arn)
    session = f"arn:{arn.partition}:sts::{arn.account}:assumed-role/{role.name}/{_SESSION}"
    principal = Principal("AssumedRole", arn.account, session, role_arn=role.arn)
    question = evidence.question
    request = Request(question.action, question.resource, principal, {**_context(evidence, role), **question.context})
    return evaluate(
        request, Policies(identity=role.identity, boundary=role.boundary, resource=evidence.resource_policy)
    )


def _context(evidence: Evidence, role: Role) -> dict[str, ContextValue]:
    """The condition keys that follow from the chain."""
    chain, moment = evidence.chain, datetime.fromtimestamp(evidence.now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    tags = dict(role.tags)
    keys: dict[str, ContextValue] = {
        "aws:CurrentTime": moment,
        "aws:EpochTime": str(int(evidence.now)),
        "aws:TokenIssueTime": moment,
        "aws:SecureTransport": "true",
        "aws:ViaAWSService": "false",
    }
    if isinstance(chain.cluster, Cluster):
        tags |= session_tags(chain, chain.cluster)
        keys["aws:RequestedRegion"] = _region(evidence.question.resource) or chain.cluster.region
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


def decide_key(evidence: Evidence, role: Role) -> Decision | None:
    """What KMS would decide when the service asks it in the name of the role's session."""
    use = evidence.key
    if not isinstance(use, KeyUse):
        return None
    arn = Arn.parse(role.arn)
    session = f"arn:{arn.partition}:sts::{arn.account}:assumed-role/{role.name}/{_SESSION}"
    principal = Principal("AssumedRole", arn.account, session, role_arn=role.arn)
    request = Request(
        use.action, use.arn, principal, {**_context(evidence, role), **use.context, **evidence.question.context}
    )
    decision = evaluate(request, Policies(identity=role.identity, boundary=role.boundary, resource=use.policy))
    if decision.outcome is Outcome.IMPLICIT_DENY and _is_granted(use, role):
        # A grant allows by itself; a Deny, which was decided before, wins over it.
        return Decision(Outcome.ALLOWED, None, request, decision.policies)
    return decision


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
