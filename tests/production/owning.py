"""A control plane with an API server of its own, and the volume that no provisioner makes on the one node."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path

from production.node import OneNode
from production.parts import said, succeeds
from tests.tools import GUIDES, kubernetes_clients

CLAIM = "data-control-plane-0"


class Owned:
    """``create`` ends when it is ready; ``seconds`` is how long that took."""

    def __init__(self, space: OneNode, name: str, folder: Path, *, restore: str = "") -> None:
        self.space, self.name, self._folder, self._restore = space, name, folder, restore
        self.volume = folder / "volume"
        self.namespace, self.seconds = "", 0.0

    def create(self) -> None:
        """Make the ControlPlane, and its volume as soon as it is asked for."""
        self.volume.mkdir(mode=0o777)
        self.volume.chmod(0o777)
        self.namespace = f"{self.name}-host"
        # A volume that waits for its claim: what a storage class with a provisioner does in the same second.
        self.space.volume(self.namespace, self.volume, claim=(self.namespace, CLAIM), size="8Gi")
        plane = {
            "apiVersion": "spaces.upbound.io/v1beta1",
            "kind": "ControlPlane",
            "metadata": {
                "name": self.name,
                "namespace": "default",
                "annotations": {"keyless.dev/restore-from": self._restore} if self._restore else {},
            },
            "spec": {"hostNamespace": {"name": self.namespace}, "writeConnectionSecretToRef": {"name": self.name}},
        }
        began = time.monotonic()
        self.space.kubectl("apply", "-f", "-", given=json.dumps(plane))
        self.wait("Ready", "True")
        self.seconds = time.monotonic() - began
        self.space.kubectl("wait", f"secret/{self.name}", "-n", "default", "--for=create", "--timeout=30s")
        data = self.space.object("secret", self.name, "-n", "default")["data"]
        (self._folder / "kubeconfig").write_bytes(base64.b64decode(data["kubeconfig"]))

    def wait(self, condition: str, status: str) -> None:
        """Wait for a condition of the ControlPlane; where it does not come, say how everything stands."""
        waiting = ("wait", f"controlplane/{self.name}", "-n", "default", f"--for=condition={condition}={status}")
        try:
            self.space.kubectl(*waiting, "--timeout=120s")
        except AssertionError as error:
            plane = self.space.object("controlplane", self.name, "-n", "default")["status"]
            inside = ("-n", self.namespace)
            told = [json.dumps(plane, indent=1), self.space.kubectl("get", "all,pvc,events", *inside)]
            for name in ("etcd", "kube-apiserver", "kube-controller-manager"):
                words = ("logs", "control-plane-0", "-c", name, "--tail=5", *inside)
                told.append(self.space.kubectl(*words) if self._has_pod() else "")
            raise AssertionError("\n".join([str(error), *told])) from None

    def _has_pod(self) -> bool:
        return bool(self.space.kubectl("get", "pod", "control-plane-0", "-n", self.namespace, "--ignore-not-found"))

    def kubectl(self, *words: str) -> str:
        """What kubectl prints inside."""
        return said(*self._words(), *words)

    def answers(self, *words: str) -> bool:
        """Whether kubectl inside ends well."""
        return succeeds(*self._words(), *words)

    def delete(self) -> None:
        """Take the control plane away, and its volume."""
        self.space.kubectl("delete", "controlplane", self.name, "-n", "default", "--timeout=120s")
        self.space.kubectl("delete", "persistentvolume", self.namespace)

    def _words(self) -> tuple[str | Path, ...]:
        clients = kubernetes_clients(GUIDES)
        assert clients is not None
        return (clients / "kubectl", "--kubeconfig", self._folder / "kubeconfig")
