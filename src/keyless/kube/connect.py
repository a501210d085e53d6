"""Open a connection to an API server: from a kubeconfig, from inside a pod, or from a mounted Secret.

Connections are made at the first request; until then only the kubeconfig is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from keyless.api import Permanent
from keyless.kube.http import HttpTransport
from keyless.kube.kube import Kube
from keyless.kube.source import Elsewhere, Endpoint, Fixed, Folder, InCluster, Source

IN_CLUSTER = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where Kubernetes mounts a pod's service account."""


def connect(environ: Mapping[str, str]) -> Kube:
    """Connect as ``KUBECONFIG`` says, else with the pod's own service account, else as ``~/.kube/config`` says."""
    return Kube(HttpTransport(_own_source(environ)))


def connect_context(paths: str, context: str) -> Kube:
    """Connect as one context of kubeconfig files says."""
    return Kube(HttpTransport(_written(paths, context)))


def connect_elsewhere(environ: Mapping[str, str], server: str, ca_pem: str) -> Kube:
    """Connect to ``server`` with the token of ``connect``. It must be one that may see that token."""
    return Kube(HttpTransport(Elsewhere(_own_source(environ), Endpoint(server, ca_pem))))


def connect_with(server: str, ca_pem: str, token: str) -> Kube:
    """Connect with exactly these facts, which never change."""
    return Kube(HttpTransport(Fixed(Endpoint(server, ca_pem), token)))


def connect_certified(server: str, ca_pem: str, certificate_pem: str, key_pem: str) -> Kube:
    """Connect with a client certificate, which never changes."""
    return Kube(HttpTransport(Fixed(Endpoint(server, ca_pem, certificate_pem, key_pem))))


def connect_folder(path: Path | str) -> Kube:
    """Connect with the files ``server``, ``ca.crt`` and ``token`` of a folder; changed files are read again."""
    return Kube(HttpTransport(Folder(Path(path))))


def _own_source(environ: Mapping[str, str]) -> Source:
    if paths := environ.get("KUBECONFIG"):
        return _written(paths)
    if environ.get("KUBERNETES_SERVICE_HOST") and (IN_CLUSTER / "token").exists():
        return InCluster(IN_CLUSTER, environ)
    home = Path(environ.get("HOME", "/nonexistent")) / ".kube" / "config"
    if home.exists():
        return _written(str(home))
    raise Permanent("no Kubernetes connection: set KUBECONFIG, or run as a pod with a service account token")


def _written(paths: str, context: str = "") -> Source:
    # Only who reads a kubeconfig loads YAML: pods have a token, and a collector lives in 80 MB.
    from keyless.kube.kubeconfig import source_of

    return source_of(paths, context)
