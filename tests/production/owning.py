"""A control plane with an API server of its own, and the volume that no provisioner makes on the one node."""

from __future__ import annotations

import base64
import json
import os
import time
from pathlib import Path

from production.images import ROOT
from production.node import OneNode
from production.parts import said, succeeds
from tests.tools import GUIDES, kubernetes_clients

CLAIM = "data-control-plane-0"


class Owned:
    """``create`` ends when it is ready; ``seconds`` is how long that took."""

    size, storage_class = "8Gi", ""
    """Of the volume."""

    def __init__(self, space: OneNode, name: str, folder: Path, *, restore: str = "") -> None:
        self.space, self.name, self._restore = space, name, restore
        self.volume, self.kubeconfig = folder / "volume", folder / "kubeconfig"
        self.namespace, self.seconds, self._began = f"{name}-host", 0.0, 0.0

    def create(self) -> None:
        """Make the ControlPlane and wait until it is ready."""
        self.begin()
        self.finish()

    def begin(self) -> None:
        """Make the ControlPlane, and its volume as soon as it is asked for."""
        self.volume.mkdir(mode=0o777, exist_ok=True)
        self.volume.chmod(0o777)
        # A volume that waits for its claim: what a storage class with a provisioner does in the same second.
        claim, kind = (self.namespace, CLAIM), self.storage_class
        self.space.volume(self.namespace, self.volume, claim=claim, size=self.size, storage_class=kind)
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
        self._began = time.monotonic()
        self.space.kubectl("apply", "-f", "-", given=json.dumps(plane))

    def finish(self) -> None:
        """Wait until it is ready, and take its kubeconfig."""
        self.wait("Ready", "True", seconds=180 if self._restore else 120)
        self.seconds = time.monotonic() - self._began
        self.space.kubectl("wait", f"secret/{self.name}", "-n", "default", "--for=create", "--timeout=30s")
        data = self.space.object("secret", self.name, "-n", "default")["data"]
        self.kubeconfig.write_bytes(base64.b64decode(data["kubeconfig"]))

    def wait(self, condition: str, status: str, *, seconds: int = 120) -> None:
        """Wait for a condition of the ControlPlane; where it does not come, say how everything stands."""
        waiting = ("wait", f"controlplane/{self.name}", "-n", "default", f"--for=condition={condition}={status}")
        try:
            self.space.kubectl(*waiting, f"--timeout={seconds}s")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{told(self.space, self.name, self.namespace)}") from None

    def kubectl(self, *words: str, given: str | None = None) -> str:
        """What kubectl prints inside."""
        return said(*self._words(), *words, given=given)

    def answers(self, *words: str) -> bool:
        """Whether kubectl inside ends well."""
        return succeeds(*self._words(), *words)

    def delete(self) -> None:
        """Take the control plane away, and its volume; what is gone already is no fault."""
        self.space.kubectl(
            "delete", "controlplane", self.name, "-n", "default", "--ignore-not-found", "--timeout=120s"
        )  # fmt: skip
        self.space.kubectl("delete", "persistentvolume", self.namespace, "--ignore-not-found")

    def _words(self) -> tuple[str | Path, ...]:
        clients = kubernetes_clients(GUIDES)
        assert clients is not None
        return (clients / "kubectl", "--kubeconfig", self.kubeconfig)


def told(space: OneNode, name: str, namespace: str) -> str:
    """How a control plane stands, for whoever reads why a test failed; what is not there is told as kubectl does."""
    inside = ("-n", namespace)
    logs = ("--all-containers", "--prefix", "--tail=20", "--ignore-errors", *inside)
    asked = (
        ("get", "controlplane", name, "-n", "default", "-o", "yaml"),
        ("get", "all,pvc,secret,role,events", *inside),
        ("describe", "pods", *inside),
        *(("logs", pod, *logs) for pod in ("restore", "control-plane-0", "deployment/backup")),
        ("logs", "deployment/spaces-operator", "-n", "default", "--tail=20"),
    )
    return "\n".join(f"--- kubectl {' '.join(words)}\n{_answer(space, words)}" for words in asked)


def _answer(space: OneNode, words: tuple[str, ...]) -> str:
    try:
        return space.kubectl(*words)
    except AssertionError as error:
        return str(error)


def set_values(space: OneNode, *values: str) -> None:
    """The chart with these values and no others: what another test left must not be part of this one."""
    clients = kubernetes_clients(GUIDES)
    assert clients is not None
    said(
        clients / "helm", "upgrade", "spaces", ROOT / "spaces-helm-chart", "--namespace", "default", "--reset-values",
        *(word for value in values for word in ("--set", value)),
        "--wait", "--timeout", "120s",
        environ={**os.environ, "KUBECONFIG": str(space.api.kubeconfig)},
    )  # fmt: skip
