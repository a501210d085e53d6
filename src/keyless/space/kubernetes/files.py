"""The files that kube-apiserver and kube-controller-manager are given beside their certificates. Pure.

JSON, which Kubernetes reads wherever it reads YAML.
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from keyless.api import sealed_by
from keyless.api.sealed_by import Sealer
from keyless.kube import KubeObject
from keyless.space.kubernetes.names import MOUNT, PORT

PROBED = ("/livez", "/readyz")
"""All that anybody may ask without a credential: the kubelet's probes show none."""


def encryption(sealers: Sequence[Sealer]) -> str:
    """Secrets are written with the first key and read with all of them.

    What lies in etcd names its key. The last provider reads what was written before there was one.
    """
    providers = [*sealed_by.providers(sealers), {"identity": {}}]
    return _text(
        {
            "apiVersion": "apiserver.config.k8s.io/v1",
            "kind": "EncryptionConfiguration",
            "resources": [{"resources": ["secrets"], "providers": providers}],
        }
    )


def authentication() -> str:
    """Nobody without a credential, but for the probes."""
    return _text(
        {
            "apiVersion": "apiserver.config.k8s.io/v1",
            "kind": "AuthenticationConfiguration",
            "jwt": [],
            "anonymous": {"enabled": True, "conditions": [{"path": path} for path in PROBED]},
        }
    )


def audit() -> str:
    """Who changed what, without contents: bodies hold Secrets. Reads, leases and events are left out: they are most."""
    quiet = [
        {"level": "None", "verbs": ["get", "list", "watch"]},
        {"level": "None", "resources": [{"group": "", "resources": ["events"]}]},
        {"level": "None", "resources": [{"group": "coordination.k8s.io", "resources": ["leases"]}]},
    ]
    return _text(
        {
            "apiVersion": "audit.k8s.io/v1",
            "kind": "Policy",
            "omitStages": ["RequestReceived"],
            "rules": [*quiet, {"level": "Metadata"}],
        }
    )


def kubeconfig(user: str) -> str:
    """How a neighbour in the pod reaches the API. It names files, which client-go reads again when they change."""
    cluster = {"server": f"https://127.0.0.1:{PORT}", "certificate-authority": f"{MOUNT}/ca.crt"}
    credential = {"client-certificate": f"{MOUNT}/{user}.crt", "client-key": f"{MOUNT}/{user}.key"}
    return _text(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "own", "cluster": cluster}],
            "users": [{"name": user, "user": credential}],
            "contexts": [{"name": "own", "context": {"cluster": "own", "user": user}}],
            "current-context": "own",
        }
    )


def _text(document: KubeObject) -> str:
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()
