"""What passes callers from outside on to a control plane of the Space's own, as the values ask for it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from keyless.api import Refusal
from keyless.kube import KubeObject, NotFound, Resource
from keyless.kube.errors import failure_status
from keyless.kube.resources import INGRESSES, TLSROUTES
from keyless.kube.transport import Request
from keyless.space.parsing import parse_values
from keyless.space.values import ApiServer, Values
from unit.space.world import BILLING, World

OWN = Values(mode="kubernetes", billing=BILLING)
NAMED = ApiServer(hostname="{name}.{group}.example.com")
ROUTED = replace(NAMED, gateway=("edge", "public", "tls"))
PASSED = replace(
    NAMED, ingress_class="nginx", ingress_annotations={"nginx.ingress.kubernetes.io/ssl-passthrough": "true"}
)
NAME = "ctp1.default.example.com"


class Host(World):
    """One that serves TLSRoute in some versions alone."""

    def __init__(self, api: ApiServer, *served: str) -> None:
        super().__init__(replace(OWN, api_server=api))
        self._served = served
        counts = self.host.before

        def before(request: Request) -> None:
            counts(request)
            version = request.path.split("/")[3] if "tlsroutes" in request.path else ""
            if version and version not in self._served:
                message = "the server could not find the requested resource"
                raise NotFound(failure_status(404, "NotFound", message))

        self.host.before = before
        self.create()

    def found(self, *kinds: Resource) -> list[KubeObject]:
        return [each for kind in kinds[:1] for each in self._objects(kind)]


@pytest.mark.parametrize("served", [["v1", "v1alpha2"], ["v1alpha2"], ["v1alpha3", "v1alpha2"]])
async def test_a_route_is_written_in_the_newest_version_that_the_host_serves(served: list[str]) -> None:
    world = Host(ROUTED, *served)
    await world.settle()
    (route,) = world.found(*TLSROUTES)
    assert route["apiVersion"] == f"gateway.networking.k8s.io/{served[0]}"
    gateway = {"group": "gateway.networking.k8s.io", "kind": "Gateway"}
    assert route["spec"] == {
        "parentRefs": [{**gateway, "namespace": "edge", "name": "public", "sectionName": "tls"}],
        "hostnames": [NAME],
        "rules": [{"backendRefs": [{"name": "control-plane", "port": 443}]}],
    }
    assert (await world.plane())["status"]["api"]["server"] == f"https://{NAME}"
    await world.tenants.aclose()


async def test_where_the_host_serves_no_route_that_is_said_and_all_else_goes_on() -> None:
    world = Host(ROUTED)
    await world.settle()
    assert world.found(*TLSROUTES) == []
    synced, ready = await world.condition("Synced"), await world.condition("Ready")
    assert synced is not None
    assert ready is not None
    assert (synced["status"], synced["reason"], ready["status"]) == ("False", "GatewayApiMissing", "True")
    await world.tenants.aclose()


async def test_an_ingress_has_the_annotations_by_which_tls_is_passed_on() -> None:
    world = Host(PASSED)
    await world.settle()
    (ingress,) = world.found(INGRESSES)
    assert PASSED.ingress_annotations.items() <= ingress["metadata"]["annotations"].items()
    assert ingress["spec"]["ingressClassName"] == "nginx"
    (rule,) = ingress["spec"]["rules"]
    assert rule["host"] == NAME
    assert rule["http"]["paths"][0]["backend"]["service"] == {"name": "control-plane", "port": {"number": 443}}
    await world.tenants.aclose()


@pytest.mark.parametrize(("api", "kind"), [(ROUTED, TLSROUTES[0]), (PASSED, INGRESSES)], ids=["route", "ingress"])
async def test_what_the_values_ask_for_no_more_goes(api: ApiServer, kind: Resource) -> None:
    world = Host(api, "v1")
    await world.settle()
    assert world.found(kind) != []
    world.values = replace(OWN, api_server=NAMED)
    await world.settle()
    assert world.found(kind) == []
    await world.tenants.aclose()


@pytest.mark.parametrize("asked", [{"gateway": {"name": "public"}}, {"ingress": {"className": "nginx"}}])
def test_a_way_in_that_cannot_tell_control_planes_apart_is_refused(asked: KubeObject) -> None:
    refused = parse_values(json.dumps({"controlPlanes": {"kubernetes": {"service": asked}}}))
    assert isinstance(refused, Refusal)
    assert "service.hostname beside it" in refused.detail


@pytest.mark.parametrize("empty", [None, {}, {"name": None, "namespace": None, "sectionName": None}, {"name": ""}])
def test_nothing_is_asked_for_by_null_and_by_what_is_empty(empty: KubeObject | None) -> None:
    service = {"gateway": empty, "ingress": {"className": None, "annotations": None}}
    values = parse_values(json.dumps({"controlPlanes": {"kubernetes": {"service": service}}}))
    assert isinstance(values, Values)
    assert (values.api_server.gateway, values.api_server.ingress_class) == (None, "")
