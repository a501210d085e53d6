"""Grants: from the Space, the features on and what AWS has, to provider, roles, policies, trust and associations."""

from keyless.identity.grants.gather import gather
from keyless.identity.grants.model import Asked, Have, Mode, Plan, Step, Way, Wish
from keyless.identity.grants.plan import per_role, plan, undo
from keyless.identity.grants.refusals import Caller
from keyless.identity.grants.render import render_json, render_text
from keyless.identity.grants.service import Outcome, apply

__all__ = [
    "Asked",
    "Caller",
    "Have",
    "Mode",
    "Outcome",
    "Plan",
    "Step",
    "Way",
    "Wish",
    "apply",
    "gather",
    "per_role",
    "plan",
    "render_json",
    "render_text",
    "undo",
]
