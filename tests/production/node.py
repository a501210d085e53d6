"""A real Kubernetes of one node, from its own parts; the recipe's traps are named where they are avoided."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from production.api import Api
from production.network import ADDRESS, PODS, Network
from production.parts import Parts, said, succeeds
from production.pki import Pki

NAME = "node1"
PAUSE = "localhost/pause:1"


class OneNode:
    """``up`` ends when the node is ready; ``down`` leaves nothing behind."""

    def __init__(self, folder: Path, binaries: Path, kubectl: Path) -> None:
        self.folder, self._binaries, self._kubectl = folder, binaries, kubectl
        self.socket = folder / "containerd.sock"
        self.parts = Parts(folder)
        self.network = Network(folder)
        self.pki = Pki(folder / "pki")
        self.api = Api("host", folder, binaries, self.pki, self.parts, port=16443)

    def up(self) -> None:
        """Start everything, the network first and the scheduler last: no pod may ask before kube-proxy's rules are."""
        self.network.up()
        self._containerd()
        self.api.kubelet_client = self._certified("kubelet-client", "kube-apiserver-kubelet-client", "system:masters")
        self.api.up()
        self._controllers()
        self._proxy()
        self._kubelet()
        kubeconfig = self._user("scheduler", "system:kube-scheduler")
        self.parts.start("scheduler", self._binaries / "kube-scheduler", f"--kubeconfig={kubeconfig}",
                         "--leader-elect=false", "--bind-address=127.0.0.1")  # fmt: skip
        self.parts.wait("the node", self._is_ready)

    def down(self) -> None:
        """End pods, then parts, then what containerd left; only what was started here."""
        if self.api.kubeconfig.exists():
            deleting = ("delete", "pods", "--all-namespaces", "--all", "--grace-period=1", "--timeout=30s")
            succeeds(self._kubectl, "--kubeconfig", self.api.kubeconfig, *deleting)
        self.parts.end("scheduler")
        self.parts.end("kubelet")
        self._end_containers()
        self.parts.end_all()
        self._end_shims()
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in sorted((one for one in mounts if one.startswith(f"{self.folder}/")), reverse=True):
            succeeds("umount", mount)
        self.network.down()

    def kubectl(self, *words: str, given: str | None = None, environ: Mapping[str, str] | None = None) -> str:
        """What kubectl prints as the administrator; it must end well."""
        return said(self._kubectl, "--kubeconfig", self.api.kubeconfig, *words, given=given, environ=environ)

    def object(self, *words: str) -> Any:
        """What ``kubectl get …`` finds, read."""
        return json.loads(self.kubectl("get", *words, "-o", "json"))

    def volume(
        self, name: str, folder: Path, *, claim: tuple[str, str], size: str = "1Gi", storage_class: str = ""
    ) -> None:
        """Keep a folder as a volume for the claim of a namespace and name."""
        spec = {
            "storageClassName": storage_class,
            "capacity": {"storage": size},
            "accessModes": ["ReadWriteOnce"],
            "hostPath": {"path": str(folder)},
            "claimRef": {"namespace": claim[0], "name": claim[1]},
        }
        volume = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec}
        self.kubectl("apply", "-f", "-", given=json.dumps(volume))

    def load(self, archive: Path) -> None:
        """Import an OCI archive."""
        self._ctr("images", "import", str(archive))

    def tag(self, name: str, other: str) -> None:
        """Give an image the name that a chart's user pulls it by."""
        self._ctr("images", "tag", name, other)

    def _ctr(self, *words: str) -> str:
        return said("ctr", "-a", self.socket, "-n", "k8s.io", *words)

    def _containerd(self) -> None:
        config = self.folder / "containerd.toml"
        config.write_text(
            f"""version = 2
root = "{self.folder}/containerd"
state = "{self.folder}/containerd-run"
[grpc]
  address = "{self.socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  # Without CAP_SYS_RESOURCE nobody may lower oom_score_adj, and runc ends where it should.
  restrict_oom_score_adj = true
  # Below our folder they are unmounted with everything else.
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{self.network.cni}"
"""
        )
        self.parts.start("containerd", "containerd", "-c", config)
        self.parts.wait("containerd", lambda: succeeds("ctr", "-a", self.socket, "version"))

    def _controllers(self) -> None:
        pki = self.pki.folder
        kubeconfig = self._user("controllers", "system:kube-controller-manager")
        self.parts.start(
            "controllers", self._binaries / "kube-controller-manager", f"--kubeconfig={kubeconfig}",
            # Without it pods get no authority for the API server.
            f"--root-ca-file={pki}/ca.crt",
            f"--service-account-private-key-file={pki}/sa.key", "--use-service-account-credentials=true",
            f"--cluster-signing-cert-file={pki}/ca.crt", f"--cluster-signing-key-file={pki}/ca.key",
            "--leader-elect=false", "--bind-address=127.0.0.1",
        )  # fmt: skip

    def _proxy(self) -> None:
        config = {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "clientConnection": {"kubeconfig": str(self._user("proxy", "system:kube-proxy"))},
            "mode": "nftables",
            "hostnameOverride": NAME,
            "clusterCIDR": PODS,
            "bindAddress": ADDRESS,
            "conntrack": {"maxPerCore": 0},
        }
        self.parts.start("proxy", self._binaries / "kube-proxy", f"--config={self._written('proxy.json', config)}")
        self.parts.wait(
            "kube-proxy's rules", lambda: "10.0.0.1" in _printed("nft", "list", "table", "ip", "kube-proxy")
        )

    def _kubelet(self) -> None:
        pki = self.pki.folder
        kubeconfig = self._user("kubelet", f"system:node:{NAME}", "system:nodes", at=(NAME, ADDRESS))
        config = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": ADDRESS,
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": f"{pki}/ca.crt"},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": f"{pki}/kubelet.crt",
            "tlsPrivateKeyFile": f"{pki}/kubelet.key",
            "cgroupDriver": "cgroupfs",
            "failCgroupV1": False,
            "failSwapOn": False,
            "makeIPTablesUtilChains": False,
            "containerRuntimeEndpoint": f"unix://{self.socket}",
            "evictionHard": {
                "memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%",
                "nodefs.inodesFree": "1%",
            },
            # Never by itself: what was imported is to be had nowhere else, however full the machine's disk is.
            "imageGCHighThresholdPercent": 100,
        }  # fmt: skip
        self.parts.start(
            "kubelet", self._binaries / "kubelet", f"--kubeconfig={kubeconfig}",
            f"--config={self._written('kubelet.json', config)}", f"--hostname-override={NAME}",
            f"--node-ip={ADDRESS}", f"--root-dir={self.folder}/kubelet",
        )  # fmt: skip

    def restart_kubelet(self) -> None:
        """End the kubelet and start it again."""
        self.parts.end("kubelet")
        self._kubelet()
        self.parts.wait("the node", self._is_ready)

    def _user(self, name: str, user: str, *groups: str, at: tuple[str, ...] = ()) -> Path:
        self._certified(name, user, *groups, at=at)
        return self.pki.kubeconfig(name, self.api.url)

    def _certified(self, name: str, user: str, *groups: str, at: tuple[str, ...] = ()) -> str:
        self.pki.certify(name, user=user, groups=groups, at=at)
        return name

    def _written(self, name: str, content: dict[str, Any]) -> Path:
        path = self.folder / name
        path.write_text(json.dumps(content))
        return path

    def _is_ready(self) -> bool:
        printed = _printed(self._kubectl, "--kubeconfig", self.api.kubeconfig, "get", "node", NAME)
        return " Ready " in printed

    def _end_containers(self) -> None:
        for name in _printed("ctr", "-a", self.socket, "-n", "k8s.io", "tasks", "ls", "-q").split():
            succeeds("ctr", "-a", self.socket, "-n", "k8s.io", "tasks", "kill", "-s", "SIGKILL", name)

    def _end_shims(self) -> None:
        """Shims outlive containerd; ours are those that were told our socket."""
        for process in Path("/proc").iterdir():
            if not process.name.isdecimal():
                continue
            try:
                words = (process / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[0].endswith(b"containerd-shim-runc-v2") and str(self.socket).encode() in words:
                os.kill(int(process.name), 9)


def _printed(*words: str | Path) -> str:
    done = subprocess.run(
        [str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False
    )
    return done.stdout
