"""Decide what a LogicalCluster still needs. Pure."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime

from keyless.kube import KubeObject, set_condition

FINALIZER = "logicalclusters.keyless.dev/content"
OWNER = "keyless.dev/owner"
"""Who created it: recorded by the server at the creation, immutable."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the server is: where it listens, whom to trust, and which name is its own."""

    server_url: str
    ca_pem: str
    host: str


@dataclass(frozen=True, slots=True)
class Plan:
    """In this order: hold on to the object, make or remove the cluster, say so, let go."""

    add_finalizer: bool = False
    ensure: bool = False
    remove: bool = False
    status: KubeObject | None = None
    drop_finalizer: bool = False


def plan(obj: KubeObject, facts: Facts, now: datetime) -> Plan:
    """A name that the host uses itself is refused in the status."""
    metadata = obj["metadata"]
    held = FINALIZER in (metadata.get("finalizers") or ())
    ours = metadata["name"] != facts.host
    if metadata.get("deletionTimestamp"):
        return Plan(remove=held and ours, drop_finalizer=held)
    status = _ready(obj, facts, now) if ours else _taken(obj, now)
    return Plan(
        add_finalizer=ours and not held,
        ensure=ours,
        status=status if status != obj.get("status") else None,
    )


def _ready(obj: KubeObject, facts: Facts, now: datetime) -> KubeObject:
    return {
        "server": f"{facts.server_url.rstrip('/')}/clusters/{obj['metadata']['name']}",
        "caBundle": base64.b64encode(facts.ca_pem.encode()).decode(),
        "conditions": _condition(obj, True, "Serving", "the API server answers", now),
    }


def _taken(obj: KubeObject, now: datetime) -> KubeObject:
    message = f"LogicalCluster {obj['metadata']['name']}: the host cluster has this name itself; choose another"
    return {"conditions": _condition(obj, False, "NameTaken", message, now)}


def _condition(obj: KubeObject, ready: bool, reason: str, message: str, now: datetime) -> list[KubeObject]:
    before = (obj.get("status") or {}).get("conditions")
    generation = obj["metadata"].get("generation", 1)
    return set_condition(before, "Ready", ready, reason, message, now=now, observed_generation=generation)
