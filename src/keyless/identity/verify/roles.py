"""The role that the component shall become: whether it is there, and what is there instead. Pure."""

from __future__ import annotations

from dataclasses import replace

from keyless.api import Reason
from keyless.identity.verify.model import Association, Facts, Link, State
from keyless.identity.verify.near import is_slip
from keyless.identity.verify.pods import is_role_arn
from keyless.identity.verify.role_fix import admitting, make_role, near_roles, switch_role
from keyless.identity.verify.trust import leftovers


def role_is_there(facts: Facts) -> Link | None:
    """Told only where it is missing: else the trust policy is what there is to say of it."""
    # What is no role's ARN is told of where it stands.
    if not facts.role_arn or facts.role is not None or not is_role_arn(facts.role_arn):
        return None
    near = near_roles(facts)
    resembling = f" (there is {', '.join(near)})" if near else ""
    found = f"no such role{resembling}: STS answers AccessDenied"
    expected = f"role {facts.role_arn}"
    link = Link("role", State.BROKEN, expected, found, Reason.ROLE_MISSING, notes=leftovers(facts))
    if facts.association and facts.association.target_arn:
        # A role made for pods, or put in as the association's own, would not be what somebody chained on purpose.
        return replace(link, advice=_another_target(facts, facts.association))
    own = facts.role_arn.rpartition("/")[2]
    elsewhere = [arn for arn in near if arn.rpartition("/")[2] == own]
    slips = tuple(arn for arn in near if is_slip(own, arn.rpartition("/")[2]))
    fits = elsewhere or list(admitting(facts, slips))
    if len(fits) == 1:
        return link.fixed_by(switch_role(facts, fits[0]), "")
    if elsewhere:
        return replace(link, advice=f"choose one of {', '.join(elsewhere)}")
    return link.fixed_by(make_role(facts), "create the role, or name one that is there")


def _another_target(facts: Facts, association: Association) -> str:
    change = f"aws eks update-pod-identity-association --cluster-name {facts.eks_name}"
    change += f" --association-id {association.association_id} --target-role-arn"
    return f"create it with a trust policy that admits {association.role_arn}, or name another target with {change}"
