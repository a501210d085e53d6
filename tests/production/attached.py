"""A Kubernetes API that is brought to a Space: etcd, kube-apiserver and controllers of its own, no nodes."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from production.api import Api
from production.node import OneNode
from production.parts import Parts
from production.pki import Pki

CONTROLLERS = (
    "namespace-controller,garbage-collector-controller,serviceaccount-controller,"
    "root-ca-certificate-publisher-controller"
)
PORTS = (17443, 17453, 17463, 17473, 17483)


class Brought:
    """``attach`` gives it to the Space as the how-to page says."""

    def __init__(self, folder: Path, binaries: Path, node: OneNode, *, port: int) -> None:
        self._node, self._binaries = node, binaries
        self.parts = Parts(folder)
        self._pki = Pki(folder / "pki")
        self.api = Api("brought", folder, binaries, self._pki, self.parts, port=port)
        self.kubectl_words = ("--kubeconfig", str(self.api.kubeconfig))

    def up(self) -> None:
        """Start it, with an administrator's service account."""
        self.api.up()
        self._pki.certify("controllers", user="system:kube-controller-manager")
        kubeconfig = self._pki.kubeconfig("controllers", self.api.url)
        self.parts.start(
            "controllers", self._binaries / "kube-controller-manager", f"--kubeconfig={kubeconfig}",
            f"--root-ca-file={self._pki.folder}/ca.crt", "--use-service-account-credentials=true",
            f"--service-account-private-key-file={self._pki.folder}/sa.key", "--leader-elect=false",
            # Without the first a namespace that is deleted stays; several of these run on one machine.
            f"--controllers={CONTROLLERS}", "--secure-port=0",
        )  # fmt: skip
        self.kubectl("create", "serviceaccount", "keyless", "-n", "kube-system")
        self.kubectl(
            "create", "clusterrolebinding", "keyless", "--clusterrole=cluster-admin",
            "--serviceaccount=kube-system:keyless",
        )  # fmt: skip

    def down(self) -> None:
        """End it."""
        self.parts.end_all()

    def kubectl(self, *words: str, given: str | None = None) -> str:
        """What kubectl prints inside, as the administrator."""
        # The last --kubeconfig wins: the node's comes first.
        return self._node.kubectl(*self.kubectl_words, *words, given=given)

    def attach(self, name: str, group: str = "default") -> None:
        """Make a Secret and a ControlPlane of it in a group."""
        token = self.kubectl("create", "token", "keyless", "-n", "kube-system", "--duration=24h").strip()
        facts = {"server": self.api.url, "ca.crt": (self._pki.folder / "ca.crt").read_text(), "token": token}
        data = {key: base64.b64encode(value.encode()).decode() for key, value in facts.items()}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": f"{name}-api"}, "data": data}
        plane = {
            "apiVersion": "spaces.upbound.io/v1beta1",
            "kind": "ControlPlane",
            "metadata": {"name": name, "annotations": {"keyless.dev/attached-secret": f"{name}-api"}},
            "spec": {},
        }
        for one in (secret, plane):
            self._node.kubectl("apply", "-n", group, "-f", "-", given=json.dumps(one))
