"""Kubeconfigs for people: the host cluster, and one control plane. Pure."""

from __future__ import annotations

import base64

from keyless.kube import KubeObject


def kubeconfig(name: str, server: str, ca_pem: str, token: str, namespace: str = "default") -> KubeObject:
    """A kubeconfig with one context, everything inside it."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "preferences": {},
        "clusters": [
            {
                "name": name,
                "cluster": {
                    "server": server,
                    "certificate-authority-data": base64.b64encode(ca_pem.encode()).decode(),
                },
            }
        ],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": namespace}}],
    }
