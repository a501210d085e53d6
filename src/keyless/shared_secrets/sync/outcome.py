"""What a refresh came to, before it is told. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from keyless.api import Reason
from keyless.kube import KubeObject
from keyless.shared_secrets.sync.deletion import Held, how_to_release
from keyless.shared_secrets.sync.hashes import field_manager
from keyless.shared_secrets.sync.model import Wanted
from keyless.shared_secrets.sync.plan import Said
from keyless.shared_secrets.sync.target import managers_of
from keyless.shared_secrets.sync.truth import Truth


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a refresh came to.

    ``missing``: whether the source is, None where that was not found out; ``waits``: why a new version is held back.
    """

    said: Said
    missing: bool | None = False
    reason: str = Reason.SOURCE_PRESENT
    truth: Truth | None = None
    waits: str = ""


def held_outcome(wanted: Wanted, what: str, waits: Held) -> Outcome:
    """Return the outcome of a deletion that the guard holds back; ``what`` says what stays."""
    text = f"{what}: {waits.message}{how_to_release(wanted.namespace, wanted.name)}"
    return Outcome(Said(False, Reason.DELETION_HELD, text, waits.again_seconds), True, Reason.SOURCE_MISSING)


def contended(wanted: Wanted, target: KubeObject | None) -> Said:
    """Say that another writer changes the target each time it is repaired."""
    others = ", ".join(name for name in managers_of(target) if name != field_manager(wanted.name)) or "unknown"
    text = (
        f"another writer changes secret {wanted.target} each time it is repaired (field managers beside ours: "
        f"{others}); repairs are spaced out until only one of them writes it"
    )
    return Said(False, Reason.TARGET_CONTENDED, text)
