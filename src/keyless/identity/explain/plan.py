"""Answer a question on its evidence. Pure.

First how the service account comes to its role (the links that :mod:`keyless.identity.verify` judges), then what the
role's session may do. A certain No anywhere is a No; what could not be read, or was not told, makes the rest Unknown.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace

from keyless.api import Reason
from keyless.identity.explain.deciding import decide, decide_key
from keyless.identity.explain.mending import beyond_policies, refusal, resource_is_there, resource_is_usable
from keyless.identity.explain.model import Answer, Evidence, Verdict
from keyless.identity.verify import Facts, Link, State
from keyless.identity.verify.access_link import aws_is_read
from keyless.identity.verify.agents import agent_runs
from keyless.identity.verify.behind import KeyUse, Unseen
from keyless.identity.verify.deciding import constrained
from keyless.identity.verify.federation import audience_is_registered, provider_is_registered
from keyless.identity.verify.model import ANNOTATION, Role, Unread
from keyless.identity.verify.pods import association_misspelt, is_role_arn, meant_role, misspelt_annotation
from keyless.identity.verify.roles import role_is_there
from keyless.identity.verify.target import first_role_is_there, first_role_trusts_pod_identity, role_is_trusted
from keyless.identity.verify.untold import untold
from keyless.policy import Decision, Outcome, denied_within

_REFUSED = (Outcome.EXPLICIT_DENY, Outcome.IMPLICIT_DENY)


def explain(evidence: Evidence) -> Answer:
    """The verdict on the whole chain, with its links and the decision."""
    chain = evidence.chain
    judged = (*(check(chain) for check in _LINKS), resource_is_there(evidence), resource_is_usable(evidence))
    links = tuple(_without_notes(found) for found in judged if found is not None)
    role = chain.role if isinstance(chain.role, Role) else None
    decision = decide(evidence, role) if role else None
    key = decide_key(evidence, role) if role and _gets_so_far(decision) else None
    hangs_on = untold(decision) if decision else ()
    unseen = _unseen(evidence.key, role) if _gets_so_far(decision) and not (key and key.allowed) else ()
    verdict = _verdict(links, decision, hangs_on)
    if verdict is Verdict.ALLOWED and (key or unseen):
        verdict = _of_key(key, unseen)
    if role and verdict is Verdict.DENIED and (refused := refusal(evidence, role, decision, key)):
        links = (*links, refused)
    doubts = (
        (*beyond_policies(evidence.question), *_in_part(evidence, decision)) if verdict is not Verdict.DENIED else ()
    )
    if doubts:
        verdict = Verdict.UNKNOWN
    return Answer(
        question=evidence.question,
        verdict=verdict,
        role_arn=chain.role_arn,
        way="pod-identity" if chain.by_association else "irsa" if chain.annotation else "",
        links=links,
        decision=decision,
        untold=hangs_on,
        unread=(*(decision.unread if decision else ()), *(key.unread if key else ()), *unseen, *doubts),
        key=key,
    )


def _in_part(evidence: Evidence, decision: Decision | None) -> tuple[str, ...]:
    """A question about a pattern has no one answer where a Deny is about a part of it."""
    pattern = evidence.question.resource
    if decision is None or pattern == "*" or not ("*" in pattern or "?" in pattern):
        return ()
    partly = denied_within(decision.request, decision.policies, pattern)
    by = partly.decided_by if partly else None
    return (f"which resource is meant: {by.label} denies {partly.request.resource}",) if partly and by else ()


def _gets_so_far(decision: Decision | None) -> bool:
    """Whether the service comes to ask for the key: it refuses first what its own policies refuse."""
    return decision is not None and decision.outcome not in _REFUSED


def _unseen(key: KeyUse | Unseen | None, role: Role | None) -> tuple[str, ...]:
    if isinstance(key, Unseen):
        return (key.what,)
    if key and isinstance(key.grants, Unseen):
        return (key.grants.what,)
    return constrained(key, role) if key and role else ()


def _of_key(key: Decision | None, unseen: tuple[str, ...]) -> Verdict:
    """A grant that was not seen may still allow; a Deny of the key's policy is certain."""
    if key and key.outcome is Outcome.EXPLICIT_DENY:
        return Verdict.DENIED
    if unseen or key is None or key.outcome is Outcome.UNKNOWN:
        return Verdict.UNKNOWN
    return Verdict.ALLOWED if key.allowed else Verdict.DENIED


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
        found = f"association {facts.association.words}"
        found += f"; it wins over the annotation {facts.annotation}" if facts.annotation else ""
        return Link("service account", State.HELD, expected, found)
    if isinstance(facts.associations, Unread):
        found = f"annotation {facts.annotation or 'absent'}; associations, which would win, {facts.associations.why}"
        return Link("service account", State.UNKNOWN, expected, found)
    if facts.annotation and not is_role_arn(facts.annotation):
        found = f"{ANNOTATION}: {facts.annotation!r}, which is no role's ARN"
        advice = f"annotate it with the whole ARN: kubectl annotate serviceaccount {account} -n {namespace} --overwrite"
        link = Link("service account", State.BROKEN, expected, found, Reason.ROLE_ARN_MALFORMED)
        return link.fixed_by(meant_role(facts, facts.annotation), advice)
    if facts.annotation:
        return Link("service account", State.HELD, expected, f"{ANNOTATION}: {facts.annotation}")
    elsewhere = [one for one in facts.associations if one.service_account == account]
    none = "no annotation and no association"
    none += (
        f"; {elsewhere[0].association_id} is for this name in namespace {elsewhere[0].namespace}" if elsewhere else ""
    )
    none += f"; {facts.cluster_fault}" if facts.cluster_fault else ""
    link = Link("service account", State.BROKEN, expected, none, Reason.ROLE_NOT_NAMED)
    misspelt = misspelt_annotation(facts.workload.annotations)
    if misspelt is None and facts.misspelt:
        return association_misspelt(facts, facts.misspelt[0], expected)
    if misspelt is None:
        return replace(link, advice=f"annotate it with {ANNOTATION} and a role that trusts it, or make an association")
    key, value = misspelt
    found = f"annotation {key}, which nothing reads; the name is {ANNOTATION}"
    annotate = f"kubectl annotate serviceaccount {account} -n {namespace} {shlex.quote(f'{ANNOTATION}={value}')}"
    return replace(link, found=found, reason=Reason.ANNOTATION_MISSPELT, fix=annotate)


_LINKS: tuple[Callable[[Facts], Link | None], ...] = (
    aws_is_read,
    role_is_named,
    provider_is_registered,
    audience_is_registered,
    agent_runs,
    first_role_is_there,
    first_role_trusts_pod_identity,
    role_is_there,
    role_is_trusted,
)
