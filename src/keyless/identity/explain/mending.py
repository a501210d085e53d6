"""What is to be done about a No: the permission or the key policy that lacks something, amended and proven. Pure."""

from __future__ import annotations

import re
from dataclasses import replace

from keyless.api import Access, Reason
from keyless.identity.explain.deciding import decide, decide_key
from keyless.identity.explain.model import Evidence, Question
from keyless.identity.verify import Cluster, Link, State
from keyless.identity.verify.behind import KeyUse
from keyless.identity.verify.key_link import key_is_enabled, restore_secrets
from keyless.identity.verify.model import Facts, Fix, Role
from keyless.identity.verify.permission import bounded
from keyless.identity.verify.permission_fix import Holds, permit
from keyless.identity.verify.resource_fix import put_key_policy, renew_key_policy
from keyless.identity.verify.secret_fix import owners_part
from keyless.identity.verify.stale import told
from keyless.identity.verify.trust import denied_by
from keyless.policy import Decision, Layer, Outcome, Source

_SERVICE_LINKED = re.compile(r"arn:aws[a-z0-9-]*:iam::[0-9]{12}:role/aws-service-role/.+", re.ASCII)
_OF_AWS = re.compile(r"arn:aws[a-z0-9-]*:iam::aws:policy/.+", re.ASCII)
_LOOKS = re.compile(r"iam:(?:get|list|simulate)[a-z]+", re.ASCII)
_ATTACHES = re.compile(r"iam:(?:attach|detach)[a-z]+", re.ASCII)


def resource_is_there(evidence: Evidence) -> Link | None:
    """Told only where it is certainly missing: no permission helps then."""
    gone, question = evidence.missing, evidence.question
    if gone is None:
        return None
    near = f" (there is {', '.join(gone.near)})" if gone.near else ""
    found, advice = f"there is no {gone.name}{near}", "name one that is there, or make it"
    return Link("resource", State.BROKEN, question.resource, found, Reason.RESOURCE_MISSING, advice=advice)


def resource_is_usable(evidence: Evidence) -> Link | None:
    """Told only where a secret that waits for its deletion, or a key that is off, refuses everybody."""
    question, region = evidence.question, _region(evidence)
    if evidence.deleted:
        found = (
            f"{question.resource} is scheduled for deletion, from {evidence.deleted} on: {question.action} is refused"
        )
        link = Link("resource", State.BROKEN, question.resource, found, Reason.SECRET_SCHEDULED_FOR_DELETION)
        return link.fixed_by(restore_secrets([question.resource], region), "")
    return key_is_enabled([evidence.key], region) if isinstance(evidence.key, KeyUse) else None


def beyond_policies(question: Question) -> tuple[str, ...]:
    """Rules of a service that no policy shows: they refuse what every policy allows."""
    found: tuple[str, ...] = (question.doubt,) if question.doubt else ()
    action, resource = question.action.lower(), question.resource
    if action.startswith("iam:") and not _LOOKS.fullmatch(action):
        if _SERVICE_LINKED.fullmatch(resource):
            found += (f"whether the service of {resource} lets it be changed: a service-linked role is the service's",)
        if _OF_AWS.fullmatch(resource) and not _ATTACHES.fullmatch(action):
            found += (f"whether AWS lets {resource} be changed: its own managed policies are not",)
    return found


def refusal(evidence: Evidence, role: Role, decision: Decision | None, key: Decision | None) -> Link | None:
    """The link of the policy that refuses, with a fix where one is proven."""
    refused = (Outcome.EXPLICIT_DENY, Outcome.IMPLICIT_DENY)
    if decision and decision.outcome in refused:
        return _about_what_is_there(evidence, _of_service(evidence, role, decision))
    if key and key.outcome in refused:
        return _about_what_is_there(evidence, _of_key(evidence, role, key))
    return None


