"""The last links: what the role may do, and what the component itself reports that it did. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator

from keyless.api import Access, Arn, Reason
from keyless.identity.verify.model import Cluster, Facts, Link, Role, State, Unread
from keyless.identity.verify.trust import session_tags
from keyless.policy import ContextValue, Decision, Named, Outcome, Policies, Principal, Request, evaluate, explain

_SESSION = "keyless-verify"
# What a component says while it could call AWS as its role but had nothing to do there.
_IDENTITY_ONLY = "IdentityProven"


def role_may_do_its_work(facts: Facts) -> Link:
    """Every action of the component on every resource it declares is allowed by the role's policies."""
    expected = _needs(facts.access)
    if facts.access is None:
        return Link("permission", State.SKIPPED, expected, "the component needs nothing yet")
    if not facts.role_arn or facts.role is None:
        return Link("permission", State.SKIPPED, expected, "no role to look at")
    if isinstance(facts.role, Unread):
        return Link("permission", State.UNKNOWN, expected, f"role {facts.role.why}")
    asked = list(_decisions(facts, facts.role, facts.access))
    decisions = [decision for _, decision in asked]
    unsure = [p for p, d in asked if d.outcome is Outcome.IMPLICIT_DENY and _may_name_the_secret(facts.role, p)]
    if unsure:
        found = f"a policy names {unsure[0]} with a suffix; whether it is the right one only the probe tells"
        return Link("permission", State.UNKNOWN, expected, found)
    refused = next((d for d in decisions if d.outcome in (Outcome.IMPLICIT_DENY, Outcome.EXPLICIT_DENY)), None)
    if refused:
        found = f"{refused.request.action} on {refused.request.resource}: " + "; ".join(
            line.strip() for line in explain(refused)[1:]
        )
        mend = _put_policy(facts.role, facts.access)
        return Link("permission", State.BROKEN, expected, found, Reason.PERMISSION_MISSING, mend)
    unread = [d for d in decisions if d.outcome is Outcome.UNKNOWN]
    if unread:
        return Link("permission", State.UNKNOWN, expected, "; ".join(unread[0].unread))
    by = decisions[0].decided_by if decisions else None
    return Link("permission", State.HELD, expected, by.label if by else "nothing is needed")


def _needs(access: Access | None) -> str:
    return f"{', '.join(access.actions)} on {', '.join(access.resources)}" if access else "the component's actions"


def _decisions(facts: Facts, role: Role, access: Access) -> Iterator[tuple[str, Decision]]:
    policies = Policies(identity=role.identity, boundary=role.boundary)
    for action in access.actions:
        for pattern in access.resources:
            # An action is about the resources of its own service.
            if Arn.parse(pattern).service == action.partition(":")[0]:
                yield pattern, evaluate(_request(facts, role, action, pattern), policies)


def _request(facts: Facts, role: Role, action: str, pattern: str) -> Request:
    """A question about one plausible resource of a pattern."""
    arn = Arn.parse(role.arn)
    session = f"arn:{arn.partition}:sts::{arn.account}:assumed-role/{role.name}/{_SESSION}"
    context: dict[str, ContextValue] = {}
    if isinstance(facts.cluster, Cluster):
        context["aws:RequestedRegion"] = facts.cluster.region
        context |= {f"aws:PrincipalTag/{key}": value for key, value in session_tags(facts, facts.cluster).items()}
    context["aws:SecureTransport"] = "true"
    principal = Principal("AssumedRole", arn.account, session, role_arn=role.arn)
    return Request(action, pattern.replace("*", "keyless").replace("?", "x"), principal, context)


def _may_name_the_secret(role: Role, pattern: str) -> bool:
    """Whether a policy names one secret with its random suffix, which a declared pattern does not know."""
    stem, suffix, _ = pattern.partition("-??????")
    documents = [source.document for source in role.identity if isinstance(source, Named)]
    resources = [s.resources for document in documents for s in document.statements if not s.deny]
    texts = [one.text for found in resources if found and not found.negated for one in found.patterns]
    return bool(suffix) and any(text.startswith(f"{stem}-") for text in texts)


def _put_policy(role: Role, access: Access) -> str:
    statement = {"Effect": "Allow", "Action": list(access.actions), "Resource": list(access.resources)}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]}, separators=(",", ":"))
    name = f"keyless-{access.component}"
    return f"aws iam put-role-policy --role-name {role.name} --policy-name {name} --policy-document '{document}'"


def probe_succeeded(facts: Facts) -> Link:
    """The component did its work as the role: it says so on the ControlPlane, with its session or with AWS's code."""
    name = facts.subject.condition
    role = facts.role_arn.rpartition("/")[2]
    expected = f"condition {name} is True, by a session of {role or 'the role'}"
    seen = facts.control_plane.conditions.get(name) if facts.control_plane else None
    if seen is None:
        return Link("probe", State.UNKNOWN, expected, f"the component has not set {name} yet")
    found = f"{name}={seen.status} ({seen.reason}): {seen.message}"
    proven = seen.status == "Unknown" and seen.reason == _IDENTITY_ONLY
    if seen.status != "True" and not proven:
        mend = f"kubectl logs deployment/{facts.subject.deployment} -n {facts.namespace}"
        return Link("probe", State.BROKEN, expected, found, Reason.PROBE_REFUSED, mend)
    if not role:
        return Link("probe", State.SKIPPED, expected, f"no role is named; {found}")
    if "assumed-role/" in seen.message and f":assumed-role/{role}/" not in seen.message:
        mend = f"kubectl rollout restart deployment {facts.subject.deployment} -n {facts.namespace}"
        return Link("probe", State.BROKEN, expected, found, Reason.PROBE_BY_ANOTHER_ROLE, facts.restart)
    unproven = ("the identity is proven; no data was read with it yet",) if proven else ()
    return Link("probe", State.HELD, expected, found, notes=unproven)
