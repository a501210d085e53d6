"""The ingress or the route by which callers from outside reach a control plane of the Space's own. Pure."""

from __future__ import annotations

from dataclasses import replace

from keyless.api import Reason
from keyless.space.control_planes.model import Facts, Finding, Plan, Remove, way_of
from keyless.space.control_planes.writing import write
from keyless.space.items import is_ours
from keyless.space.kubernetes import outside
from keyless.space.kubernetes.names import passing_keys
from keyless.space.place import Place
from keyless.space.values import Values


def bring(facts: Facts, place: Place) -> Plan:
    """Write what the values ask for, and take away what they ask for no more."""
    if way_of(facts) != "kubernetes" or not isinstance(facts.values, Values):
        return Plan()
    api = facts.values.api_server
    asked = [outside.ingress(api, place)]
    if facts.tls_routes is not None:
        asked.append(outside.tls_route(api, place, facts.tls_routes))
    wanted = [each for each in asked if each is not None]
    # One route is there under each version that the host serves.
    kept = {each.key.resource.plural for each in wanted}
    gone = [key for key in passing_keys(place) if key.resource.plural not in kept and key in facts.host]
    written = write(facts, wanted)
    removed = tuple(Remove(key) for key in gone if is_ours(facts.host[key]))
    return replace(written, steps=(*written.steps, *removed), findings=(*written.findings, *_missing(facts)))


def _missing(facts: Facts) -> tuple[Finding, ...]:
    assert isinstance(facts.values, Values)
    if not facts.values.api_server.gateway or facts.tls_routes is not None:
        return ()
    message = (
        "controlPlanes.kubernetes.service.gateway: the host serves no TLSRoute (gateway.networking.k8s.io), so nothing "
        "leads to the API from outside: install the definitions of the Gateway API in which it is, or empty "
        "gateway.name; `kubectl api-resources --api-group=gateway.networking.k8s.io` shows what is served"
    )
    return (Finding("Synced", False, Reason.GATEWAY_API_MISSING, message),)
