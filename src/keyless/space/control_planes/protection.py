"""Annotation ``keyless.dev/deletion-protection``: a control plane that nobody deletes by mistake. Pure.

The chart's admission policy refuses the deletion itself, of the control plane, of its host namespace, which is marked
for it, and of a namespace that bears the annotation. Where a cluster serves no such policies a deletion cannot be
refused; then the finalizer holds it, and all goes on as before until the annotation is taken away.
"""

from __future__ import annotations

from keyless.api import Reason
from keyless.kube.resources import NAMESPACES
from keyless.space.control_planes.model import FINALIZER, Facts, Finding, Label
from keyless.space.items import CONTROL_PLANE_LABEL, Key
from keyless.space.place import Place

PROTECTION = "keyless.dev/deletion-protection"
"""On a ControlPlane; and as a label on its host namespace."""
OFF = ("", "false")
"""Every other word protects: a misspelt one must not lose what it was meant to keep."""


def is_protected(facts: Facts) -> bool:
    """Whether its users want nobody to delete it."""
    return (facts.control_plane["metadata"].get("annotations") or {}).get(PROTECTION, "") not in OFF


def holds(facts: Facts) -> bool:
    """Whether a deletion that nobody refused is held; what is not placed has nothing to lose."""
    metadata = facts.control_plane["metadata"]
    held = FINALIZER in (metadata.get("finalizers") or ())
    return bool(metadata.get("deletionTimestamp")) and held and facts.place is not None and is_protected(facts)


def finding(facts: Facts) -> tuple[Finding, ...]:
    """What is told of a deletion that is held."""
    if not holds(facts):
        return ()
    metadata = facts.control_plane["metadata"]
    command = f"kubectl annotate controlplane {metadata['name']} -n {metadata['namespace']} {PROTECTION}-"
    message = (
        f"deleted while it is protected: nothing of it is removed and all of it goes on; `{command}` takes the "
        "protection away, and it goes; that it was deleted cannot be taken back"
    )
    return (Finding("Synced", False, Reason.DELETION_PROTECTED, message),)


def mark(facts: Facts, place: Place, *, on: bool) -> Label | None:
    """What makes the host namespace say so; None where it does."""
    key = Key(NAMESPACES, place.host_namespace)
    live = facts.host.get(key)
    if live is None or live["metadata"].get("deletionTimestamp"):
        return None
    metadata = live["metadata"]
    labels = metadata.get("labels") or {}
    if labels.get(CONTROL_PLANE_LABEL) != place.control_plane_id or on == (labels.get(PROTECTION, "") not in OFF):
        return None
    return Label(key, {PROTECTION: "true" if on else ""}, metadata["resourceVersion"])
