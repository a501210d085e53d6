"""Access policies: what EKS lets a principal do in the cluster, and the RBAC objects that carry it here. Pure.

EKS decides access policies in an authorizer of its own, beside RBAC. Here each association becomes bindings to a group
that only the token review gives out (its prefix is refused in access entries), so any API server decides it.

Spec: https://docs.aws.amazon.com/eks/latest/userguide/access-policy-permissions.html
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from keyless.kube.resources import KubeObject

PREFIX = "arn:aws:eks::aws:cluster-access-policy/"
GROUP = "eks:access-entry:"
LABEL = "keyless.dev/eks-access-entry"
_RBAC = "rbac.authorization.k8s.io"
_ADMIN_VIEW = "eks:admin-view"
#: access policy → the ClusterRole with its permissions
POLICIES: Mapping[str, str] = {
    "AmazonEKSAdminPolicy": "admin",
    "AmazonEKSAdminViewPolicy": _ADMIN_VIEW,
    "AmazonEKSClusterAdminPolicy": "cluster-admin",
    "AmazonEKSEditPolicy": "edit",
    "AmazonEKSViewPolicy": "view",
}


@dataclass(frozen=True, slots=True)
class AssociatedPolicy:
    """A policy that an entry has, for the cluster or for some namespaces (``dev-*`` is a pattern)."""

    arn: str
    scope: str
    namespaces: tuple[str, ...]
    associated_at: float
    modified_at: float

    @property
    def name(self) -> str:
        """The last part of its ARN."""
        return self.arn.removeprefix(PREFIX)

    def covers(self, namespace: str) -> bool:
        """Whether it holds in a namespace."""
        return any(fnmatchcase(namespace, pattern.replace("[", "[[]")) for pattern in self.namespaces)


def group_of(entry_id: str) -> str:
    """The group of the one whose entry this is."""
    return GROUP + entry_id


def admin_view_role() -> KubeObject:
    """The ClusterRole that Kubernetes has not: read everything, secrets too."""
    rules = [
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]},
        {"nonResourceURLs": ["*"], "verbs": ["get"]},
    ]
    return {"metadata": {"name": _ADMIN_VIEW, "labels": {LABEL: "role"}}, "rules": rules}


def bindings(entry_id: str, policies: Iterable[AssociatedPolicy], namespaces: Iterable[str]) -> Iterator[KubeObject]:
    """The bindings of one entry: for the whole cluster, or one in each namespace that is there."""
    present = tuple(namespaces)
    for policy in policies:
        if policy.scope == "cluster":
            yield _binding("ClusterRoleBinding", entry_id, policy, {})
        for namespace in present if policy.scope == "namespace" else ():
            if policy.covers(namespace):
                yield _binding("RoleBinding", entry_id, policy, {"namespace": namespace})


def _binding(kind: str, entry_id: str, policy: AssociatedPolicy, place: Mapping[str, Any]) -> KubeObject:
    digest = hashlib.sha256(f"{entry_id}/{policy.name}".encode()).hexdigest()[:12]
    return {
        "kind": kind,
        "metadata": {"name": f"eks:{policy.name}:{digest}", "labels": {LABEL: entry_id}, **place},
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": POLICIES[policy.name]},
        "subjects": [{"apiGroup": _RBAC, "kind": "Group", "name": group_of(entry_id)}],
    }
