"""An association with a target role: EKS's session of the first role assumes the target, which does the work. Pure.

The first role is judged as the role of an association without a target; the target admits a role, not a service. Its
trust policy may ask for the association's external id. Facts: facts/identity.md#eks-auth.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace

from keyless.api import Reason
from keyless.identity.verify.deciding import principal_of
from keyless.identity.verify.model import Cluster, Facts, Fix, Link, Role, State, Unread
from keyless.identity.verify.roles import role_is_there
from keyless.identity.verify.stale import renewal, told
from keyless.identity.verify.trust import denied_by, explained, role_trusts_the_component, session_tags
from keyless.identity.verify.trust_fix import POD_ACTIONS, admit_role
from keyless.policy import ContextValue, Decision, Document, Named, Outcome, Policies, Request, evaluate, parse
from keyless.policy.amend import compact, difference


def first_role_is_there(facts: Facts) -> Link | None:
    """Told only where it is missing, as of any role."""
    return _of_the_first(role_is_there(first)) if (first := _without_target(facts)) else None


def first_role_trusts_pod_identity(facts: Facts) -> Link | None:
    """EKS becomes the first role before anything else."""
    return _of_the_first(role_trusts_the_component(first)) if (first := _without_target(facts)) else None


def role_is_trusted(facts: Facts) -> Link | None:
    """The trust link of the chain: whom the role admits, the component itself or the first role."""
    association = facts.association
    if association is None or not association.target_arn:
        return role_trusts_the_component(facts)
    expected = f"target role {association.target_arn} admits {association.role_arn} to sts:AssumeRole"
    expected += " and sts:TagSession" if association.tags else ""
    if isinstance(facts.role, Unread) or isinstance(facts.cluster, Unread) or isinstance(facts.through, Unread):
        unread = next(one for one in (facts.role, facts.cluster, facts.through) if isinstance(one, Unread))
        return Link("trust", State.UNKNOWN, expected, unread.why)
    if facts.role is None or facts.through is None:
        return Link("trust", State.SKIPPED, expected, "no such role")
    return _judged(facts, facts.through, facts.role, facts.cluster, expected)


def _judged(facts: Facts, first: Role, target: Role, cluster: Cluster, expected: str) -> Link:
    actions = POD_ACTIONS if session_tags(facts, cluster) else POD_ACTIONS[:1]
    decisions = [_decide(facts, first, target, cluster, action) for action in actions]
    refused = next((one for one in decisions if not one.allowed), None)
    if refused is None:
        return Link("trust", State.HELD, expected, f"{' and '.join(actions)} allowed")
    action = refused.request.action
    found = f"{action} is refused to {first.arn}: {explained(refused)}"
    if refused.outcome is Outcome.UNKNOWN:
        return Link("trust", State.UNKNOWN, expected, f"{found}; {'; '.join(refused.unread)}")
    if refused.outcome is Outcome.EXPLICIT_DENY:
        reason = Reason.TRUST_DENIES_EXPLICITLY
        return Link("trust", State.BROKEN, expected, found, reason, advice=denied_by(refused))

    def holds(new: Document) -> bool:
        after = replace(target, trust=new)
        return all(_decide(facts, first, after, cluster, each).allowed for each in actions)

    if stale := _stale(first, target, expected, holds):
        return stale
    reason = Reason.TAG_SESSION_NOT_TRUSTED if action == "sts:TagSession" else Reason.TRUST_DENIES
    external = facts.association.external_id if facts.association else ""
    otherwise = (
        f"no change of the trust policy of {target.name} alone is proven to admit {first.arn}: see also what the "
        f"policies and the permissions boundary of {first.name} allow on it"
    )
    link = Link("trust", State.BROKEN, expected, found, reason)
    return link.fixed_by(admit_role(target, first.arn, actions, external, holds), otherwise)


def _stale(first: Role, target: Role, expected: str, holds: Callable[[Document], bool]) -> Link | None:
    """The first role was made again: the id that the trust policy keeps is of the one that is gone."""
    after = renewal(target.written, first.arn)
    if target.written is None or after is None or not holds(parse(after, "trust")):
        return None  # whose id it was nobody can tell: what is missing is told as for any trust policy
    found = told(target.written, f"trust policy of {target.name}")
    command = f"aws iam update-assume-role-policy --role-name {target.name} --policy-document"
    fix = f"{command} {shlex.quote(compact(after))}"
    says = (
        f"puts {first.arn} in the place of that id; whoever it was is gone, and IAM keeps the new role's id from now on"
    )
    link = Link("trust", State.BROKEN, expected, found, Reason.PRINCIPAL_STALE)
    return link.fixed_by(Fix(fix, says, difference(target.written, after)), "")


def _decide(facts: Facts, first: Role, target: Role, cluster: Cluster, action: str) -> Decision:
    """What STS would decide for the session of the first role."""
    tags = session_tags(facts, cluster)
    context: dict[str, ContextValue] = {f"aws:RequestTag/{key}": value for key, value in tags.items()}
    context |= {f"aws:PrincipalTag/{key}": value for key, value in {**first.tags, **tags}.items()}
    context |= {"aws:TagKeys": tuple(tags), "sts:TransitiveTagKeys": tuple(tags)} if tags else {}
    if facts.association and facts.association.external_id:
        context["sts:ExternalId"] = facts.association.external_id
    request = Request(action, target.arn, principal_of(first), context)
    trust = Named(f"trust policy of {target.name}", target.trust)
    return evaluate(request, Policies(identity=first.identity, boundary=first.boundary, resource=trust))


def _without_target(facts: Facts) -> Facts | None:
    """The facts of the same chain as far as the first role; nothing where there is no target."""
    association = facts.association
    if association is None or not association.target_arn:
        return None
    # The session policy bounds the target's sessions alone.
    alone = replace(association, target_arn="", external_id="", policy=None)
    return replace(facts, associations=(alone,), role=facts.through)


def _of_the_first(link: Link | None) -> Link | None:
    return replace(link, name=f"first {link.name}", notes=()) if link else None
