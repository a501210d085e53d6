"""The ControlPlane as the component sees it: whether it is being deleted, and the condition that is told of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from keyless.api import Reason
from keyless.backup.model import Manifest, Source
from keyless.kube import Kube, NotFound, condition_of, set_condition, timestamp
from keyless.kube.resources import CONTROLPLANES

CONDITION = "BackedUp"
RESTORED = "Restored"
FIELD_MANAGER = "backup"
MESSAGE_LIMIT = 4000
_WORD = re.compile(r"[A-Za-z]([A-Za-z0-9]|[A-Za-z0-9_,:]*[A-Za-z0-9_])?")


@dataclass(frozen=True, slots=True)
class Said:
    """A condition of ours."""

    status: bool
    reason: str
    message: str
    type: str = CONDITION


class Host:
    """The Space's API."""

    def __init__(self, kube: Kube, source: Source, now: Callable[[], datetime], pod: str = "") -> None:
        self._kube = kube
        self._source = source
        self._now = now
        self._pod = pod

    async def is_stopping(self) -> bool:
        """Whether nothing will run any more: the control plane was deleted, or shall be paused."""
        own = await self._own()
        paused = ((own.get("spec") or {}).get("crossplane") or {}).get("state") == "Paused"
        return paused or bool((own.get("metadata") or {}).get("deletionTimestamp"))

    async def report(self, said: Said, stored: Manifest | None) -> None:
        """Write the condition, and where the last snapshot lies; what was told of an earlier one stays."""
        status = (await self._own()).get("status") or {}
        # All of ours are applied each time: what is left out is taken back.
        known = [condition_of(status.get("conditions"), each) for each in (CONDITION, RESTORED)]
        written = set_condition(
            [each for each in known if each is not None],
            said.type,
            said.status,
            reason_of(said.reason),
            _shortened(said.message),
            now=self._now(),
            pod=self._pod,
        )
        last: Any = status.get("backup")
        told = last if stored is None else backup_status(stored)
        body = {
            "apiVersion": CONTROLPLANES.api_version,
            "kind": CONTROLPLANES.kind,
            "metadata": {"name": self._source.name, "namespace": self._source.group},
            "status": {"conditions": written, **({"backup": told} if told else {})},
        }
        await self._kube.apply(CONTROLPLANES, body, field_manager=FIELD_MANAGER, subresource="status")

    async def _own(self) -> dict[str, Any]:
        try:
            return await self._kube.get(CONTROLPLANES, self._source.name, self._source.group)
        except NotFound:
            return {}


def backup_status(manifest: Manifest) -> dict[str, Any]:
    """``status.backup`` of a ControlPlane: the last snapshot, by the name that restoring it takes."""
    return {
        "snapshot": f"{manifest.source.id}/{manifest.folder}",
        "takenAt": timestamp(manifest.taken_at),
        "bytes": manifest.size,
    }


def reason_of(code: str) -> str:
    """AWS's own code, in the form that a condition's reason must have."""
    word = code.rpartition(".")[2]
    return word if _WORD.fullmatch(word) else str(Reason.SNAPSHOT_NOT_STORED)


def _shortened(text: str) -> str:
    return text if len(text) <= MESSAGE_LIMIT else f"{text[: MESSAGE_LIMIT // 2]} … {text[-MESSAGE_LIMIT // 2 :]}"