def _about_what_is_there(evidence: Evidence, link: Link) -> Link:
    """No command for an action or a resource that does not exist: its statement would stay and allow nothing."""
    if not link.fix or not (evidence.missing or evidence.question.doubt):
        return link
    question = evidence.question
    advice = (
        f"ask again with {'a resource' if evidence.missing else 'an action'} that is there: no policy can help with "
    )
    subject = question.resource if evidence.missing else question.action
    return replace(link, fix="", diff=(), advice=f"{advice}{subject}")


def _of_service(evidence: Evidence, role: Role, decision: Decision) -> Link:
    link = _link("permission", evidence.chain, role, decision)
    if owner := owners_part(decision, role.arn, evidence.resource_policy):
        return replace(link, advice=owner)
    if link.advice:
        return link

    def holds(identity: tuple[Source, ...]) -> bool:
        return decide(evidence, replace(role, identity=identity)).allowed

    return link.fixed_by(_permit(evidence, role, decision, holds), _otherwise(decision))


def _of_key(evidence: Evidence, role: Role, decision: Decision) -> Link:
    """In the role's own policies where the key's leaves it to them, else in the key's policy."""
    link = _link("key", evidence.chain, role, decision)
    if stale := _stale_key(evidence, role, link):
        return stale
    if link.advice:
        return link

    def holds(identity: tuple[Source, ...]) -> bool:
        found = decide_key(evidence, replace(role, identity=identity))
        return found is not None and found.allowed

    fix = _permit(evidence, role, decision, holds) or _put_key_policy(evidence, role)
    return link.fixed_by(fix, _otherwise(decision))


def _link(name: str, chain: Facts, role: Role, decision: Decision) -> Link:
    request, by = decision.request, decision.decided_by
    expected = f"{request.action} on {request.resource} is allowed"
    layer = decision.layer.value if decision.layer else "policy"
    if decision.outcome is Outcome.EXPLICIT_DENY:
        found = f"{by.label if by else 'a statement'} denies it"
        reason = Reason.PERMISSION_DENIED_EXPLICITLY
        return Link(name, State.BROKEN, expected, found, reason, advice=denied_by(decision))
    link = Link(name, State.BROKEN, expected, f"no {layer} allows it", Reason.PERMISSION_MISSING)
    if decision.layer in (Layer.BOUNDARY, Layer.SESSION):
        return replace(link, reason=Reason.PERMISSION_BOUNDED, advice=bounded(chain, role, decision))
    return link


def _otherwise(decision: Decision) -> str:
    where = f"the {decision.layer.value} of {decision.request.resource}" if decision.layer else "the policies"
    if decision.layer is Layer.IDENTITY:
        where = "the role's policies"
    return f"no change of {where} is proven to allow this and to leave the rest as it is: amend it by hand"


def _permit(evidence: Evidence, role: Role, decision: Decision, holds: Holds) -> Fix | None:
    request, name = decision.request, evidence.question.service_account
    access = Access(name, name, (request.action,), (request.resource,), request.action)
    return permit(role, access, [(request.action, request.resource)], holds)


def _put_key_policy(evidence: Evidence, role: Role) -> Fix | None:
    use = evidence.key
    if not isinstance(use, KeyUse):
        return None
    return put_key_policy(use, role, _region(evidence), lambda policy: _key_allows(evidence, use, role, policy))


def _stale_key(evidence: Evidence, role: Role, link: Link) -> Link | None:
    """The role was made again: the id that the key's policy keeps is of the one that is gone."""
    use = evidence.key
    if not isinstance(use, KeyUse) or not (kept := told(use.written, "key policy")):
        return None
    fix = renew_key_policy(use, role, _region(evidence), lambda policy: _key_allows(evidence, use, role, policy))
    stale = replace(link, found=f"{link.found}; {kept}", reason=Reason.PRINCIPAL_STALE)
    return stale.fixed_by(fix, "") if fix else None


def _key_allows(evidence: Evidence, use: KeyUse, role: Role, policy: Source) -> bool:
    found = decide_key(replace(evidence, key=replace(use, policy=policy)), role)
    return found is not None and found.allowed


def _region(evidence: Evidence) -> str:
    cluster = evidence.chain.cluster
    return cluster.region if isinstance(cluster, Cluster) else ""
