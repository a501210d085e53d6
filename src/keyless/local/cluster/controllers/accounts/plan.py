"""Decide what a namespace lacks. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from keyless.kube import KubeObject
from keyless.local.cluster.controllers.owners import is_leaving

ACCOUNT = "default"
ROOT_CA = "kube-root-ca.crt"
_WORDS = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the"
    " internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes"
    " clusters."
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to create, and the ConfigMap to bring back to what it must say."""

    account: KubeObject | None = None
    root_ca: KubeObject | None = None
    correct_root_ca: KubeObject | None = None


def plan(namespace: KubeObject, account: KubeObject | None, root_ca: KubeObject | None, ca_pem: str) -> Plan:
    """Nothing for a namespace that ends."""
    if is_leaving(namespace):
        return Plan()
    data = {"ca.crt": ca_pem}
    wanted = {"metadata": {"name": ROOT_CA, "annotations": {"kubernetes.io/description": _WORDS}}, "data": data}
    differs = root_ca is not None and root_ca.get("data") != data
    return Plan(
        account={"metadata": {"name": ACCOUNT}} if account is None else None,
        root_ca=wanted if root_ca is None else None,
        correct_root_ca={**root_ca, "data": data} if root_ca and differs else None,
    )
