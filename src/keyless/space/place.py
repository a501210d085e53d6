"""Where one control plane's components run. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from keyless.kube import KubeObject


@dataclass(frozen=True, slots=True)
class Place:
    """Which control plane, and where its components run."""

    name: str
    group: str
    uid: str
    control_plane_id: str
    host_namespace: str

    @property
    def owner(self) -> KubeObject:
        """The owner reference for objects in the group's namespace."""
        return {
            "apiVersion": "spaces.upbound.io/v1beta1",
            "kind": "ControlPlane",
            "name": self.name,
            "uid": self.uid,
            "controller": True,
        }
