"""One etcd and one kube-apiserver on the node's address: the host cluster's, or a small one that is brought."""

from __future__ import annotations

from pathlib import Path

from production.network import ADDRESS, SERVICES
from production.parts import Parts, succeeds
from production.pki import Pki


class Api:
    """``kubeconfig`` is the administrator's. Ports of etcd follow from the API server's."""

    def __init__(
        self, name: str, folder: Path, binaries: Path, pki: Pki, parts: Parts, *, port: int, address: str = ADDRESS
    ) -> None:
        self._name, self._folder, self._binaries = name, folder, binaries
        self._pki, self._parts, self._port, self._address = pki, parts, port, address
        self.url = f"https://{address}:{port}"
        self.kubeconfig = pki.folder / "admin.kubeconfig"
        #: the certificate that a kubelet is shown, where there is one
        self.kubelet_client = ""
        #: the authority of kubelets' own certificates; empty: not looked at
        self.kubelet_authority = str(pki.folder / "ca.crt")

    def up(self) -> None:
        """Start both and wait until the API server is ready."""
        addresses = (self._address, "127.0.0.1", "10.0.0.1", "localhost", "kubernetes.default.svc")
        self._pki.certify("api", user="kube-apiserver", at=addresses)
        self._pki.certify("admin", user="admin", groups=("system:masters",))
        self._pki.kubeconfig("admin", self.url)
        clients, peers = (f"http://127.0.0.1:{self._port + more}" for more in (1, 2))
        self._parts.start(
            f"{self._name}-etcd", self._binaries / "etcd", "--data-dir", self._folder / f"{self._name}-etcd",
            "--listen-client-urls", clients, "--advertise-client-urls", clients, "--listen-peer-urls", peers,
            "--initial-advertise-peer-urls", peers, "--initial-cluster", f"default={peers}", "--log-level", "warn",
        )  # fmt: skip
        self.start_server()

    def start_server(self) -> None:
        """Start kube-apiserver (again) and wait until it is ready."""
        pki, issuer = self._pki.folder, self.url
        kubelet = (
            f"--kubelet-client-certificate={pki}/{self.kubelet_client}.crt",
            f"--kubelet-client-key={pki}/{self.kubelet_client}.key",
            *([f"--kubelet-certificate-authority={self.kubelet_authority}"] if self.kubelet_authority else []),
            "--kubelet-preferred-address-types=InternalIP",
        )
        self._parts.start(
            self.server, self._binaries / "kube-apiserver", f"--etcd-servers=http://127.0.0.1:{self._port + 1}",
            f"--bind-address={self._address}", f"--advertise-address={self._address}", f"--secure-port={self._port}",
            f"--service-cluster-ip-range={SERVICES}", f"--tls-cert-file={pki}/api.crt",
            f"--tls-private-key-file={pki}/api.key", f"--client-ca-file={pki}/ca.crt",
            "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
            f"--service-account-issuer={issuer}", f"--service-account-jwks-uri={issuer}/openid/v1/jwks",
            f"--service-account-signing-key-file={pki}/sa.key", f"--service-account-key-file={pki}/sa.pub",
            "--api-audiences=https://kubernetes.default.svc", "--allow-privileged=true",
            *(kubelet if self.kubelet_client else ()),
            # A Service cannot lead to loopback: an API server there keeps no endpoints of itself.
            *(("--endpoint-reconciler-type=none",) if self._address.startswith("127.") else ()),
        )  # fmt: skip
        ready = ("kubectl", "--kubeconfig", self.kubeconfig, "get", "--raw", "/readyz")
        self._parts.wait(f"the {self._name} API server", lambda: succeeds(*ready))

    @property
    def server(self) -> str:
        """The part's name."""
        return f"{self._name}-api"
