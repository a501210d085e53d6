"""What the loop for ExternalSecrets works with."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from keyless.kube import Kube, KubeObject, Name
from keyless.shared_secrets.staging.gate import Gate, Open
from keyless.shared_secrets.stores.classes import FindStore
from keyless.shared_secrets.stores.guard import ReadGuard
from keyless.shared_secrets.stores.resolution import Stores
from keyless.shared_secrets.sync.deletion import Guard
from keyless.shared_secrets.sync.metrics import SyncMetrics
from keyless.shared_secrets.sync.templates import Renders


class Listener(Protocol):
    """Hears how reads with the Space's credentials went: the ControlPlane's condition is told from it."""

    def read_succeeded(self, key: Name) -> None:
        """Hear that an ExternalSecret was read from its provider."""
        ...

    def read_failed(self, key: Name, code: str, message: str) -> None:
        """Hear why one was not."""
        ...

    def forget(self, key: Name) -> None:
        """Hear that an ExternalSecret is gone, or reads with a tenant's own credentials."""
        ...


@dataclass(frozen=True, slots=True)
class Tools:
    """What the loop works with.

    ``owned`` names the Secrets of a namespace that carry an owner hash; ``others`` are all ExternalSecrets and
    ``secrets`` counts the Secrets that are managed, for the deletion guard; ``adopts`` is External Secrets' own way
    with a Secret that nobody owns, ``pending_is_missing`` with one that is marked for deletion in AWS; ``spread`` is
    the control plane's own, so that not all of them read at the same second; ``ahead`` begins the reads of those that
    follow and tells how long ago this one's own began, in seconds.
    """

    kube: Kube
    stores: Stores
    guard: ReadGuard
    listener: Listener
    metrics: SyncMetrics
    now: Callable[[], datetime]
    owned: Callable[[str, str], list[str]]
    renderer: Renders
    store: FindStore
    others: Callable[[], Iterable[KubeObject]]
    secrets: Callable[[], int]
    spread: str
    ahead: Callable[[Name, str], float]
    deletion: Guard = field(default_factory=Guard)
    adopts: bool = False
    pending_is_missing: bool = False
    gate: Gate = field(default_factory=Open)
