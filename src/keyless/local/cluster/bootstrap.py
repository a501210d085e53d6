"""What every cluster holds from its first moment: system namespaces, and the roles Kubernetes is born with.

Data. Rules are Kubernetes' own where a reader may depend on them, shortened where nobody can tell the difference; the
node's role is wider than upstream, as the node here is also the scheduler.
Spec: https://kubernetes.io/docs/reference/access-authn-authz/rbac/#default-roles-and-role-bindings
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Object = dict[str, Any]

NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
_RBAC = "rbac.authorization.k8s.io"
_READ = ("get", "list", "watch")
_WRITE = ("create", "delete", "deletecollection", "patch", "update")
_LABELS = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_WORKLOADS = {
    "": (
        "configmaps",
        "endpoints",
        "persistentvolumeclaims",
        "pods",
        "replicationcontrollers",
        "replicationcontrollers/scale",
        "serviceaccounts",
        "services",
    ),
    "apps": (
        "controllerrevisions",
        "daemonsets",
        "deployments",
        "deployments/scale",
        "replicasets",
        "replicasets/scale",
        "statefulsets",
        "statefulsets/scale",
    ),
    "autoscaling": ("horizontalpodautoscalers",),
    "batch": ("cronjobs", "jobs"),
    "coordination.k8s.io": ("leases",),
    "networking.k8s.io": ("ingresses", "networkpolicies"),
    "policy": ("poddisruptionbudgets",),
}
_VIEWED = {
    "": ("events", "limitranges", "namespaces", "pods/log", "pods/status", "resourcequotas", "services/status"),
    "apps": ("daemonsets/status", "deployments/status", "replicasets/status", "statefulsets/status"),
    "batch": ("cronjobs/status", "jobs/status"),
    "discovery.k8s.io": ("endpointslices",),
}


def _rule(groups: Iterable[str], resources: Iterable[str], verbs: Iterable[str]) -> Object:
    return {"apiGroups": list(groups), "resources": list(resources), "verbs": list(verbs)}


def _rules(table: Mapping[str, Iterable[str]], verbs: Iterable[str]) -> list[Object]:
    return [_rule([group], resources, verbs) for group, resources in table.items()]


def _paths(*paths: str) -> Object:
    return {"nonResourceURLs": list(paths), "verbs": ["get"]}


_DISCOVERY = ("/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz")
_EDITED = [
    *_rules(_WORKLOADS, _WRITE),
    _rule([""], ["pods/eviction"], ["create"]),
    _rule([""], ["pods/attach", "pods/exec", "pods/portforward"], [*_READ, *_WRITE]),
    _rule([""], ["secrets"], [*_READ, *_WRITE]),
    _rule([""], ["serviceaccounts"], ["impersonate"]),
    _rule([""], ["serviceaccounts/token"], ["create"]),
    _rule([""], ["events"], _WRITE),
]
_NODE = [
    _rule([""], ["nodes"], [*_READ, "create", "delete", "patch", "update"]),
    _rule([""], ["nodes/status", "pods/status", "persistentvolumeclaims/status"], ["get", "patch", "update"]),
    _rule([""], ["pods"], [*_READ, "create", "delete"]),
    _rule([""], ["pods/binding", "bindings", "pods/eviction", "serviceaccounts/token"], ["create"]),
    _rule(
        [""],
        ["configmaps", "secrets", "services", "serviceaccounts", "namespaces", "persistentvolumes"],
        _READ,
    ),
    _rule([""], ["persistentvolumeclaims"], _READ),
    _rule(["", "events.k8s.io"], ["events"], ["create", "patch", "update"]),
    _rule(["coordination.k8s.io"], ["leases"], ["create", "delete", "get", "patch", "update"]),
    _rule(["authentication.k8s.io"], ["tokenreviews"], ["create"]),
    _rule(["authorization.k8s.io"], ["localsubjectaccessreviews", "subjectaccessreviews"], ["create"]),
]
_ACCESS_REVIEWS = ("selfsubjectaccessreviews", "selfsubjectrulesreviews")

ROLES: Mapping[str, list[Object]] = {
    "cluster-admin": [_rule(["*"], ["*"], ["*"]), {"nonResourceURLs": ["*"], "verbs": ["*"]}],
    "system:aggregate-to-view": [*_rules(_WORKLOADS, _READ), *_rules(_VIEWED, _READ)],
    "system:aggregate-to-edit": _EDITED,
    "system:aggregate-to-admin": [
        _rule(["authorization.k8s.io"], ["localsubjectaccessreviews"], ["create"]),
        _rule([_RBAC], ["rolebindings", "roles"], [*_READ, *_WRITE]),
    ],
    "system:basic-user": [
        _rule(["authorization.k8s.io"], _ACCESS_REVIEWS, ["create"]),
        _rule(["authentication.k8s.io"], ["selfsubjectreviews"], ["create"]),
    ],
    "system:discovery": [_paths(*_DISCOVERY, "/version", "/version/")],
    "system:public-info-viewer": [_paths("/healthz", "/livez", "/readyz", "/version", "/version/")],
    "system:service-account-issuer-discovery": [
        _paths("/.well-known/openid-configuration", "/.well-known/openid-configuration/", "/openid/v1/jwks")
    ],
    "system:auth-delegator": [
        _rule(["authentication.k8s.io"], ["tokenreviews"], ["create"]),
        _rule(["authorization.k8s.io"], ["subjectaccessreviews"], ["create"]),
    ],
    "system:node": _NODE,
}
# name: (its own label, the label of the roles it is made of)
_AGGREGATED = {"admin": "", "edit": "admin", "view": "edit"}
_BINDINGS = {
    "cluster-admin": ("system:masters",),
    "system:basic-user": ("system:authenticated",),
    "system:discovery": ("system:authenticated",),
    "system:public-info-viewer": ("system:authenticated", "system:unauthenticated"),
    "system:service-account-issuer-discovery": ("system:serviceaccounts",),
    "system:node": ("system:nodes",),
}


def objects() -> Iterator[tuple[str, str, Object]]:
    """(group, resource, object) of everything a new cluster gets, without the server's own metadata."""
    for name in NAMESPACES:
        yield "", "namespaces", _namespace(name)
    for name, rules in ROLES.items():
        part = name.removeprefix("system:aggregate-to-")
        labels = {f"{_RBAC}/aggregate-to-{part}": "true"} if part != name else {}
        yield _RBAC, "clusterroles", {**_named("ClusterRole", name, labels), "rules": rules}
    for name, into in _AGGREGATED.items():
        labels = {f"{_RBAC}/aggregate-to-{into}": "true"} if into else {}
        chosen = [{"matchLabels": {f"{_RBAC}/aggregate-to-{name}": "true"}}]
        role = _named("ClusterRole", name, labels)
        yield _RBAC, "clusterroles", {**role, "aggregationRule": {"clusterRoleSelectors": chosen}, "rules": []}
    for name, groups in _BINDINGS.items():
        yield _RBAC, "clusterrolebindings", _binding(name, groups)


def _named(kind: str, name: str, labels: Mapping[str, str]) -> Object:
    metadata = {
        "name": name,
        "labels": {**_LABELS, **labels},
        "annotations": {f"{_RBAC}/autoupdate": "true"},
    }
    return {"apiVersion": f"{_RBAC}/v1", "kind": kind, "metadata": metadata}


def _namespace(name: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
    }


def _binding(name: str, groups: Iterable[str]) -> Object:
    return {
        **_named("ClusterRoleBinding", name, {}),
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": name},
        "subjects": [{"apiGroup": _RBAC, "kind": "Group", "name": group} for group in groups],
    }
