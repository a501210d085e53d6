"""Is an object fit to be stored? A table of rules by kind; kinds without a rule are held to their metadata alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from keyless.local.cluster.builtin import object_rules, workload_rules
from keyless.local.cluster.builtin.metadata_rules import validate_change, validate_metadata
from keyless.local.cluster.builtin.pod_rules import pod_spec, pod_update
from keyless.local.cluster.faults import FieldError, Object

Rule = Callable[[Mapping[str, Any], Mapping[str, Any] | None], list[FieldError]]


def validate(group: str, kind: str, obj: Object, old: Object | None = None) -> list[FieldError]:
    """The faults of a new object, or of a change from ``old``; empty when it may be stored.

    ``obj`` is normalised and defaulted. Names are checked where they are made; what needs other objects, nowhere here.
    """
    rule = RULES.get((group, kind))
    errors = validate_metadata(obj, bare_finalizers=group in BARE_FINALIZERS)
    if old is not None:
        errors += validate_change(obj, old)
    return errors + (rule(obj, old) if rule else [])


def _pod(obj: Mapping[str, Any], old: Mapping[str, Any] | None) -> list[FieldError]:
    spec = obj.get("spec") or {}
    errors = pod_spec(spec, "spec")
    if old is not None and not errors:
        errors += pod_update(spec, old.get("spec") or {})
    return errors


def _workload(kind: str) -> Rule:
    return lambda obj, old: workload_rules.workload(kind, obj, old)


APPS, RBAC, ADMISSION = "apps", "rbac.authorization.k8s.io", "admissionregistration.k8s.io"
BARE_FINALIZERS = {ADMISSION, "apiextensions.k8s.io"}
"""Groups whose finalizers need no domain."""
RULES: Mapping[tuple[str, str], Rule] = {
    ("", "ConfigMap"): object_rules.config_map,
    ("", "Event"): object_rules.event,
    ("", "PersistentVolumeClaim"): object_rules.claim,
    ("", "Pod"): _pod,
    ("", "Secret"): object_rules.secret,
    ("", "Service"): object_rules.service,
    (ADMISSION, "MutatingWebhookConfiguration"): object_rules.webhooks,
    (ADMISSION, "ValidatingWebhookConfiguration"): object_rules.webhooks,
    (APPS, "DaemonSet"): _workload("DaemonSet"),
    (APPS, "Deployment"): _workload("Deployment"),
    (APPS, "ReplicaSet"): _workload("ReplicaSet"),
    (APPS, "StatefulSet"): _workload("StatefulSet"),
    ("batch", "CronJob"): workload_rules.cron_job,
    ("batch", "Job"): workload_rules.job,
    ("coordination.k8s.io", "Lease"): object_rules.lease,
    (RBAC, "ClusterRole"): object_rules.role,
    (RBAC, "ClusterRoleBinding"): object_rules.role_binding,
    (RBAC, "Role"): object_rules.role,
    (RBAC, "RoleBinding"): object_rules.role_binding,
    ("scheduling.k8s.io", "PriorityClass"): object_rules.priority_class,
}
