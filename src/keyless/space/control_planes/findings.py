"""What the operator says about a control plane, as conditions. Pure.

One writer per condition: the components write their own (``BillingStored``, ``SharedSecretsRead``), these are ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from keyless.api import Reason, Refusal
from keyless.kube import KubeObject, condition_of, set_condition
from keyless.space.components import Component
from keyless.space.control_planes import lost_nodes
from keyless.space.control_planes.availability import unavailable
from keyless.space.control_planes.model import Facts, Finding, way_of
from keyless.space.control_planes.workloads import CONDITIONS, Intent, promises_role
from keyless.space.values import ROLE_ANNOTATION, Values

TYPES = (
    "Ready",
    "Synced",
    "ComponentsAvailable",
    "StorageAvailable",
    "IdentityInjected",
    "BillingConfigured",
    "BackupConfigured",
    "EncryptionKeyCurrent",
    "AuthorityCurrent",
    "UsageFlushed",
    "CrossplaneManaged",
)
"""Every condition that the operator may write; it takes its own back when there is nothing to say."""
IDENTITY_VARIABLES = ("AWS_ROLE_ARN", "AWS_CONTAINER_CREDENTIALS_FULL_URI")


def not_managed(facts: Facts) -> tuple[Finding, ...]:
    """Fields that are accepted for the sake of existing manifests and not acted upon."""
    crossplane = {name for name, value in (facts.spec.get("crossplane") or {}).items() if value and name != "state"}
    ignored = [*(["spec.crossplane"] if crossplane else []), *(["spec.class"] if facts.spec.get("class") else [])]
    if not ignored:
        return ()
    message = f"{' and '.join(ignored)} accepted and not acted upon: no Crossplane is installed in control planes"
    return (Finding("CrossplaneManaged", False, Reason.CROSSPLANE_NOT_MANAGED, message),)


def of_workloads(facts: Facts, intent: Intent) -> tuple[Finding, ...]:
    """Values, components and their identity."""
    said = [*_values(facts), *_identity(facts, intent.wanted)]
    if intent.wanted:
        said.append(_available(facts, intent.wanted))
    return tuple(said)


def conditions(
    status: KubeObject, told: Iterable[Finding], *, generation: int, now: datetime, keeps: bool = False
) -> list[KubeObject]:
    """Our conditions as they are written: the findings, and Synced where nothing speaks against it.

    With ``keeps`` those of which nothing is told now stay as they are.
    """
    mine = [each for each in status.get("conditions") or () if each.get("type") in TYPES]
    findings = _joined(told)
    kept = [each for each in mine if keeps and each["type"] not in findings]
    if not any(each["type"] == "Synced" for each in kept):
        findings.setdefault("Synced", Finding("Synced", True, Reason.RECONCILE_SUCCESS))
    written: list[KubeObject] = kept
    for finding in findings.values():
        old = condition_of(mine, finding.type)
        written += set_condition(
            [old] if old else [],
            finding.type,
            finding.status,
            finding.reason,
            finding.message,
            now=now,
            observed_generation=generation,
        )
    return sorted(written, key=lambda each: TYPES.index(each["type"]))


def _joined(told: Iterable[Finding]) -> dict[str, Finding]:
    """One finding for each type: what is wrong, all of it, under the first reason; else the last word."""
    findings: dict[str, Finding] = {}
    for finding in told:
        known = findings.get(finding.type)
        if known is None or known.status:
            findings[finding.type] = finding
        elif not finding.status and finding.message not in known.message:
            message = f"{known.message}; {finding.message}" if known.message else finding.message
            findings[finding.type] = replace(known, message=message)
    return findings


def message_of(told: Iterable[Finding]) -> str:
    """The sentence for ``kubectl get ctp``: what is wrong first."""
    return next((finding.message for finding in told if not finding.status and finding.message), "")


def component_message(status: KubeObject) -> str:
    """What a component itself says is wrong, where the operator has nothing to say: one sentence tells all of it."""
    conditions = [condition_of(status.get("conditions"), kind) for kinds in CONDITIONS.values() for kind in kinds]
    return next((each["message"] for each in conditions if each and _is_wrong(each)), "")


def _is_wrong(condition: KubeObject) -> bool:
    return condition.get("status") == "False" and bool(condition.get("message"))


def pod_has_identity(pod: KubeObject) -> bool:
    """Whether the webhook gave the pod a way to its role."""
    containers = (pod.get("spec") or {}).get("containers") or ()
    return any(
        variable.get("name") in IDENTITY_VARIABLES
        for container in containers
        for variable in container.get("env") or ()
    )


def _values(facts: Facts) -> list[Finding]:
    if isinstance(facts.values, Refusal):
        return [Finding("Synced", False, facts.values.reason, facts.values.detail)]
    return [*_billing(facts.values), *_backup(facts)]


def _backup(facts: Facts) -> list[Finding]:
    assert isinstance(facts.values, Values)
    backup = facts.values.backup
    if not backup.enabled or backup.serves or way_of(facts) != "kubernetes":
        return []
    flags = " ".join(f"--set {name}=…" for name in backup.missing)
    why = "; ".join(backup.faults) or f"backup is enabled without {' and '.join(backup.missing)}; add {flags}"
    message = f"{why}: no snapshots are taken; correct it and run helm upgrade again"
    return [Finding("BackupConfigured", False, Reason.BACKUP_NOT_CONFIGURED, message)]


def _billing(values: Values) -> list[Finding]:
    if not values.billing.enabled:
        return []
    if values.billing.faults:
        message = f"{'; '.join(values.billing.faults)}: vector is not changed; correct them and run helm upgrade again"
        return [Finding("BillingConfigured", False, Reason.BILLING_NOT_CONFIGURED, message)]
    if not values.billing.missing:
        return _static_keys(values)
    flags = " ".join(f"--set {name}=…" for name in values.billing.missing)
    message = f"billing is enabled without {' and '.join(values.billing.missing)}: vector is not started; add {flags}"
    return [Finding("BillingConfigured", False, Reason.BILLING_NOT_CONFIGURED, message)]


def _static_keys(values: Values) -> list[Finding]:
    """Keys that a forgotten flag left on are named: they win over the identity that the guides give."""
    secret, role = values.billing.secret, values.vector.annotations.get(ROLE_ANNOTATION)
    if not secret:
        return []
    message = (
        f"workload identity is off: vector takes static keys from Secret {secret} (billing.storage.secretRef.name); "
        'to switch it on `helm upgrade spaces spaces-helm-chart --reuse-values --set "billing.storage.secretRef.name="`'
    )
    if role:
        message = f"the keys win over role {role}, which its service account names: {message}"
    return [Finding("BillingConfigured", not role, Reason.STATIC_KEYS_SET, message)]


def _available(facts: Facts, wanted: tuple[Component, ...]) -> Finding:
    lives = {each.name: facts.host.get(each.deployment.key) for each in wanted}
    whys = {name: unavailable(name, live, facts.pods.get(name, ())) for name, live in lives.items()}
    nodes = {name: lost_nodes.told(facts.pods.get(name, ()), facts.nodes) for name, why in whys.items() if why}
    told = [f"{why}: {nodes[name]}" if nodes[name] else why for name, why in whys.items() if why]
    if not told:
        return Finding("ComponentsAvailable", True, Reason.COMPONENTS_AVAILABLE)
    namespace = wanted[0].deployment.key.namespace
    message = f"{'; '.join(told)}; `kubectl get pods -n {namespace}` shows more"
    return Finding("ComponentsAvailable", False, Reason.COMPONENTS_UNAVAILABLE, message)


def _identity(facts: Facts, wanted: tuple[Component, ...]) -> list[Finding]:
    """Of service accounts that name a role: do their pods have it?"""
    promising = [each for each in wanted if _promises(facts, each)]
    bare = [told for each in promising if (told := _bare(facts, each))]
    if not promising:
        return []
    if not bare:
        return [Finding("IdentityInjected", True, Reason.IDENTITY_INJECTED)]
    return [Finding("IdentityInjected", False, Reason.IDENTITY_NOT_INJECTED, "; ".join(bare))]


def _promises(facts: Facts, component: Component) -> bool:
    account = facts.host.get(component.service_account)
    return account is not None and promises_role(account)


def _bare(facts: Facts, component: Component) -> str:
    account = component.service_account.name
    namespace = component.service_account.namespace
    pods = [pod for pod in facts.pods.get(component.name, ()) if not pod["metadata"].get("deletionTimestamp")]
    bare = [pod["metadata"]["name"] for pod in pods if not pod_has_identity(pod)]
    if bare:
        return (
            f"pod {bare[0]} runs without the role that service account {account} names: it is older than the "
            f"annotation or the webhook did not answer; "
            f"`kubectl rollout restart deployment {component.name} -n {namespace}`"
        )
    if facts.injected.get(component.name) is False:
        return f"a dry run of {component.name}'s pod came back without the role that service account {account} names"
    return ""
