"""What the operator keeps inside a control plane, and the Secrets through which it is reached. Pure."""

from __future__ import annotations

from dataclasses import replace

from keyless.api import Reason
from keyless.kube.resources import SECRETS
from keyless.space import components
from keyless.space.components import EXTERNAL_SECRETS
from keyless.space.control_planes import admins, attached, own, tenant, tokens
from keyless.space.control_planes.model import Facts, Finding, IssueToken, Plan, Remove, Served, Step, way_of
from keyless.space.control_planes.workloads import Intent, foreign_definitions
from keyless.space.control_planes.writing import write
from keyless.space.items import Item, Key, is_ours
from keyless.space.place import Place


def wanted_inside(facts: Facts, intent: Intent) -> tuple[Item, ...]:
    """The objects that must exist inside, in order."""
    secrets = any(component.name == EXTERNAL_SECRETS for component in intent.wanted)
    # A connection is an administrator's: what the narrow credential may not make is not asked for each time.
    connects = bool(facts.spec.get("writeConnectionSecretToRef")) and not attached.is_outgrown(facts)
    names = (*intent.names, *((tenant.CONNECTION,) if connects else ()))
    return (
        *(tenant.definitions() if secrets else ()),
        *(each for name in names for each in tenant.identity(name)),
        *admins.wanted(facts),
    )


def prepare(facts: Facts, intent: Intent) -> Plan:
    """Definitions and identities, in a namespace that is held. Definitions that someone else installed are theirs."""
    written = write(facts, wanted_inside(facts, intent), "tenant")
    foreign = foreign_definitions(facts)
    if not foreign:
        return written
    message = (
        f"{', '.join(foreign)} inside the control plane: expected none or the operator's, found someone else's; "
        "shared secrets do not run there until they are removed"
    )
    refused = Finding("Synced", False, Reason.DEFINITION_OWNED_ELSEWHERE, message)
    return replace(written, findings=(*written.findings, refused))


def issue_tokens(facts: Facts, place: Place, served: Served, intent: Intent) -> Plan:
    """A token for each component, renewed at half life."""
    parts = [_issue(facts, served, IssueToken(name, components.kubeconfig_key(name, place))) for name in intent.names]
    return _together(parts)


def connect(facts: Facts, place: Place, served: Served) -> Plan:
    """The Secret that the user asked for by ``writeConnectionSecretToRef``."""
    wish = facts.spec.get("writeConnectionSecretToRef")
    if not wish:
        return Plan()
    key = Key(SECRETS, wish["name"], place.group)
    if wish.get("namespace", place.group) != place.group:
        return _refused(f"namespace {wish['namespace']}: expected the control plane's own group {place.group}")
    live = facts.host.get(key)
    if live is not None and not is_ours(live):
        return _refused(f"{key} exists and is not the operator's; choose another name or delete it")
    if live is not None and place.uid not in [each["uid"] for each in live["metadata"].get("ownerReferences") or ()]:
        return _refused(f"{key} is another control plane's; choose another name, or delete it once that one is gone")
    server = own.outside(facts, place) if way_of(facts) == "kubernetes" else ""
    step = IssueToken(tenant.CONNECTION, key, owners=(place.owner,), kubeconfig="whole", server=server)
    return _issue(facts, replace(served, server=server) if server else served, step)


def disconnect(facts: Facts) -> Plan:
    """A connection that nobody asks for any more: its rights go, then its account, and with it every token."""
    if facts.spec.get("writeConnectionSecretToRef"):
        return Plan()
    lives = {key: (facts.tenant or {}).get(key) for key in tenant.identity_keys(tenant.CONNECTION)}
    return Plan(tuple(Remove(key, "tenant") for key, live in lives.items() if live is not None and is_ours(live)))


def _issue(facts: Facts, served: Served, step: IssueToken) -> Plan:
    account = (facts.tenant or {}).get(tenant.account_key(step.service_account))
    if account is None:
        return Plan()  # its turn comes when it exists
    due = tokens.due_in_seconds(facts.host.get(step.secret), served, account["metadata"]["uid"], facts.now)
    return Plan((step,)) if due <= 0 else Plan(again_seconds=due)


def _together(parts: list[Plan]) -> Plan:
    steps: tuple[Step, ...] = tuple(step for part in parts for step in part.steps)
    waits = [part.again_seconds for part in parts if part.again_seconds is not None]
    return Plan(steps, again_seconds=min(waits, default=None))


def _refused(what: str) -> Plan:
    message = f"spec.writeConnectionSecretToRef: {what}"
    return Plan(findings=(Finding("Synced", False, Reason.CONNECTION_SECRET_REFUSED, message),))
