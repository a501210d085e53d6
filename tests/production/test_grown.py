"""A volume that grows: a real file system of a size, and the part of a resizer played beside it.

What a driver that expands and its resizer do is done here, in their own order: the file system first, then the
volume's capacity, then what the claim is told of it
(https://kubernetes.io/docs/concepts/storage/persistent-volumes/#expanding-persistent-volumes-claims). What asks for it,
and what comes of it, is the operator's.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from keyless.space.kubernetes.sizes import bytes_of
from production.images import ROOT
from production.node import OneNode
from production.own_faults import ready, writing_until
from production.owning import CLAIM, Owned, set_values
from production.parts import said, succeeds
from tests.tools import GUIDES, kubernetes_clients

pytestmark = [pytest.mark.production, pytest.mark.timeout(900)]
CLASS, FIRST = "growing", "256Mi"
QUOTA = "--quota-backend-bytes="


class Growing(Owned):
    """Its volume is a file system of a size, in a class that lets volumes grow."""

    size, storage_class = FIRST, CLASS

    def begin(self) -> None:
        """Make the file system, then all else."""
        self.volume.mkdir()
        said("mount", "-t", "tmpfs", "-o", f"size={bytes_of(FIRST)},mode=0777", "tmpfs", self.volume)
        kind = {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": CLASS},
            "provisioner": "example.org/by-hand",
            "allowVolumeExpansion": True,
        }
        self.space.kubectl("apply", "-f", "-", given=json.dumps(kind))
        super().begin()

    def resize(self) -> str:
        """As far as the claim asks by now: what a resizer does, once it is asked."""
        asked = self.claim()["spec"]["resources"]["requests"]["storage"]
        said("mount", "-o", f"remount,size={bytes_of(asked)}", self.volume)
        capacity = {"capacity": {"storage": asked}}
        self.space.kubectl("patch", "persistentvolume", self.namespace, "-p", json.dumps({"spec": capacity}))
        named = ("persistentvolumeclaim", CLAIM, "-n", self.namespace, "--subresource=status")
        self.space.kubectl("patch", *named, "-p", json.dumps({"status": capacity}))
        return str(asked)

    def claim(self) -> dict[str, dict[str, dict[str, dict[str, str]]]]:
        """The claim as it stands."""
        return self.space.object("persistentvolumeclaim", CLAIM, "-n", self.namespace)

    def quota(self) -> int:
        """What etcd was told that it may hold, in bytes; 0: its pod is not there just now."""
        if not succeeds(*self.host(), "get", "pod", "control-plane-0", "-n", self.namespace):
            return 0
        pod = self.space.object("pod", "control-plane-0", "-n", self.namespace)
        (words,) = (one["command"] for one in pod["spec"]["containers"] if one["name"] == "etcd")
        return next(int(word.removeprefix(QUOTA)) for word in words if word.startswith(QUOTA))

    def host(self) -> tuple[str | Path, ...]:
        """kubectl of the host."""
        clients = kubernetes_clients(GUIDES)
        assert clients is not None
        return (clients / "kubectl", "--kubeconfig", self.space.api.kubeconfig)

    def follow(self, message: str) -> None:
        """Run the command that a message prints, and play the resizer."""
        printed = re.search(r"`(helm [^`]*)`", message)
        assert printed is not None, message
        clients = kubernetes_clients(GUIDES)
        assert clients is not None
        environ = {"PATH": f"{clients}:/usr/bin:/bin", "KUBECONFIG": str(self.space.api.kubeconfig), "HOME": "/root"}
        before = self.claim()["spec"]["resources"]["requests"]["storage"]
        said("sh", "-c", f"cd '{ROOT}'; {printed[1]}", environ=environ)
        self.space.parts.wait(
            "a larger claim", lambda: self.claim()["spec"]["resources"]["requests"]["storage"] != before, 120.0
        )
        print(f"{before} becomes {self.resize()}", flush=True)


@pytest.fixture
def growing(space: OneNode, tmp_path: Path) -> Iterator[Growing]:
    found = Growing(space, "growing", tmp_path)
    values = f"controlPlanes.kubernetes.persistence.size={FIRST}"
    set_values(space, values, f"controlPlanes.kubernetes.persistence.storageClassName={CLASS}")
    try:
        found.create()
        yield found
    finally:
        found.delete()
        succeeds("umount", found.volume)
        set_values(space)
        space.kubectl("delete", "storageclass", CLASS, "--ignore-not-found")


def test_a_volume_that_is_full_grows_by_the_printed_command_and_nothing_is_lost(growing: Growing) -> None:
    growing.kubectl("create", "configmap", "kept", "-n", "default", "--from-literal=a=b")
    first = growing.quota()
    filler = growing.volume / "filler"
    succeeds("dd", "if=/dev/zero", f"of={filler}", "bs=64k")
    taken = writing_until(growing, lambda: ready(growing)[0] == "VolumeFull")
    began = time.monotonic()
    growing.follow(ready(growing)[1])
    growing.wait("Ready", "True", seconds=420)
    print(f"ready {time.monotonic() - began:.0f} s after the command", flush=True)
    # etcd's share follows the volume, with one restart.
    growing.space.parts.wait("a larger share", lambda: growing.quota() == 2 * first, 180.0)
    growing.space.parts.wait("to answer again", lambda: growing.answers("get", "namespaces"), 180.0)
    assert filler.exists(), "nobody made room but the volume"
    growing.kubectl("annotate", "configmap", "kept", "-n", "default", "again=yes", "--overwrite")
    large = growing.kubectl("get", "configmaps", "-l", "large=yes", "-n", "default", "-o", "name").split()
    assert len(large) >= taken
