"""Who serves a control plane's API, by ``controlPlanes.api.mode``. Pure.

``auto``: what the control plane names, else what the host serves. ``logical``: the host serves LogicalCluster; its
maker's service account is admin inside. ``attached``: you bring a Secret with ``server``, ``ca.crt`` and the ``token``
of an admin, named by an annotation on the ControlPlane.
"""

from __future__ import annotations

import base64
import binascii

from keyless.api import Reason, Refusal
from keyless.kube import KubeObject, is_true
from keyless.kube.resources import LOGICALCLUSTERS, SECRETS
from keyless.space.control_planes.model import (
    ATTACHED_ANNOTATION,
    Facts,
    Pending,
    Served,
    logical_cluster_key,
    way_of,
)
from keyless.space.items import CONTROL_PLANE_LABEL, Item, Key, item
from keyless.space.place import Place

CREDENTIAL = ("server", "ca.crt", "token")
"""The keys of the Secret of an API that is brought."""


def logical_cluster(place: Place) -> Item:
    """The request for an API: name in; server, CA and Ready out."""
    return item(
        LOGICALCLUSTERS,
        place.host_namespace,
        labels={CONTROL_PLANE_LABEL: place.control_plane_id},
        annotations={"keyless.dev/control-plane": f"{place.group}/{place.name}"},
        spec={},
    )


def attached_key(control_plane: KubeObject) -> Key | None:
    """The Secret that an attached control plane is reached with; None where none is named."""
    metadata = control_plane["metadata"]
    name = (metadata.get("annotations") or {}).get(ATTACHED_ANNOTATION)
    return Key(SECRETS, name, metadata["namespace"]) if name else None


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
        case None:
            return _not_named(facts)


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


def _attached(facts: Facts) -> Served | Pending | Refusal:
    key = attached_key(facts.control_plane)
    if key is None:
        return Refusal(
            Reason.ATTACHED_SECRET_MISSING,
            f"controlPlanes.api.mode is attached: expected annotation {ATTACHED_ANNOTATION} with the name of a Secret "
            f"in the group that holds {' and '.join(CREDENTIAL)}; found none; {_annotate(facts)}",
        )
    live = facts.host.get(key)
    if live is None:
        return Refusal(Reason.ATTACHED_SECRET_MISSING, f"{key} does not exist; create it with server, ca.crt and token")
    data = {name: _text(value) for name, value in (live.get("data") or {}).items()}
    missing = [name for name in CREDENTIAL if not data.get(name)]
    if missing:
        return Refusal(Reason.ATTACHED_SECRET_MISSING, f"{key} has no {', '.join(missing)}; add them")
    return Served(data["server"].strip(), data["ca.crt"], data["token"].strip())


def _not_named(facts: Facts) -> Refusal:
    return Refusal(
        Reason.API_NOT_NAMED,
        "nobody serves an API for this control plane: the host cluster serves no LogicalCluster, and annotation "
        f"{ATTACHED_ANNOTATION} names no Secret of an API that you bring; {_annotate(facts)}, with a Secret that holds "
        f"{' and '.join(CREDENTIAL)}",
    )


def _annotate(facts: Facts) -> str:
    metadata = facts.control_plane["metadata"]
    return (
        f"`kubectl annotate controlplane {metadata['name']} -n {metadata['namespace']} "
        f"{ATTACHED_ANNOTATION}=SECRET` names one"
    )


def _pem(bundle: str) -> str:
    """Kubernetes writes CA bundles as base64 of PEM; plain PEM is understood too."""
    return bundle if bundle.startswith("-----BEGIN") else _text(bundle)


def _text(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
