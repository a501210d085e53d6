"""Whose namespace ``keyless-system`` is, and with it all that the operator makes inside an API. Pure.

An API that is brought may be brought twice: by two ControlPlanes, by two Spaces. Both would count the same resources,
and the end of one would take away what the other stands on. So the namespace carries the id of the one that is there,
nothing is made or removed inside without it, and the second is told of the first. Creation decides between two at once.
"""

from __future__ import annotations

from keyless.api import Reason, Refusal
from keyless.kube import KubeObject
from keyless.kube.resources import NAMESPACES
from keyless.space.control_planes.model import MADE_HERE, Create, Facts, Label, Step, way_of
from keyless.space.control_planes.tenant import SYSTEM_NAMESPACE
from keyless.space.items import CONTROL_PLANE_LABEL, FIELD_MANAGER, OURS, Item, Key, is_ours, item
from keyless.space.place import Place

KEY = Key(NAMESPACES, SYSTEM_NAMESPACE)
CONTROL_PLANE = "keyless.dev/control-plane"
"""On the namespace, for whoever reads it: group and name of its control plane."""


def namespace(place: Place) -> Item:
    """The namespace of a control plane's identities, with the mark."""
    return item(
        NAMESPACES,
        SYSTEM_NAMESPACE,
        labels={CONTROL_PLANE_LABEL: place.control_plane_id},
        annotations={MADE_HERE: FIELD_MANAGER, CONTROL_PLANE: f"{place.group}/{place.name}"},
    )


def hold(facts: Facts, place: Place) -> Step | Refusal | None:
    """What makes it this control plane's; None where it is, a refusal where it is another's."""
    live = _live(facts)
    if live is None:
        return Create(namespace(place), "tenant")
    if _holder(live) == place.control_plane_id:
        return None
    # An older release marked nothing; an API that the host serves for this control plane is nobody else's.
    if way_of(facts) != "attached" or (not _holder(live) and is_ours(live)):
        mark = {CONTROL_PLANE_LABEL: place.control_plane_id, **OURS}
        return Label(KEY, mark, live["metadata"]["resourceVersion"], "tenant")
    return Refusal(Reason.ALREADY_ATTACHED, _taken(live, place))


def is_going(facts: Facts) -> bool:
    """Whether the namespace is being deleted: nothing can be made in it."""
    live = _live(facts)
    return live is not None and bool(live["metadata"].get("deletionTimestamp"))


def _live(facts: Facts) -> KubeObject | None:
    return (facts.tenant or {}).get(KEY)


def _holder(live: KubeObject) -> str:
    return str((live["metadata"].get("labels") or {}).get(CONTROL_PLANE_LABEL, ""))


def _taken(live: KubeObject, place: Place) -> str:
    name = (live["metadata"].get("annotations") or {}).get(CONTROL_PLANE, "")
    whose = f"control plane {name} ({_holder(live)})".replace("  ", " ") if _holder(live) else "someone else"
    labels = {CONTROL_PLANE_LABEL: place.control_plane_id, **OURS}
    words = " ".join(f"{key}={value}" for key, value in labels.items())
    return (
        f"{KEY} inside belongs to {whose}: expected an API server that no other control plane has, since both would "
        "count the same resources; delete one of the two ControlPlanes; where the other is no more, there "
        f"`kubectl label --overwrite namespace {SYSTEM_NAMESPACE} {words}` hands it over"
    )
