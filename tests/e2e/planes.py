"""A control plane of one test's own, with a bucket and a role of the same name, and three VPCs to count."""

from __future__ import annotations

from dataclasses import dataclass

from e2e import acting, seeing
from e2e.local_space import LocalSpace
from e2e.seeing import Object
from keyless.kube import Kube, Resource
from keyless.kube.resources import CONTROLPLANES, CRDS

VPCS = Resource("ec2.aws.upbound.io", "v1beta1", "vpcs", "VPC", namespaced=False)
CRD: Object = {
    "metadata": {"name": "vpcs.ec2.aws.upbound.io"},
    "spec": {
        "group": VPCS.group,
        "scope": "Cluster",
        "names": {"plural": "vpcs", "singular": "vpc", "kind": "VPC", "listKind": "VPCList", "categories": ["managed"]},
        "versions": [
            {
                "name": VPCS.version,
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}


@dataclass(frozen=True, slots=True)
class Plane:
    """A control plane; ``own`` is the name of the bucket and of the role that a test makes for it."""

    name: str
    namespace: str
    tenant: Kube
    own: str

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        return self.own

    @property
    def role(self) -> str:
        """The role's name."""
        return self.own

    @property
    def subject(self) -> str:
        """``sub`` of the collector's tokens."""
        return acting.subject(self.namespace)


async def make_plane(space: LocalSpace, host: Kube, name: str) -> Plane:
    """Create it in group ``default`` and open its API; bucket and role are to bear its name."""
    await host.create(CONTROLPLANES, {"metadata": {"name": name}, "spec": {}}, "default")
    return await open_plane(space, host, name, own=name)


async def open_plane(space: LocalSpace, host: Kube, name: str, *, own: str) -> Plane:
    """Wait until it is ready, and open its API."""
    found = await seeing.ready(host, name)
    return Plane(name, found["status"]["hostNamespace"], space.control_plane(name), own)


async def add_vpcs(plane: Plane, *names: str) -> None:
    """Define VPCs, unless they are defined, and make some."""
    await plane.tenant.apply(CRDS, CRD, field_manager="e2e")
    await seeing.established(plane.tenant, CRD["metadata"]["name"])
    for name in names:
        await plane.tenant.create(VPCS, {"metadata": {"name": name}, "spec": {}})


async def delete_plane(host: Kube, plane: Plane) -> None:
    """Delete the control plane and wait until it is gone."""
    await host.delete(CONTROLPLANES, plane.name, "default")
    await seeing.gone(host, CONTROLPLANES, plane.name, "default")
