"""Custom resources: served at once, pruned, defaulted, checked, and gone with their definition."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from keyless.local.cluster import SYSTEM
from keyless.local.cluster.catalogue import version_order
from keyless.local.cluster.messages import Request
from unit.local.cluster.support import Kubectl, crd

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGETS = "/apis/example.org/v1/namespaces/default/widgets"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def widget(name: str = "w", **spec: object) -> dict[str, object]:
    return {"apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": name}, "spec": spec}


async def test_a_definition_is_established_in_the_answer_to_its_creation(kubectl: Kubectl) -> None:
    made = await kubectl.ok("POST", CRDS, crd())
    assert {c["type"]: c["status"] for c in made["status"]["conditions"]} == {
        "NamesAccepted": "True",
        "Established": "True",
    }
    assert made["status"]["acceptedNames"]["listKind"] == "WidgetList"
    assert made["status"]["storedVersions"] == ["v1"]


async def test_objects_are_defaulted_pruned_and_checked(kubectl: Kubectl) -> None:
    await kubectl.ok("POST", CRDS, crd())
    made = await kubectl.ok("POST", WIDGETS, widget(bogus=1))
    assert made["spec"] == {"size": 3}
    refusal = await kubectl.refused("POST", WIDGETS, widget("bad", size=0))
    assert refusal["code"] == 422
    assert refusal["message"].startswith('Widget.example.org "bad" is invalid: spec.size: Invalid value: 0')
    strict = await kubectl.refused("POST", WIDGETS, widget("x", bogus=1), params={"fieldValidation": "Strict"})
    assert strict["message"] == 'strict decoding error: unknown field "spec.bogus"'


async def test_discovery_changes_its_etag_with_the_definition(kubectl: Kubectl) -> None:
    async def etag(known: str = "") -> tuple[int, str]:
        headers = {"accept": AGGREGATED, "if-none-match": known}
        reply = await kubectl.cluster.answer(Request("keyless", "GET", "/apis", SYSTEM, {}, headers))
        return reply.status, reply.headers["ETag"]

    _, before = await etag()
    assert await etag(before) == (304, before)
    await kubectl.ok("POST", CRDS, crd())
    status, after = await etag(before)
    assert status == 200
    assert after != before
    resources = await kubectl.ok("GET", "/apis/example.org/v1")
    assert [r["name"] for r in resources["resources"]] == ["widgets", "widgets/status"]
    assert resources["resources"][0]["shortNames"] == ["wd"]


async def test_status_is_a_subresource_and_leaves_the_generation(kubectl: Kubectl) -> None:
    await kubectl.ok("POST", CRDS, crd())
    await kubectl.ok("POST", WIDGETS, widget())
    merge = "application/merge-patch+json"
    body = {"status": {"phase": "Fine"}, "spec": {"size": 9}}
    changed = await kubectl.ok("PATCH", f"{WIDGETS}/w/status", body, content_type=merge)
    assert changed["status"] == {"phase": "Fine"}
    assert changed["spec"]["size"] == 3
    assert changed["metadata"]["generation"] == 1
    grown = await kubectl.ok("PATCH", f"{WIDGETS}/w", {"spec": {"size": 4}}, content_type=merge)
    assert grown["metadata"]["generation"] == 2


async def test_scale_follows_the_paths_of_the_definition(kubectl: Kubectl) -> None:
    scale = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
    await kubectl.ok("POST", CRDS, crd(subresources={"status": {}, "scale": scale}))
    await kubectl.ok("POST", WIDGETS, widget(replicas=1))
    merge = "application/merge-patch+json"
    await kubectl.ok("PATCH", f"{WIDGETS}/w/scale", {"spec": {"replicas": 5}}, content_type=merge)
    assert (await kubectl.ok("GET", f"{WIDGETS}/w"))["spec"]["replicas"] == 5


async def test_a_replacement_must_name_the_version_it_replaces(kubectl: Kubectl) -> None:
    await kubectl.ok("POST", CRDS, crd())
    await kubectl.ok("POST", WIDGETS, widget())
    refusal = await kubectl.refused("PUT", f"{WIDGETS}/w", widget(size=5))
    assert "metadata.resourceVersion: Invalid value: 0x0: must be specified for an update" in refusal["message"]


async def test_the_same_object_is_shown_in_each_served_version(kubectl: Kubectl) -> None:
    two = crd()
    first = two["spec"]["versions"][0]
    two["spec"]["versions"].append({**first, "name": "v1alpha1", "storage": False})
    await kubectl.ok("POST", CRDS, two)
    await kubectl.ok("POST", WIDGETS, widget())
    older = await kubectl.ok("GET", "/apis/example.org/v1alpha1/namespaces/default/widgets/w")
    assert older["apiVersion"] == "example.org/v1alpha1"
    group = await kubectl.ok("GET", "/apis/example.org")
    assert [v["version"] for v in group["versions"]] == ["v1", "v1alpha1"]


HOOK = "https://converter.example/convert"
OLDER = WIDGETS.replace("/v1/", "/v1alpha1/")


def two_versions(storage: str) -> dict[str, Any]:
    two = crd()
    first = two["spec"]["versions"][0]
    two["spec"]["versions"] = [{**first, "name": name, "storage": name == storage} for name in ("v1", "v1alpha1")]
    webhook = {"clientConfig": {"url": HOOK}, "conversionReviewVersions": ["v1"]}
    two["spec"]["conversion"] = {"strategy": "Webhook", "webhook": webhook}
    return two


async def upgraded(kubectl: Kubectl) -> None:
    """A widget stored as v1alpha1, then a definition that stores v1."""
    made = await kubectl.ok("POST", CRDS, two_versions("v1alpha1"))
    await kubectl.ok("POST", OLDER, {**widget(), "apiVersion": "example.org/v1alpha1"})
    body = {**two_versions("v1"), "metadata": made["metadata"]}
    await kubectl.ok("PUT", f"{CRDS}/widgets.example.org", body)


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("GET", f"{WIDGETS}/w"),
        ("GET", WIDGETS),
        ("GET", "/apis/example.org/v1/widgets"),
        ("PATCH", f"{WIDGETS}/w"),
        ("PATCH", f"{WIDGETS}/w/status"),
        ("DELETE", f"{WIDGETS}/w"),
        ("DELETE", WIDGETS),
    ],
)
async def test_an_object_in_another_version_cannot_be_had_while_its_webhook_is_down(
    kubectl: Kubectl, verb: str, path: str
) -> None:
    await upgraded(kubectl)
    refusal = await kubectl.refused(
        verb, path, {} if verb == "PATCH" else None, content_type="application/merge-patch+json"
    )
    assert refusal["code"] == 500
    assert refusal["message"] == (
        f'conversion webhook for example.org/v1alpha1, Kind=Widget failed: Post "{HOOK}": connection refused'
    )


async def test_a_webhook_that_is_down_stops_nothing_that_needs_no_conversion(kubectl: Kubectl) -> None:
    await upgraded(kubectl)
    await kubectl.ok("GET", f"{OLDER}/w")
    await kubectl.ok("GET", "/apis/example.org/v1/namespaces/other/widgets")
    await kubectl.ok("POST", WIDGETS, widget("another"))
    assert (await kubectl.refused("GET", OLDER))["code"] == 500, "a list of both versions needs the webhook for one"
    coming = {**widget("third"), "apiVersion": "example.org/v1alpha1"}
    assert (await kubectl.refused("POST", OLDER, coming))["code"] == 500, "what comes in is stored in another version"


async def test_rules_of_the_definition_are_asked(kubectl: Kubectl) -> None:
    body = crd()
    spec = body["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    spec["x-kubernetes-validations"] = [{"rule": "self.size == oldSelf.size", "message": "size is fixed"}]
    await kubectl.ok("POST", CRDS, body)
    await kubectl.ok("POST", WIDGETS, widget(size=1))
    merge = "application/merge-patch+json"
    refusal = await kubectl.refused("PATCH", f"{WIDGETS}/w", {"spec": {"size": 2}}, content_type=merge)
    assert "size is fixed" in refusal["message"]


async def test_a_definition_takes_its_objects_along(kubectl: Kubectl) -> None:
    await kubectl.ok("POST", CRDS, crd())
    await kubectl.ok("POST", WIDGETS, widget())
    await kubectl.ok("DELETE", f"{CRDS}/widgets.example.org")
    assert (await kubectl("GET", f"{CRDS}/widgets.example.org")).status == 404
    assert (await kubectl("GET", WIDGETS)).status == 404
    assert kubectl.cluster.store.list("keyless", "example.org", "widgets") == []


async def test_a_definition_waits_for_objects_that_are_held(kubectl: Kubectl) -> None:
    await kubectl.ok("POST", CRDS, crd())
    held = widget()
    held["metadata"] = {"name": "w", "finalizers": ["example.org/hold"]}
    await kubectl.ok("POST", WIDGETS, held)
    await kubectl.ok("DELETE", f"{CRDS}/widgets.example.org")
    assert "deletionTimestamp" in (await kubectl.ok("GET", f"{CRDS}/widgets.example.org"))["metadata"]
    merge = "application/merge-patch+json"
    await kubectl.ok("PATCH", f"{WIDGETS}/w", {"metadata": {"finalizers": None}}, content_type=merge)
    assert (await kubectl("GET", f"{CRDS}/widgets.example.org")).status == 404


@pytest.mark.parametrize("fault", ["name", "storage", "schema", "rule", "group", "versions"])
async def test_a_faulty_definition_is_refused_by_field(kubectl: Kubectl, fault: str) -> None:
    body = crd()
    if fault == "name":
        body["metadata"]["name"] = "other.example.org"
    elif fault == "storage":
        body["spec"]["versions"][0]["storage"] = False
    elif fault == "rule":
        spec = body["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
        spec["x-kubernetes-validations"] = [{"rule": "self.size >"}]
    elif fault in {"group", "versions"}:
        del body["spec"][fault]
    else:
        del body["spec"]["versions"][0]["schema"]
    refusal = await kubectl.refused("POST", CRDS, body)
    assert refusal["code"] == 422
    assert refusal["details"]["causes"]


async def test_the_openapi_document_tells_clients_to_validate_on_the_server(kubectl: Kubectl) -> None:
    await kubectl.ok("POST", CRDS, crd())
    index = await kubectl.ok("GET", "/openapi/v3")
    assert "hash=" in index["paths"]["apis/example.org/v1"]["serverRelativeURL"]
    document = await kubectl.ok("GET", "/openapi/v3/apis/example.org/v1")
    patch = document["paths"]["/apis/example.org/v1/namespaces/{namespace}/widgets/{name}"]["patch"]
    assert patch["x-kubernetes-group-version-kind"] == {"group": "example.org", "version": "v1", "kind": "Widget"}
    assert {"dryRun", "fieldValidation"} <= {p["name"] for p in patch["parameters"]}


async def test_aggregated_discovery_repeats_the_media_type_that_was_asked(kubectl: Kubectl) -> None:
    reply = await kubectl.cluster.answer(Request("keyless", "GET", "/api", SYSTEM, {}, {"accept": AGGREGATED}))
    assert reply.media_type == AGGREGATED
    body = orjson.loads(reply.body)
    assert body["items"][0]["versions"][0]["version"] == "v1"


def test_versions_are_ordered_as_kubernetes_prefers_them() -> None:
    names = ["v1alpha1", "foo", "v2", "v1beta2", "v1", "v10", "v1beta1"]
    assert sorted(names, key=version_order) == ["v10", "v2", "v1", "v1beta2", "v1beta1", "v1alpha1", "foo"]
