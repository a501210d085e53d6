"""Decide what becomes of a Secret that asks for a service account's token. Pure.

Spec: https://kubernetes.io/docs/concepts/configuration/secret/#serviceaccount-token-secrets
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from typing import Literal

from keyless.kube import KubeObject

TYPE = "kubernetes.io/service-account-token"
ACCOUNT = "kubernetes.io/service-account.name"
UID = "kubernetes.io/service-account.uid"
SECONDS = 10 * 365 * 24 * 3600
"""Upstream's tokens of this kind have no end; ours have one, far away, for every token here has one."""


@dataclass(frozen=True, slots=True)
class Plan:
    """``remove``: the account is not there, or is another; ``fill``: something lacks or is void."""

    do: Literal["nothing", "fill", "remove"]


def account_of(secret: KubeObject) -> str:
    """The account's name; empty where the Secret is of another type."""
    if secret.get("type") != TYPE:
        return ""
    return str((secret["metadata"].get("annotations") or {}).get(ACCOUNT, ""))


def plan(secret: KubeObject, account: KubeObject | None, ca_pem: str, *, token_proves: bool) -> Plan:
    """``token_proves``: the Secret holds a token that is good for the account."""
    if "deletionTimestamp" in secret["metadata"] or not account_of(secret):
        return Plan("nothing")
    noted = (secret["metadata"].get("annotations") or {}).get(UID)
    # A Secret that waits for its account is removed at once, too: so does upstream.
    if account is None or (noted and noted != account["metadata"]["uid"]):
        return Plan("remove")
    data = secret.get("data") or {}
    whole = noted and data.items() >= _beside(secret, ca_pem).items()
    return Plan("nothing" if whole and token_proves else "fill")


def filled(secret: KubeObject, account: KubeObject, ca_pem: str, token: str) -> KubeObject:
    """The Secret with the token and what goes with it."""
    annotations = {**(secret["metadata"].get("annotations") or {}), UID: account["metadata"]["uid"]}
    data = {**(secret.get("data") or {}), **_beside(secret, ca_pem), "token": _base64(token)}
    return {**secret, "metadata": {**secret["metadata"], "annotations": annotations}, "data": data}


def _beside(secret: KubeObject, ca_pem: str) -> dict[str, str]:
    return {"ca.crt": _base64(ca_pem), "namespace": _base64(secret["metadata"]["namespace"])}


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode()
