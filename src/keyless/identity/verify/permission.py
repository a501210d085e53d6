"""The last links: what the role may do, and what the component itself reports that it did. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from keyless.api import Access, Arn, Reason
from keyless.identity.verify.model import Bucket, Cluster, Facts, Link, Missing, Role, State, Unread
from keyless.identity.verify.permission_fix import needed, permit
from keyless.identity.verify.trust import denied_by, session_tags
from keyless.policy import (
    ContextValue,
    Decision,
    Layer,
    Named,
    Outcome,
    Policies,
    Principal,
    Request,
    Source,
    evaluate,
    explain,
)

_SESSION = "keyless-verify"
# What a component says while it could call AWS as its role but had nothing to do there.
_IDENTITY_ONLY = "IdentityProven"


def sources_are_there(facts: Facts) -> Link | None:
    """What is read is looked up before a permission is judged: a policy for a misspelt name helps nobody."""
    if not facts.gone:
        return None
    told = [one.name + (f" (there is {', '.join(one.near)})" if one.near else "") for one in facts.gone]
    advice = "make it, or put the right name into remoteRef.key of the SharedExternalSecret"
    expected = "every secret and parameter that is shared exists"
    found = f"there is no {'; no '.join(told)}"
    return Link("sources", State.BROKEN, expected, found, Reason.RESOURCE_MISSING, advice=advice)


def role_may_do_its_work(facts: Facts) -> Link:
    """Every action of the component on every resource it declares is allowed by the role's policies."""
    expected = _needs(facts.access)
    if facts.access is None:
        return Link("permission", State.SKIPPED, expected, "the component needs nothing yet")
    if not facts.role_arn or facts.role is None:
        return Link("permission", State.SKIPPED, expected, "no role to look at")
    if isinstance(facts.role, Unread):
        return Link("permission", State.UNKNOWN, expected, f"role {facts.role.why}")
    if isinstance(facts.bucket, Missing):
        return Link("permission", State.SKIPPED, expected, "there is no such bucket to have a permission for")
    asked = list(_decisions(facts, facts.role, facts.access))
    unsure = [p for p, d in asked if d.outcome is Outcome.IMPLICIT_DENY and _may_name_the_secret(facts.role, p)]
    if unsure:
        found = f"a policy names {unsure[0]} with a suffix; whether it is the right one only the probe tells"
        return Link("permission", State.UNKNOWN, expected, found)
    refused = [(p, d) for p, d in asked if d.outcome in (Outcome.IMPLICIT_DENY, Outcome.EXPLICIT_DENY)]
    if refused:
        return _refused(facts, facts.role, facts.access, refused)
    unread = [d for _, d in asked if d.outcome is Outcome.UNKNOWN]
    if unread:
        return Link("permission", State.UNKNOWN, expected, "; ".join(unread[0].unread))
    by = asked[0][1].decided_by if asked else None
    return Link("permission", State.HELD, expected, by.label if by else "nothing is needed")


def _refused(facts: Facts, role: Role, access: Access, refused: list[tuple[str, Decision]]) -> Link:
    """A Deny is told first: no Allow helps against it."""
    first = next((d for _, d in refused if d.outcome is Outcome.EXPLICIT_DENY), refused[0][1])
    told = "; ".join(line.strip() for line in explain(first)[1:])
    found = f"{first.request.action} on {first.request.resource}: {told}"
    link = Link("permission", State.BROKEN, _needs(access), found, Reason.PERMISSION_MISSING)
    if first.outcome is Outcome.EXPLICIT_DENY:
        return replace(link, reason=Reason.PERMISSION_DENIED_EXPLICITLY, advice=denied_by(first))
    if first.layer is Layer.BOUNDARY:
        name = role.boundary.name if role.boundary else "the boundary"
        advice = f"the permissions boundary {name} bounds other roles, too: widen it, or give the role another one"
        return replace(link, reason=Reason.PERMISSION_BOUNDED, advice=advice)

    def holds(identity: tuple[Source, ...]) -> bool:
        return all(d.allowed for _, d in _decisions(facts, replace(role, identity=identity), access))

    fix = permit(role, access, [(d.request.action, pattern) for pattern, d in refused], holds)
    otherwise = "no change of the role's inline policies is proven to allow this and to leave the rest as it is"
    return link.fixed_by(fix, otherwise)


def _needs(access: Access | None) -> str:
    return f"{', '.join(access.actions)} on {', '.join(access.resources)}" if access else "the component's actions"


def _decisions(facts: Facts, role: Role, access: Access) -> Iterator[tuple[str, Decision]]:
    bucket = facts.bucket.policy if isinstance(facts.bucket, Bucket) else None
    for action, pattern in needed(access):
        on_bucket = action.startswith("s3:")
        policies = Policies(identity=role.identity, boundary=role.boundary, resource=bucket if on_bucket else None)
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


def work_is_whole(facts: Facts) -> Link | None:
    """What reaches AWS may be a part: whether it is all only the component knows. Before it does, nothing is said."""
    name = facts.subject.health
    seen = facts.control_plane.conditions.get(name) if name and facts.control_plane else None
    if seen is None or not facts.enabled:
        return None
    expected, found = f"condition {name} is True", f"{name}={seen.status} ({seen.reason}): {seen.message}"
    if seen.status == "True":
        return Link("health", State.HELD, expected, found)
    advice = "the message names what is not counted or stored, and why: mend that, the condition follows within minutes"
    return Link("health", State.BROKEN, expected, found, Reason.NOT_HEALTHY, advice=advice)


def probe_succeeded(facts: Facts) -> Link:
    """The component did its work as the role: it says so on the ControlPlane, with its session or with AWS's code."""
    name = facts.subject.condition
    role = facts.role_arn.rpartition("/")[2]
    expected = f"condition {name} is True, by a session of {role or 'the role'}"
    seen = facts.control_plane.conditions.get(name) if facts.control_plane else None
    if seen is None:
        return Link("probe", State.UNKNOWN, expected, f"the component has not set {name} yet")
    since = f" since {seen.since}" if seen.since else ""
    found = f"{name}={seen.status} ({seen.reason}){since}: {seen.message}"
    proven = seen.status == "Unknown" and seen.reason == _IDENTITY_ONLY
    if seen.status != "True" and not proven:
        pods = f"deployment/{facts.subject.deployment} -n {facts.namespace}"
        advice = f"the links above are what it depends on; kubectl logs {pods} has the whole story"
        if "kms:" in seen.message and (asked := _of_key(facts)):
            advice = f"the key behind it refuses: `{asked}` says which policy does, and what mends it"
        return Link("probe", State.BROKEN, expected, found, Reason.PROBE_REFUSED, advice=advice)
    if not role:
        return Link("probe", State.SKIPPED, expected, f"no role is named; {found}")
    if "assumed-role/" in seen.message and f":assumed-role/{role}/" not in seen.message:
        return Link("probe", State.BROKEN, expected, found, Reason.PROBE_BY_ANOTHER_ROLE, facts.restart)
    unproven = ("the identity is proven; no data was read with it yet",) if proven else ()
    return Link("probe", State.HELD, expected, found, notes=unproven)


def _of_key(facts: Facts) -> str:
    """The question whose answer has the key's own policies and grants in it; empty where no one resource is known."""
    access = facts.access
    asked = [] if access is None else [resource for action, resource in needed(access) if action == access.probe]
    if access is None or not asked or "?" in asked[0]:
        return ""
    account = f"{facts.namespace}/{facts.subject.service_account}"
    return f"keyless explain {account} {access.probe} {asked[0].replace('*', 'keyless')}"
