"""What all pods of a Space share beside their image: labels, pull secrets, the way out to AWS and whom to trust on it.

Pure. The chart's template says the same of the operator's own pod (``spaces.surroundings``); a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from keyless.space.reading import KubeObject, Reader

NEVER_PROXIED = (
    "localhost",
    "127.0.0.1",
    # EKS Pod Identity's agent, on the node itself. Without brackets: most clients know addresses in no other form.
    "169.254.170.23",
    "fd00:ec2::23",
    "kubernetes.default.svc",
    ".svc",
    ".cluster.local",
    # Put in by the kubelet: the address by which a pod reaches the API server.
    "$(KUBERNETES_SERVICE_HOST)",
)
CA_DIR = "/etc/keyless/ca"
CA_FILE = "ca.crt"
PULL_COPY = "spaces-image-pull"
CA_COPY = "spaces-ca-bundle"
"""The Secrets of a host namespace that hold what the values name in the release's: pods refer to their own alone."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """URLs, empty where there is none; ``unproxied`` is what goes straight beside ``NEVER_PROXIED``."""

    http: str = ""
    https: str = ""
    unproxied: str = ""

    @property
    def env(self) -> tuple[KubeObject, ...]:
        """The variables that every client of the pods knows."""
        if not self.http and not self.https:
            return ()
        unproxied = ",".join((*NEVER_PROXIED, *([self.unproxied] if self.unproxied else [])))
        told = {"HTTP_PROXY": self.http, "HTTPS_PROXY": self.https, "NO_PROXY": unproxied}
        return tuple({"name": name, "value": value} for name, value in told.items() if value)


@dataclass(frozen=True, slots=True)
class CaBundle:
    """The authorities that TLS servers are trusted by, in an object of the release's namespace."""

    kind: str
    """``ConfigMap`` or ``Secret``."""
    name: str
    key: str = CA_FILE
    stamp: str = ""
    """Which content it has, as far as it was read: another one rolls the pods, whose clients read it at their start."""

    @property
    def env(self) -> tuple[KubeObject, ...]:
        """botocore has a variable of its own; everything that asks OpenSSL takes the other."""
        return tuple({"name": name, "value": f"{CA_DIR}/{CA_FILE}"} for name in ("AWS_CA_BUNDLE", "SSL_CERT_FILE"))


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the values say for every pod."""

    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    pull_secrets: tuple[str, ...] = ()
    """Secrets in the release's namespace."""
    proxy: Proxy = Proxy()
    ca_bundle: CaBundle | None = None

    @property
    def env(self) -> tuple[KubeObject, ...]:
        """What every container is told."""
        return (*self.proxy.env, *(self.ca_bundle.env if self.ca_bundle else ()))


def read_surroundings(reader: Reader) -> Surroundings:
    """From the chart's values."""
    kind = reader.word("caBundle.kind", "ConfigMap", one_of=("ConfigMap", "Secret"))
    name = reader.get("caBundle.name", "")
    return Surroundings(
        labels=reader.strings("commonLabels"),
        annotations=reader.strings("commonAnnotations"),
        pull_secrets=reader.names("imagePullSecrets"),
        proxy=Proxy(
            http=reader.get("proxy.httpProxy", ""),
            https=reader.get("proxy.httpsProxy", ""),
            unproxied=reader.get("proxy.noProxy", ""),
        ),
        ca_bundle=CaBundle(kind, name, reader.get("caBundle.key", CA_FILE)) if name else None,
    )
