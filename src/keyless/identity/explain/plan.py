"""Answer a question on its evidence. Pure.

First how the service account comes to its role (the links that :mod:`keyless.identity.verify` judges), then what the
role's session may do. A certain No anywhere is a No; what could not be read, or was not told, makes the rest Unknown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from keyless.api import Arn, Reason
from keyless.identity.explain.model import Answer, Evidence, Verdict
from keyless.identity.explain.untold import untold
from keyless.identity.verify import Cluster, Facts, Link, State
from keyless.identity.verify.federation import (
    agent_runs,
    audience_is_registered,
    audience_of,
    provider_is_registered,
)
from keyless.identity.verify.model import ANNOTATION, Role, Unread
from keyless.identity.verify.trust import role_trusts_the_component, session_tags
from keyless.policy import ContextValue, Decision, Outcome, Policies, Principal, Request, evaluate

_SESSION = "keyless-explain"
_REFUSED = (Outcome.EXPLICIT_DENY, Outcome.IMPLICIT_DENY)


def explain(evidence: Evidence) -> Answer:
    """The verdict on the whole chain, with its links and the decision."""
    chain = evidence.chain
    links = tuple(_without_notes(found) for check in _LINKS if (found := check(chain)) is not None)
    decision = decide(evidence, chain.role) if isinstance(chain.role, Role) else None
    hangs_on = untold(decision) if decision else ()
    return Answer(
        question=evidence.question,
        verdict=_verdict(links, decision, hangs_on),
        role_arn=chain.role_arn,
        way="pod-identity" if chain.by_association else "irsa" if chain.annotation else "",
        links=links,
        decision=decision,
        untold=hangs_on,
        unread=decision.unread if decision else (),
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
        fix = f"kubectl get serviceaccounts -n {namespace}"
        return Link("service account", State.BROKEN, expected, f"no {place}", Reason.SERVICE_ACCOUNT_MISSING, fix)
    if facts.association:
        found = f"association {facts.association.association_id}: {facts.role_arn}"
        return Link("service account", State.HELD, expected, found)
    if isinstance(facts.associations, Unread):
        found = f"annotation {facts.annotation or 'absent'}; associations, which would win, {facts.associations.why}"
        return Link("service account", State.UNKNOWN, expected, found)
    if facts.annotation:
        return Link("service account", State.HELD, expected, f"{ANNOTATION}: {facts.annotation}")
    fix = f"kubectl annotate serviceaccount {account} -n {namespace} {ANNOTATION}=ROLE_ARN"
    found = "no annotation and no association"
    return Link("service account", State.BROKEN, expected, found, Reason.ROLE_NOT_NAMED, fix)


_LINKS: tuple[Callable[[Facts], Link | None], ...] = (
    role_is_named,
    provider_is_registered,
    audience_is_registered,
    agent_runs,
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
