"""Answer a question on its evidence. Pure.

First how the service account comes to its role (the links that :mod:`keyless.identity.verify` judges), then what the
role's session may do. A certain No anywhere is a No; what could not be read, or was not told, makes the rest Unknown.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from keyless.api import Arn, Reason
from keyless.identity.explain.model import Answer, Evidence, KeyUse, Unseen, Verdict
from keyless.identity.explain.untold import untold
from keyless.identity.verify import Cluster, Facts, Link, State
from keyless.identity.verify.federation import (
    agent_runs,
    audience_is_registered,
    audience_of,
    provider_is_registered,
)
from keyless.identity.verify.model import ANNOTATION, Role, Unread
from keyless.identity.verify.pods import misspelt_annotation
from keyless.identity.verify.roles import role_is_there
from keyless.identity.verify.trust import role_trusts_the_component, session_tags
from keyless.policy import ContextValue, Decision, Outcome, Policies, Principal, Request, evaluate

_SESSION = "keyless-explain"
_REFUSED = (Outcome.EXPLICIT_DENY, Outcome.IMPLICIT_DENY)


def explain(evidence: Evidence) -> Answer:
    """The verdict on the whole chain, with its links and the decision."""
    chain = evidence.chain
    links = tuple(_without_notes(found) for check in _LINKS if (found := check(chain)) is not None)
    decision = decide(evidence, chain.role) if isinstance(chain.role, Role) else None
    key = decide_key(evidence, chain.role) if isinstance(chain.role, Role) and _gets_so_far(decision) else None
    hangs_on = untold(decision) if decision else ()
    unseen = _unseen(evidence.key) if _gets_so_far(decision) and not (key and key.allowed) else ()
    verdict = _verdict(links, decision, hangs_on)
    if verdict is Verdict.ALLOWED and (key or unseen):
        verdict = _of_key(key, unseen)
    return Answer(
        question=evidence.question,
        verdict=verdict,
        role_arn=chain.role_arn,
        way="pod-identity" if chain.by_association else "irsa" if chain.annotation else "",
        links=links,
        decision=decision,
        untold=hangs_on,
        unread=(*(decision.unread if decision else ()), *(key.unread if key else ()), *unseen),
        key=key,
    )


def _gets_so_far(decision: Decision | None) -> bool:
    """Whether the service comes to ask for the key: it refuses first what its own policies refuse."""
    return decision is not None and decision.outcome not in _REFUSED


def _unseen(key: KeyUse | Unseen | None) -> tuple[str, ...]:
    if isinstance(key, Unseen):
        return (key.what,)
    return (key.grants.what,) if key and isinstance(key.grants, Unseen) else ()


def _of_key(key: Decision | None, unseen: tuple[str, ...]) -> Verdict:
    """A grant that was not seen may still allow; a Deny of the key's policy is certain."""
    if key and key.outcome is Outcome.EXPLICIT_DENY:
        return Verdict.DENIED
    if unseen or key is None or key.outcome is Outcome.UNKNOWN:
        return Verdict.UNKNOWN
    return Verdict.ALLOWED if key.allowed else Verdict.DENIED


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
    """Whether a grant without constraints gives the role the operation; one with constraints proves nothing here."""
    if isinstance(use.grants, Unseen):
        return False
    operation = use.action.partition(":")[2]
    return any(
        grant.get("GranteePrincipal") == role.arn
        and operation in grant.get("Operations", ())
        and not grant.get("Constraints")
        for grant in use.grants
    )


def _verdict(links: tuple[Link, ...], decision: Decision | None, hangs_on: tuple[str, ...]) -> Verdict:
    states = {link.state for link in links}
    if State.BROKEN in states:
        return Verdict.DENIED
    if decision and decision.outcome in _REFUSED and not hangs_on:
        return Verdict.DENIED
    if State.UNKNOWN in states or decision is None or hangs_on or decision.outcome is Outcome.UNKNOWN:
        return Verdict.UNKNOWN
    return Verdict.ALLOWED


def _without_notes(link: Link) -> Link:
    """Notes tell of other control planes' subjects; the question is about one service account."""
    return replace(link, notes=())


def role_is_named(facts: Facts) -> Link:
    """The service account exists and leads to a role, by an association or by its annotation."""
    account, namespace = facts.subject.service_account, facts.namespace
    place = f"service account {namespace}/{account}"
    expected = f"{place} names a role: a Pod Identity association, or annotation {ANNOTATION}"
    if facts.workload is None or facts.workload.annotations is None:
        advice = f"kubectl get serviceaccounts -n {namespace} lists what there is"
        reason = Reason.SERVICE_ACCOUNT_MISSING
        return Link("service account", State.BROKEN, expected, f"no {place}", reason, advice=advice)
    if facts.association:
        found = f"association {facts.association.association_id}: {facts.role_arn}"
        return Link("service account", State.HELD, expected, found)
    if isinstance(facts.associations, Unread):
        found = f"annotation {facts.annotation or 'absent'}; associations, which would win, {facts.associations.why}"
        return Link("service account", State.UNKNOWN, expected, found)
    if facts.annotation:
        return Link("service account", State.HELD, expected, f"{ANNOTATION}: {facts.annotation}")
    link = Link("service account", State.BROKEN, expected, "no annotation and no association", Reason.ROLE_NOT_NAMED)
    misspelt = misspelt_annotation(facts.workload.annotations)
    if misspelt is None:
        return replace(link, advice=f"annotate it with {ANNOTATION} and a role that trusts it, or make an association")
    key, value = misspelt
    found = f"annotation {key}, which nothing reads; the name is {ANNOTATION}"
    annotate = f"kubectl annotate serviceaccount {account} -n {namespace} {shlex.quote(f'{ANNOTATION}={value}')}"
    return replace(link, found=found, reason=Reason.ANNOTATION_MISSPELT, fix=annotate)


_LINKS: tuple[Callable[[Facts], Link | None], ...] = (
    role_is_named,
    provider_is_registered,
    audience_is_registered,
    agent_runs,
    role_is_there,
    role_trusts_the_component,
)


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
