"""Open a connection to an API server: from a kubeconfig, from inside a pod, or from a mounted Secret."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from keyless.kube.kube import Kube

IN_CLUSTER = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def connect(environ: Mapping[str, str]) -> Kube:
    """Connect as ``KUBECONFIG`` says, else with the pod's own service account."""
    raise NotImplementedError


def connect_folder(path: Path) -> Kube:
    """Connect with the files ``server``, ``ca.crt`` and ``token`` of a folder; changed files are read again."""
    raise NotImplementedError
