"""What single resources do beside the generic rules: preparation on create and update, life after deletion.

A table of small functions, keyed by (group, resource). Spec: the ``strategy.go`` of each kind in Kubernetes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from keyless.local.cluster import addresses, crds
from keyless.local.cluster.authorization import escalation
from keyless.local.cluster.objects import Object, Target
from keyless.local.cluster.users import User

if TYPE_CHECKING:  # the table needs the Api's type alone
    from keyless.local.cluster.api import Api

OWNER = "keyless.dev/owner"
_RBAC = "rbac.authorization.k8s.io"
_Place = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Step:
    """A write on its way: what is to be stored, what is stored now (nothing on create), and by whom."""

    api: Api
    user: User
    target: Target
    new: Object
    old: Object = field(default_factory=dict)


def on_create(step: Step) -> Object:
    """Prepare a new object; may refuse it."""
    prepare = _CREATE.get(step.target.place)
    return prepare(step) if prepare else step.new


def on_update(step: Step) -> Object:
    """Prepare a changed object; may refuse the change."""
    prepare = _UPDATE.get(step.target.place)
    return prepare(step) if prepare else step.new


def on_delete(target: Target, obj: Object) -> Object:
    """Mark an object whose deletion was asked for."""
    if target.place == ("", "namespaces"):
        return {**obj, "status": {**obj.get("status", {}), "phase": "Terminating"}}
    if target.place == crds.PLACE:
        return crds.terminating(obj)
    return obj


def holds(target: Target, obj: Object) -> bool:
    """Whether something other than metadata.finalizers keeps the object: the finalizers of a namespace's spec."""
    return target.place == ("", "namespaces") and bool(obj.get("spec", {}).get("finalizers"))


def after(api: Api, target: Target) -> None:
    """Consequences that must be seen by the next request: aggregated roles, the end of a CRD's resources."""
    if target.place == (_RBAC, "clusterroles"):
        api.authorizer.aggregate(target.cluster)
    elif target.place == crds.PLACE or target.served.custom:
        crds.finish_deletions(api.store, target.cluster)


def _namespace(step: Step) -> Object:
    spec = {**(step.new.get("spec") or {}), "finalizers": ["kubernetes"]}
    return {**_named(step.new), "spec": spec, "status": {"phase": "Active"}}


def _named(namespace: Object) -> Object:
    metadata = namespace["metadata"]
    labels = {**(metadata.get("labels") or {}), "kubernetes.io/metadata.name": metadata["name"]}
    return {**namespace, "metadata": {**metadata, "labels": labels}}


def _namespace_change(step: Step) -> Object:
    if step.target.subresource == "finalize":
        return step.new
    return {**_named(step.new), "spec": step.old.get("spec", {})}


def _pod(step: Step) -> Object:
    return {**step.new, "status": {"phase": "Pending", "qosClass": qos_class(step.new.get("spec", {}))}}


def qos_class(spec: Mapping[str, object]) -> str:
    """Guaranteed, Burstable or BestEffort, by the resources of the containers."""
    groups = [spec.get("initContainers") or [], spec.get("containers") or []]
    resources = [c.get("resources") or {} for group in groups if isinstance(group, list) for c in group]
    if not any(r.get("requests") or r.get("limits") for r in resources):
        return "BestEffort"
    for one in resources:
        limits, requests = one.get("limits") or {}, one.get("requests") or one.get("limits") or {}
        if any(limits.get(name) is None or limits[name] != requests.get(name) for name in ("cpu", "memory")):
            return "Burstable"
    return "Guaranteed"


def _volume(step: Step) -> Object:
    return {**step.new, "status": {"phase": "Pending"}}


def _service(step: Step) -> Object:
    new = addresses.kept(step.new, step.old) if step.old else step.new
    return addresses.with_addresses(step.api.store, step.target.cluster, new)


def _definition(step: Step) -> Object:
    return crds.established(step.new, step.old or None, step.api.store, step.target.cluster, step.api.timestamp())


def _role(step: Step) -> Object:
    if any(step.new.get(name) != step.old.get(name) for name in ("rules", "aggregationRule")):
        escalation.check_role(step.api.authorizer, step.user, step.target, step.new)
    return step.new


def _binding(step: Step) -> Object:
    if step.old:
        escalation.check_binding_change(step.target, step.new, step.old)
    if step.new.get("subjects") != step.old.get("subjects"):
        escalation.check_binding(step.api.authorizer, step.user, step.target, step.new)
    return step.new


def _logical_cluster(step: Step) -> Object:
    """Who creates a logical cluster is admin inside: written down by us, whatever the request or a later one says."""
    owner = (step.old["metadata"].get("annotations") or {}).get(OWNER) if step.old else step.user.name
    metadata = step.new["metadata"]
    annotations = {**(metadata.get("annotations") or {}), OWNER: owner}
    kept = {key: value for key, value in annotations.items() if value is not None}
    return {**step.new, "metadata": {**metadata, "annotations": kept}}


_Prepare = Callable[[Step], Object]
_BOTH: Mapping[_Place, _Prepare] = {
    ("", "services"): _service,
    crds.PLACE: _definition,
    ("keyless.dev", "logicalclusters"): _logical_cluster,
    (_RBAC, "roles"): _role,
    (_RBAC, "clusterroles"): _role,
    (_RBAC, "rolebindings"): _binding,
    (_RBAC, "clusterrolebindings"): _binding,
}
_CREATE: Mapping[_Place, _Prepare] = {
    **_BOTH,
    ("", "namespaces"): _namespace,
    ("", "pods"): _pod,
    ("", "persistentvolumeclaims"): _volume,
    ("", "persistentvolumes"): _volume,
}
_UPDATE: Mapping[_Place, _Prepare] = {**_BOTH, ("", "namespaces"): _namespace_change}
