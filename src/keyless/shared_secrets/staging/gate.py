"""What a sync asks before it writes a new version: may this control plane take it yet?"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from keyless.kube import KubeObject, is_true
from keyless.shared_secrets.staging.plan import (
    StagingFault,
    Versions,
    Waits,
    held_of,
    is_new,
    revision_of,
    staging_of,
    waits_for,
)
from keyless.shared_secrets.staging.rows import planes_of

CONDITION = "RotationHeld"
LOOK_SECONDS = 10.0
"""A stage that has to be ready for a while tells nobody when the while is over."""


def sooner(seconds: float | None) -> float:
    """Return when to look again at what is held back: no call of the provider is made for that."""
    return LOOK_SECONDS if seconds is None else min(seconds, LOOK_SECONDS)


class Gate:
    """``shared`` finds the SharedExternalSecret of an ExternalSecret, as last seen; ``me`` is this control plane."""

    def __init__(self, me: str, shared: Callable[[KubeObject], KubeObject | None], now: Callable[[], datetime]) -> None:
        self._me, self._shared, self._now = me, shared, now

    def waits(self, obj: KubeObject, offered: Versions | None) -> Waits | None:
        """Return why what was just read must not be written yet; None: it may."""
        shared = self._shared(obj)
        held = held_of((obj.get("status") or {}).get("sources"))
        if shared is None or not held or not offered or not is_new(held, offered):
            return None
        try:
            staging = staging_of(shared)
        except StagingFault as fault:
            # Whoever asked for stages does not want all at once, whatever else was meant.
            return Waits(str(fault))
        if staging is None:
            return None
        rows = {row["controlPlane"]: row for row in (shared.get("status") or {}).get("rotation") or ()}
        return waits_for(staging, self._me, planes_of(shared), rows, revision_of(offered), self._now())

    def opens(self, obj: KubeObject) -> bool:
        """Return whether a version that was held back may be taken now."""
        if not is_true(obj, CONDITION):
            return False
        sources = (obj.get("status") or {}).get("sources")
        return self.waits(obj, held_of(sources, offered=True)) is None


class Open(Gate):
    """Where nothing is shared, nothing is held back."""

    def __init__(self) -> None:
        super().__init__("", lambda _obj: None, datetime.now)
