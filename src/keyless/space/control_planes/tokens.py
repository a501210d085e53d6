"""The Secrets through which a control plane is reached: what they hold, and when they are due again. Pure.

A token lives an hour and is renewed at half its life, so that whoever read it last has half an hour to read again.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import orjson

from keyless.kube import KubeObject, timestamp
from keyless.space.control_planes.model import Kubeconfig, Served
from keyless.space.items import Item, Key, item

ISSUED = "keyless.dev/token-issued-at"
EXPIRES = "keyless.dev/token-expires-at"
MADE_FROM = "keyless.dev/token-made-from"
"""Of a token made with a Secret that was brought: which version of that Secret."""
ACCOUNT = "keyless.dev/token-of"
"""The uid of the service account: a successor of the same name makes old tokens worthless."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A token with what is needed to use and to judge it."""

    token: str = field(repr=False)
    account_uid: str
    issued_at: datetime
    expires_at: datetime


def due_in_seconds(
    secret: KubeObject | None, served: Served, account_uid: str, now: datetime, *, kubeconfig: bool = False
) -> float:
    """Seconds until the Secret must be written again; 0 or less: now. ``kubeconfig``: whether it must hold one."""
    if secret is None:
        return 0
    annotations = secret["metadata"].get("annotations") or {}
    try:
        issued, expires = (datetime.fromisoformat(annotations[name]) for name in (ISSUED, EXPIRES))
    except (KeyError, ValueError):
        return 0
    data = secret.get("data") or {}
    if annotations.get(ACCOUNT) != account_uid or data.get("server") != _encoded(served.server):
        return 0
    if data.get("ca.crt") != _encoded(served.ca_pem) or not data.get("token"):
        return 0
    if kubeconfig and not data.get("kubeconfig"):
        return 0
    if issued > now:
        return 0  # a clock that was set back would wait for as long as it went back
    return (issued + (expires - issued) / 2 - now).total_seconds()


def is_over(secret: KubeObject, now: datetime) -> bool:
    """Whether the token in it has expired, by our clock."""
    try:
        return datetime.fromisoformat((secret["metadata"].get("annotations") or {})[EXPIRES]) <= now
    except (KeyError, ValueError):
        return True


def secret_item(
    key: Key,
    served: Served,
    issued: Issued,
    *,
    owners: Sequence[KubeObject] = (),
    kubeconfig: Kubeconfig = "",
    labels: Mapping[str, str] | None = None,
    made_from: str = "",
) -> Item:
    """The Secret as it is written; with ``kubeconfig`` also in the form that kubectl and client-go read."""
    data = {"server": served.server, "ca.crt": served.ca_pem, "token": issued.token}
    if kubeconfig:
        data["kubeconfig"] = _kubeconfig(served, issued.token, mounted=kubeconfig == "mounted")
    return item(
        key.resource,
        key.name,
        key.namespace,
        owners=owners,
        labels=dict(labels or {}),
        annotations={
            ISSUED: timestamp(issued.issued_at),
            EXPIRES: timestamp(issued.expires_at),
            ACCOUNT: issued.account_uid,
            **({MADE_FROM: made_from} if made_from else {}),
        },
        type="Opaque",
        data={name: _encoded(value) for name, value in data.items()},
    )


def _kubeconfig(served: Served, token: str, *, mounted: bool) -> str:
    """``mounted``: both are read from the files beside it, and the token again and again.

    What clients do with such a file: ``docs/reference/facts/kubernetes.md#clients``.
    """
    cluster = {"server": served.server, "certificate-authority-data": _encoded(served.ca_pem)}
    user = {"token": token}
    if mounted:
        cluster, user = {"server": served.server, "certificate-authority": "ca.crt"}, {"tokenFile": "token"}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "control-plane", "cluster": cluster}],
        "users": [{"name": "connection", "user": user}],
        "contexts": [{"name": "control-plane", "context": {"cluster": "control-plane", "user": "connection"}}],
        "current-context": "control-plane",
    }
    return orjson.dumps(document).decode()


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
