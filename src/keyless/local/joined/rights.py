"""What is made in a cluster that somebody else runs: who our node is there, and what it may. Pure.

The node is a service account and no member of ``system:nodes``: the Node authoriser would let that one read only what
pods bound to it name, object by object, and our node lists. So RBAC decides, and the role says what it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keyless.kube import KubeObject, Resource
from keyless.kube.resources import (
    CLUSTERROLEBINDINGS,
    CLUSTERROLES,
    NAMESPACES,
    ROLEBINDINGS,
    ROLES,
    SERVICEACCOUNTS,
)
from keyless.local.node.registration import LEASE_NAMESPACE

NAMESPACE = "keyless-node"
ACCOUNT = "keyless-node"
NAME = "keyless:node"
DISCOVERY = "keyless:issuer-discovery"
ASKED_BY = "keyless.dev/node"
"""The label by which a pod asks for our node, and the taint that keeps others from it."""
SPACE = "keyless.dev/space"
"""The label that tells whose node it is: of which state folder."""
_RBAC = "rbac.authorization.k8s.io"
_READ = ("get", "list", "watch")


def _rule(groups: Sequence[str], resources: Sequence[str], verbs: Sequence[str]) -> dict[str, Any]:
    return {"apiGroups": list(groups), "resources": list(resources), "verbs": list(verbs)}


RULES = (
    _rule([""], ["nodes"], [*_READ, "create", "patch"]),
    _rule([""], ["nodes/status", "pods/status"], ["get", "patch"]),
    _rule([""], ["pods"], [*_READ, "delete"]),
    _rule([""], ["pods/binding", "serviceaccounts/token"], ["create"]),
    # What pods mount: the node follows all, and RBAC cannot say "of its pods".
    _rule([""], ["configmaps", "secrets", "persistentvolumeclaims", "persistentvolumes", "serviceaccounts"], _READ),
    _rule(["", "events.k8s.io"], ["events"], ["create", "patch"]),
    # Who reads logs is decided by the cluster.
    _rule(["authorization.k8s.io"], ["subjectaccessreviews"], ["create"]),
)
LEASE_RULES = (_rule(["coordination.k8s.io"], ["leases"], ["create", "get", "patch"]),)


def node_objects() -> tuple[tuple[Resource, KubeObject], ...]:
    """The node's account and rights, in the order they are made."""
    account = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}
    return (
        (NAMESPACES, _object("v1", "Namespace", NAMESPACE)),
        (NAMESPACES, _object("v1", "Namespace", LEASE_NAMESPACE)),
        (SERVICEACCOUNTS, _object("v1", "ServiceAccount", ACCOUNT, NAMESPACE)),
        (CLUSTERROLES, {**_object(f"{_RBAC}/v1", "ClusterRole", NAME), "rules": list(RULES)}),
        (CLUSTERROLEBINDINGS, _binding("ClusterRole", NAME, NAME, account)),
        (ROLES, {**_object(f"{_RBAC}/v1", "Role", NAME, LEASE_NAMESPACE), "rules": list(LEASE_RULES)}),
        (ROLEBINDINGS, _binding("Role", NAME, NAME, account, LEASE_NAMESPACE)),
    )


def discovery_object() -> tuple[Resource, KubeObject]:
    """STS reads an issuer's keys without credentials, as AWS does; they are public, and EKS shows them to anybody."""
    group = {"kind": "Group", "name": "system:unauthenticated", "apiGroup": _RBAC}
    return CLUSTERROLEBINDINGS, _binding("ClusterRole", "system:service-account-issuer-discovery", DISCOVERY, group)


def _object(api_version: str, kind: str, name: str, namespace: str = "") -> KubeObject:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}


def _binding(kind: str, role: str, name: str, subject: dict[str, str], namespace: str = "") -> KubeObject:
    made = _object(f"{_RBAC}/v1", "RoleBinding" if namespace else "ClusterRoleBinding", name, namespace)
    return {**made, "roleRef": {"apiGroup": _RBAC, "kind": kind, "name": role}, "subjects": [subject]}
