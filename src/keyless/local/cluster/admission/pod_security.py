"""PodSecurity admission: which level a namespace asks for, and what a pod of it lacks. Pure but for the lookup.

Pods are refused by ``enforce`` and warned of by ``warn`` (which is ``enforce`` where no label says else); what makes
pods from a template is only warned of. ``audit`` is checked as a label alone: there is no audit log here.
Spec: https://kubernetes.io/docs/concepts/security/pod-security-admission/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from keyless.local.cluster.admission.attributes import Attributes
from keyless.local.cluster.admission.pod_standards import violations
from keyless.local.cluster.faults import FieldError, invalid
from keyless.local.cluster.status import forbidden
from keyless.local.cluster.status import invalid as refusal
from keyless.local.cluster.store import Key, Store

PREFIX = "pod-security.kubernetes.io/"
LEVELS = ("privileged", "baseline", "restricted")
_VERSION = re.compile(r"latest|v1\.(?:0|[1-9][0-9]*)")
_POD_PATHS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("apps", "deployments"): ("spec", "template"),
    ("apps", "replicasets"): ("spec", "template"),
    ("apps", "statefulsets"): ("spec", "template"),
    ("apps", "daemonsets"): ("spec", "template"),
    ("batch", "jobs"): ("spec", "template"),
    ("batch", "cronjobs"): ("spec", "jobTemplate", "spec", "template"),
    ("", "replicationcontrollers"): ("spec", "template"),
    ("", "podtemplates"): ("template",),
}

Object = dict[str, Any]


def label_faults(labels: Mapping[str, str]) -> list[FieldError]:
    """The labels of a namespace that name no level or no version."""
    faults = []
    for mode in ("enforce", "audit", "warn"):
        level, version = labels.get(PREFIX + mode), labels.get(f"{PREFIX}{mode}-version")
        if level is not None and level not in LEVELS:
            faults.append(invalid(f"metadata.labels[{PREFIX}{mode}]", level, f"must be one of {', '.join(LEVELS)}"))
        if version is not None and not _VERSION.fullmatch(version):
            place = f"metadata.labels[{PREFIX}{mode}-version]"
            faults.append(invalid(place, version, 'must be "latest" or "v1.x"'))
    return faults


def check(store: Store, attributes: Attributes, obj: Object, old: Object | None) -> tuple[str, ...]:
    """Refuse a pod that its namespace does not take, or a namespace with a bad label; returns the warnings."""
    target = attributes.target
    if target.subresource:
        return ()
    if target.place == ("", "namespaces"):
        _check_labels(obj, old)
        return ()
    is_pod = target.place == ("", "pods")
    # What may be changed of a pod that is there (its image, its tolerations) is of no concern to any level.
    if not (is_pod and old is None) and target.place not in _POD_PATHS:
        return ()
    entry = store.get(Key(target.cluster, "", "namespaces", "", target.namespace))
    labels = (entry.object["metadata"].get("labels") or {}) if entry else {}
    if not any(label.startswith(PREFIX) for label in labels):
        return ()
    pod = _pod_of(obj, target.place)
    if is_pod and (found := _faults(labels, "enforce", pod)):
        raise forbidden("", "pods", target.name, f"violates PodSecurity {found}")
    found = _faults(labels, "warn", pod) or ("" if PREFIX + "warn" in labels else _faults(labels, "enforce", pod))
    return (f"would violate PodSecurity {found}",) if found else ()


def _check_labels(obj: Object, old: Object | None) -> None:
    before = (old or {}).get("metadata", {}).get("labels") or {}
    known = {fault.path for fault in label_faults(before)}
    # A bad label that was let in before must not block every other change of the namespace.
    faults = [f for f in label_faults(obj["metadata"].get("labels") or {}) if f.path not in known]
    if faults:
        raise refusal("", "Namespace", obj["metadata"]["name"], [fault.cause() for fault in faults])


def _pod_of(obj: Object, place: tuple[str, str]) -> Object:
    found: Any = obj
    for name in _POD_PATHS.get(place, ()):
        found = found.get(name) or {}
    return {"metadata": found.get("metadata") or {}, "spec": found.get("spec") or {}}


def _faults(labels: Mapping[str, str], mode: str, pod: Object) -> str:
    level = labels.get(PREFIX + mode, "privileged")
    version = labels.get(f"{PREFIX}{mode}-version", "latest")
    # What cannot be read is held to the strictest, as upstream does.
    found = violations(pod, level if level in LEVELS else "restricted", version)
    return f'"{level}:{version}": {", ".join(found)}' if found else ""
