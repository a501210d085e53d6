"""Judge a chain: the links in order, each with what was expected, what was found and what mends it. Pure.

    pod → service account → projected token → (IRSA: provider | Pod Identity: agent) → role's trust → permission → probe

An early break does not hide later ones: what can be judged is judged, since a reader mends everything at once.
"""

from __future__ import annotations

from collections.abc import Callable

from keyless.api import Reason
from keyless.identity.verify import (
    access_link,
    agents,
    bounds,
    federation,
    key_link,
    permission,
    pods,
    reports,
    roles,
    scheduled,
    storage,
    target,
    trust,
)
from keyless.identity.verify.model import Facts, Link, State, Waiting
from keyless.identity.verify.values import dropped, upgrade


def verify(facts: Facts) -> list[Link]:
    """The links of one component of one control plane, in the order of the chain."""
    if facts.control_plane is None:
        return [_control_plane_is_missing(facts)]
    checks = SPACE_CHECKS if facts.subject.of_space else CHECKS
    return [found for check in checks if (found := check(facts)) is not None]


def verdict(links: list[Link]) -> State:
    """The chain as a whole: HELD, BROKEN where something certainly is, UNKNOWN where something could not be read.

    What is only SKIPPED, with nothing broken before it, does not hold: there is nothing to prove it by.
    """
    if held(links):
        return State.HELD
    states = {link.state for link in links}
    return State.UNKNOWN if State.UNKNOWN in states and State.BROKEN not in states else State.BROKEN


def held(links: list[Link]) -> bool:
    """Whether the chain holds: nothing is broken, and what could not be read is proven by the probe."""
    states = {link.state for link in links}
    if State.BROKEN in states or State.SKIPPED in states:
        return False
    return State.UNKNOWN not in states or links[-1].state is State.HELD


def _control_plane_is_missing(facts: Facts) -> Link:
    if facts.waits is not None:
        return _control_plane_waits(facts.waits)
    return Link(
        "control plane",
        State.BROKEN,
        f"{facts.sought} with a host namespace",
        f"no such, or not placed yet (there is {', '.join(facts.known) or 'none'})",
        Reason.CONTROL_PLANE_MISSING,
        notes=trust.leftovers(facts),
        advice="choose one that is there by --control-plane and --group; a group is a namespace with the group's label",
    )


def _control_plane_waits(plane: Waiting) -> Link:
    """Nothing of it exists in AWS or in the cluster yet; the operator's own words say what it waits for."""
    labelled = f"kubectl label namespace {plane.group} spaces.upbound.io/group=true"
    return Link(
        "control plane",
        State.BROKEN,
        f"ControlPlane {plane.name} in group {plane.group} has a host namespace",
        plane.message or "not placed yet",
        Reason.CONTROL_PLANE_NOT_PLACED,
        fix=labelled if plane.reason == Reason.GROUP_NOT_LABELLED else "",
        advice="" if plane.reason == Reason.GROUP_NOT_LABELLED else "wait for it, or see its conditions",
    )


def cluster_is_this_one(facts: Facts) -> Link | None:
    """Associations and the agent are looked for in the EKS cluster of the name that was given: told if it is wrong."""
    if not facts.cluster_fault:
        return None
    expected = "--cluster-name is the name of the EKS cluster that this kubeconfig leads to"
    advice = "give the name of this cluster; off EKS give none"
    return Link("cluster", State.BROKEN, expected, facts.cluster_fault, Reason.CLUSTER_MISSING, advice=advice)


def component_is_enabled(facts: Facts) -> Link:
    """Helm switches the component on; a later upgrade may have switched it off again."""
    subject, space = facts.subject, facts.space
    expected = f"{subject.enabled} names one" if subject.names_one else f"{subject.enabled}=true"
    if facts.enabled:
        return Link("Helm values", State.HELD, expected, f"{subject.enabled}={space.values[subject.enabled]}")
    lost = dropped(space, (f"{subject.enabled.partition('.')[0]}.", subject.annotations))
    found = f"{subject.enabled}={space.values.get(subject.enabled, 'not set')}"
    if lost:
        found += f": revision {lost.revision} dropped what revision {lost.before} had set (no --reuse-values)"
        return Link(
            "Helm values", State.BROKEN, expected, found, Reason.HELM_VALUES_DROPPED, upgrade(space, lost.values)
        )
    if subject.names_one:
        advice = f"which one nobody can tell from here: helm upgrade --reuse-values --set {subject.enabled}=…"
        return Link("Helm values", State.BROKEN, expected, found, Reason.COMPONENT_NOT_ENABLED, advice=advice)
    return Link(
        "Helm values",
        State.BROKEN,
        expected,
        found,
        Reason.COMPONENT_NOT_ENABLED,
        upgrade(space, {subject.enabled: "true"}),
    )


def static_keys_are_off(facts: Facts) -> Link | None:
    """A Secret with keys would win over any workload identity."""
    subject, space = facts.subject, facts.space
    if not subject.static_keys or not facts.enabled:
        return None
    name = space.values.get(subject.static_keys, "")
    expected = f'{subject.static_keys}=""'
    if not name:
        return Link("no static keys", State.HELD, expected, expected)
    found = f'{subject.static_keys}="{name}": the component takes its keys from that Secret'
    lost = dropped(space, (subject.static_keys,))
    if lost:
        found += f"; revision {lost.revision} dropped the empty value of revision {lost.before}"
    return Link(
        "no static keys",
        State.BROKEN,
        expected,
        found,
        Reason.STATIC_KEYS_SET,
        upgrade(space, {subject.static_keys: ""}),
    )


CHECKS: tuple[Callable[[Facts], Link | None], ...] = (
    access_link.aws_is_read,
    cluster_is_this_one,
    component_is_enabled,
    static_keys_are_off,
    storage.storage_is_named,
    pods.workload_runs,
    pods.service_account_has_a_role,
    pods.webhook_gives_identity,
    pods.pods_are_injected,
    federation.provider_is_registered,
    federation.audience_is_registered,
    agents.agent_runs,
    target.first_role_is_there,
    target.first_role_trusts_pod_identity,
    roles.role_is_there,
    target.role_is_trusted,
    permission.sources_are_there,
    key_link.secrets_are_not_deleted,
    permission.role_may_do_its_work,
    key_link.keys_may_be_used,
    bounds.scopes_hold,
    reports.work_is_whole,
    reports.probe_succeeded,
)

SPACE_CHECKS: tuple[Callable[[Facts], Link | None], ...] = (
    access_link.aws_is_read,
    cluster_is_this_one,
    scheduled.schedule_is_set,
    static_keys_are_off,
    scheduled.cron_job_is_there,
    pods.service_account_has_a_role,
    federation.provider_is_registered,
    federation.audience_is_registered,
    agents.agent_runs,
    target.first_role_is_there,
    target.first_role_trusts_pod_identity,
    roles.role_is_there,
    target.role_is_trusted,
    permission.role_may_do_its_work,
    key_link.keys_may_be_used,
    scheduled.last_run_succeeded,
)
"""Of a component that the Space has once, and whose pods come and go by a schedule."""
