"""A control plane as whoever follows a guide sees it, whoever serves its API."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from production.attached import Brought
from production.owning import Owned


@dataclass(frozen=True, slots=True)
class Plane:
    """``kubectl`` and ``kubeconfig`` are an administrator's inside; ``namespace`` is its host namespace."""

    name: str
    namespace: str
    kubeconfig: Path
    kubectl: Callable[..., str]


def attached(api: Brought, name: str, namespace: str) -> Plane:
    """One whose API was brought."""
    return Plane(name, namespace, api.api.kubeconfig, api.kubectl)


def own(found: Owned) -> Plane:
    """One that the Space made itself."""
    return Plane(found.name, found.namespace, found.kubeconfig, found.kubectl)
