"""Which change asks for which work of a staged rotation."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from keyless.kube import Event, Kube, is_true, name_of
from keyless.shared_secrets.staging.controller import StagingController
from keyless.shared_secrets.staging.gate import CONDITION
from keyless.shared_secrets.watching import Enqueue, Watching


def staging(me: str, host: Kube, tenant: Kube, see: Watching, now: Callable[[], datetime]) -> StagingController:
    """Return the loop for the rows of this control plane."""
    return StagingController(
        me,
        host,
        tenant,
        shared=lambda key: see.shared_external_secrets.get(key.name, key.namespace),
        owned=see.made_of,
        now=now,
    )


def watch(see: Watching, say: Enqueue, sync: Enqueue) -> None:
    """Say the row anew when a sync told something; look at what is held back when another control plane did."""

    def synced(event: Event) -> None:
        shared = see.shared_of(event.object)
        if shared is not None:
            say(name_of(shared))

    def told(event: Event) -> None:
        # A status may be all that changed: the rows are in it.
        say(name_of(event.object))
        for one in see.made_of(event.object["metadata"]["name"]):
            if is_true(one, CONDITION):
                sync(name_of(one))

    see.external_secrets.on_change(synced)
    see.shared_external_secrets.on_change(told)
