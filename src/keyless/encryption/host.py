"""The condition that the ControlPlane is told: whether KMS encrypts for it, as whom."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from keyless.api import Reason
from keyless.api.sealed_by import KmsKey
from keyless.encryption.plan import Found
from keyless.kube import Kube, NotFound, condition_of, set_condition
from keyless.kube.resources import CONTROLPLANES

CONDITION = "EncryptionKeyUsable"
FIELD_MANAGER = "kms-plugin"
_WORD = re.compile(r"[A-Za-z]([A-Za-z0-9_]*[A-Za-z0-9])?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Said:
    """What is said of all keys together."""

    status: bool
    reason: str
    message: str


def said_of(found: Sequence[tuple[KmsKey, Found]], who: str) -> Said:
    """Of several keys the one that fails is told; ``who``: as whom KMS was asked, where STS told."""
    bad = [(key, each) for key, each in found if not each.is_well]
    if bad:
        key, each = bad[0]
        more = f"; {len(bad) - 1} more of {len(found)} keys fail" if len(bad) > 1 else ""
        reason = each.code if _WORD.fullmatch(each.code) else str(Reason.KEY_NOT_USABLE)
        goes_on = "kube-apiserver goes on with the data keys that it holds, and could read no Secret after a restart"
        return Said(False, reason, f"{key.key_id}: {each.trouble}{more}{who}; {goes_on}")
    named = ", ".join(dict.fromkeys(each.arn for _, each in found))
    return Said(True, str(Reason.IDENTITY_PROVEN), f"KMS encrypts and decrypts with {named}{who}")


class Host:
    """The Space's API."""

    def __init__(self, kube: Kube, group: str, name: str, now: Callable[[], datetime], pod: str) -> None:
        self._kube, self._group, self._name = kube, group, name
        self._now, self._pod = now, pod

    async def report(self, said: Said) -> None:
        """Write the condition. Raises what the API says."""
        try:
            own = await self._kube.get(CONTROLPLANES, self._name, self._group)
        except NotFound:
            return
        known = condition_of((own.get("status") or {}).get("conditions"), CONDITION)
        written = set_condition(
            [known] if known is not None else [],
            CONDITION,
            said.status,
            said.reason,
            said.message,
            now=self._now(),
            pod=self._pod,
        )
        body: dict[str, Any] = {
            "apiVersion": CONTROLPLANES.api_version,
            "kind": CONTROLPLANES.kind,
            "metadata": {"name": self._name, "namespace": self._group},
            "status": {"conditions": written},
        }
        await self._kube.apply(CONTROLPLANES, body, field_manager=FIELD_MANAGER, subresource="status")
