"""Who serves a control plane's API, by ``controlPlanes.api.mode``. Pure.

``auto``: what the control plane names, else what the host serves, else an API server of its own. ``logical``: the host
serves LogicalCluster; its maker's service account is admin inside. ``attached``: you bring a Secret with ``server``,
``ca.crt`` and the ``token`` of an admin, named by an annotation on the ControlPlane. ``kubernetes``: an API server of
its own in the host namespace.
"""

from __future__ import annotations

import base64

from keyless.api import Reason, Refusal
from keyless.kube import KubeObject, is_true
from keyless.kube.resources import LOGICALCLUSTERS
from keyless.space.control_planes import attached, own
from keyless.space.control_planes.model import (
    Facts,
    Pending,
    Served,
    logical_cluster_key,
    way_of,
)
from keyless.space.control_planes.secrets import text_of
from keyless.space.items import CONTROL_PLANE_LABEL, Item, item
from keyless.space.place import Place


def logical_cluster(place: Place) -> Item:
    """The request for an API: name in; server, CA and Ready out."""
    return item(
        LOGICALCLUSTERS,
        place.host_namespace,
        labels={CONTROL_PLANE_LABEL: place.control_plane_id},
        annotations={"keyless.dev/control-plane": f"{place.group}/{place.name}"},
        spec={},
    )


def ways_in(facts: Facts) -> tuple[Served, ...]:
    """By which credentials its API may be entered, the one to try first in front."""
    if way_of(facts) == "attached":
        ways = attached.ways_in(facts)
        return () if isinstance(ways, Refusal) else ways
    served = api_of(facts)
    return (served,) if isinstance(served, Served) else ()


def api_of(facts: Facts) -> Served | Pending | Refusal | None:
    """The API as it stands; None: nobody has asked for one yet."""
    place = facts.place
    if place is None:
        return None
    match way_of(facts):
        case "attached":
            return _attached(facts)
        case "logical":
            return _logical(facts, place)
        case "kubernetes":
            return own.served(facts, place)
        case None:
            # Only where the values cannot be read: then nothing is begun.
            return facts.values if isinstance(facts.values, Refusal) else Pending("waiting to be looked at")


def api_told(facts: Facts) -> KubeObject | None:
    """What callers are told of an API that was entered: by whom it is served, and where it is trusted by which CA.

    Of one that was brought its owner tells where it is.
    """
    way, place, served = way_of(facts), facts.place, facts.entered
    if way is None or place is None or served is None:
        return None
    if way == "attached":
        return {"mode": way}
    server = own.outside(facts, place) if way == "kubernetes" else ""
    bundle = base64.b64encode(served.ca_pem.encode()).decode()
    return {"mode": way, "server": server or served.server, "caBundle": bundle}


def _logical(facts: Facts, place: Place) -> Served | Pending | Refusal | None:
    key = logical_cluster_key(place)
    live = facts.host.get(key)
    if live is None:
        return None
    owner = (live["metadata"].get("labels") or {}).get(CONTROL_PLANE_LABEL)
    if owner != place.control_plane_id:
        return Refusal(
            Reason.API_TAKEN,
            f"{key} exists and belongs to {owner or 'someone else'}: expected control plane {place.control_plane_id}; "
            "choose another spec.hostNamespace for a new control plane",
        )
    if live["metadata"].get("deletionTimestamp"):
        return Pending(f"{key} is being deleted")
    status = live.get("status") or {}
    ca_pem = _pem(status.get("caBundle", ""))
    if not is_true(live, "Ready") or not status.get("server") or not ca_pem:
        return Pending(f"waiting for {key} to be served")
    return Served(status["server"], ca_pem)


def _attached(facts: Facts) -> Served | Refusal:
    """The way by which it was entered; before that, the one to try first."""
    ways = attached.ways_in(facts)
    return ways if isinstance(ways, Refusal) else facts.entered or ways[0]


def _pem(bundle: str) -> str:
    """Kubernetes writes CA bundles as base64 of PEM; plain PEM is understood too."""
    return bundle if bundle.startswith("-----BEGIN") else text_of(bundle)
