"""What passes callers from outside on to a control plane's API, TLS and all. Pure.

A Gateway or an ingress that ended TLS would take away the client certificates by which callers are known.
"""

from __future__ import annotations

from keyless.kube import KubeObject, Resource
from keyless.kube.resources import INGRESSES
from keyless.space.items import CONTROL_PLANE_LABEL, Item, item
from keyless.space.kubernetes.names import NAME
from keyless.space.place import Place
from keyless.space.values import ApiServer

PORT = 443
"""Of Service ``control-plane``."""


def hostname_of(api: ApiServer, place: Place) -> str:
    """By which name callers from outside call this control plane; empty: by none."""
    found = api.hostname
    for word, own in (("{name}", place.name), ("{group}", place.group), ("{id}", place.control_plane_id)):
        found = found.replace(word, own)
    return found


def ingress(api: ApiServer, place: Place) -> Item | None:
    """For a controller that passes TLS on where annotations say so; None: none is asked for."""
    if not api.ingress_class:
        return None
    backend = {"service": {"name": NAME, "port": {"number": PORT}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    return item(
        INGRESSES,
        NAME,
        place.host_namespace,
        labels=_labels(place),
        annotations=dict(api.ingress_annotations),
        spec={
            "ingressClassName": api.ingress_class,
            "rules": [{"host": hostname_of(api, place), "http": {"paths": [path]}}],
        },
    )


def tls_route(api: ApiServer, place: Place, served: Resource) -> Item | None:
    """For a Gateway whose listener passes TLS through; ``served`` is the version that the host serves."""
    if not api.gateway:
        return None
    namespace, name, section = api.gateway
    parent: KubeObject = {"group": served.group, "kind": "Gateway", "name": name}
    parent |= {"namespace": namespace or place.host_namespace, **({"sectionName": section} if section else {})}
    return item(
        served,
        NAME,
        place.host_namespace,
        labels=_labels(place),
        spec={
            "parentRefs": [parent],
            "hostnames": [hostname_of(api, place)],
            "rules": [{"backendRefs": [{"name": NAME, "port": PORT}]}],
        },
    )


def _labels(place: Place) -> dict[str, str]:
    return {"app.kubernetes.io/name": NAME, CONTROL_PLANE_LABEL: place.control_plane_id}
