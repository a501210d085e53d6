"""Keeps the bindings of access policies in the cluster; what they are is decided in ``access_policies.py``.

A namespace that appears later gets its bindings when one who has a policy for it comes next: at once, that is.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from keyless.kube.errors import NotFound
from keyless.kube.resources import CLUSTERROLEBINDINGS, CLUSTERROLES, NAMESPACES, ROLEBINDINGS, KubeObject, Resource
from keyless.local.cloud.database import Database
from keyless.local.cloud.eks import access_model
from keyless.local.cloud.eks.access_policies import LABEL, admin_view_role, bindings
from keyless.local.cloud.eks.kubernetes import Kubernetes

_MANAGER = "eks"
_RESOURCES = {"ClusterRoleBinding": CLUSTERROLEBINDINGS, "RoleBinding": ROLEBINDINGS}
_Place = tuple[str, str | None, str]


@dataclass(frozen=True, slots=True)
class AccessProjection:
    """Brings the cluster's bindings to what the entries say."""

    database: Database
    kubernetes: Kubernetes

    async def reconcile(self) -> None:
        """Apply what should be there, delete what should not."""
        entries = [access_model.entry_of(body) for body in self.database.all(access_model.KIND)]
        scoped = any(policy.scope == "namespace" for entry in entries for policy in entry.policies)
        namespaces = await self._namespaces() if scoped else []
        wanted: dict[_Place, KubeObject] = {}
        for entry in entries:
            for one in bindings(entry.id, entry.policies, namespaces):
                wanted[_place(one["kind"], one)] = one
        if any(one["roleRef"]["name"].startswith("eks:") for one in wanted.values()):
            await self.kubernetes.apply(CLUSTERROLES, admin_view_role(), field_manager=_MANAGER)
        present = await self._present()
        for (kind, namespace, _), one in wanted.items():
            with suppress(NotFound):  # a namespace that went meanwhile
                await self.kubernetes.apply(_RESOURCES[kind], one, namespace, field_manager=_MANAGER)
        for kind, namespace, name in present - wanted.keys():
            with suppress(NotFound):
                await self.kubernetes.delete(_RESOURCES[kind], name, namespace)

    async def _namespaces(self) -> list[str]:
        return [one["metadata"]["name"] for one in (await self.kubernetes.list(NAMESPACES)).items]

    async def _present(self) -> set[_Place]:
        found: set[_Place] = set()
        for kind, res in _RESOURCES.items():
            found |= {_place(kind, one) for one in await self._labelled(res)}
        return found

    async def _labelled(self, res: Resource) -> list[KubeObject]:
        return list((await self.kubernetes.list(res, labels=LABEL)).items)


def _place(kind: str, one: KubeObject) -> _Place:
    return kind, one["metadata"].get("namespace"), one["metadata"]["name"]
