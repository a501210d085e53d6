"""Decide a claim's volume. Pure.

The volume is named ``pvc-<uid of the claim>``; the node keeps a folder of that name in its own state and removes it
when the volume goes. The path in the volume names that folder, as a host path would, and is resolved by the node alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from keyless.kube import KubeObject
from keyless.kube.resources import PERSISTENTVOLUMECLAIMS
from keyless.local.cluster.controllers.owners import is_leaving

FOLDER = "/var/lib/keyless/volumes"
STORAGE_CLASS = "local-folder"
PROVISIONER = "keyless.dev/local-folder"


@dataclass(frozen=True, slots=True)
class Plan:
    """Create the volume, then name it in the claim, then say Bound in both: each step may be the last for a while."""

    volume: KubeObject | None = None
    bind: KubeObject | None = None
    claim_status: KubeObject | None = None
    volume_status: KubeObject | None = None


def volume_name(claim: KubeObject) -> str:
    """The volume of a claim; also the folder's name."""
    return str(claim["spec"].get("volumeName") or f"pvc-{claim['metadata']['uid']}")


def plan(claim: KubeObject, volume: KubeObject | None) -> Plan:
    """What still lacks."""
    if is_leaving(claim):
        return Plan()
    if volume is None:
        return Plan() if claim["spec"].get("volumeName") else Plan(volume=_volume(claim))
    if not claim["spec"].get("volumeName"):
        annotations = {
            "pv.kubernetes.io/bind-completed": "yes",
            "pv.kubernetes.io/bound-by-controller": "yes",
            "volume.kubernetes.io/storage-provisioner": PROVISIONER,
        }
        return Plan(bind={"metadata": {"annotations": annotations}, "spec": {"volumeName": volume_name(claim)}})
    bound = {
        "phase": "Bound",
        "accessModes": volume["spec"].get("accessModes") or [],
        "capacity": volume["spec"].get("capacity") or {},
    }
    return Plan(
        claim_status=bound if (claim.get("status") or {}) != bound else None,
        volume_status={"phase": "Bound"} if (volume.get("status") or {}).get("phase") != "Bound" else None,
    )


def is_abandoned(volume: KubeObject, claim: KubeObject | None) -> bool:
    """Whether we made the volume and its claim (that very claim, by uid) is gone."""
    if (volume["metadata"].get("annotations") or {}).get("pv.kubernetes.io/provisioned-by") != PROVISIONER:
        return False
    reference = volume["spec"].get("claimRef") or {}
    return claim is None or claim["metadata"]["uid"] != reference.get("uid")


def _volume(claim: KubeObject) -> KubeObject:
    metadata, spec = claim["metadata"], claim["spec"]
    name = volume_name(claim)
    return {
        "metadata": {"name": name, "annotations": {"pv.kubernetes.io/provisioned-by": PROVISIONER}},
        "spec": {
            "accessModes": spec.get("accessModes") or ["ReadWriteOnce"],
            "capacity": dict((spec.get("resources") or {}).get("requests") or {"storage": "1Gi"}),
            "claimRef": {
                "apiVersion": PERSISTENTVOLUMECLAIMS.api_version,
                "kind": PERSISTENTVOLUMECLAIMS.kind,
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
            "hostPath": {"path": f"{FOLDER}/{name}", "type": "DirectoryOrCreate"},
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": spec.get("storageClassName") or STORAGE_CLASS,
            "volumeMode": spec.get("volumeMode") or "Filesystem",
        },
    }
