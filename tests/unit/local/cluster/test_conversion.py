"""Custom resources in several versions, and a webhook that makes one of the other: what it answers is what is seen."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.local.cluster import SYSTEM
from keyless.local.cluster.converted import Unusable, answered, taken
from keyless.local.cluster.messages import Request
from unit.local.cluster.support import Kubectl, ScriptedWebhooks, crd

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
NEWER = "/apis/example.org/v1/namespaces/default/widgets"
OLDER = "/apis/example.org/v1alpha1/namespaces/default/widgets"
HOOK = "https://converter.example/convert"
MERGE = "application/merge-patch+json"


def definition(storage: str = "v1", **names: Any) -> dict[str, Any]:
    """v1alpha1 has ``size`` in metres, v1 has ``length`` with its unit."""
    made: dict[str, Any] = crd()
    first = made["spec"]["versions"][0]
    scale = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
    made["spec"]["versions"] = [
        {
            **first,
            "name": version,
            "storage": version == storage,
            "schema": {"openAPIV3Schema": _schema(fields)},
            "subresources": {"status": {}, "scale": scale},
        }
        for version, fields in (
            ("v1", {"length": {"type": "string"}, "colour": {"type": "string", "default": "red"}}),
            ("v1alpha1", {"size": {"type": "integer"}}),
        )
    ]
    webhook = {"clientConfig": {"url": HOOK}, "conversionReviewVersions": ["v1"], **names}
    made["spec"]["conversion"] = {"strategy": "Webhook", "webhook": webhook}
    return made


def _schema(fields: dict[str, Any]) -> dict[str, Any]:
    spec = {"type": "object", "properties": {**fields, "replicas": {"type": "integer"}}}
    status = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {"type": "object", "properties": {"spec": spec, "status": status}}


def converting(request: dict[str, Any]) -> dict[str, Any]:
    objects = [_converted(obj, request["desiredAPIVersion"]) for obj in request["objects"]]
    return {"convertedObjects": objects, "result": {"status": "Success"}}


def _converted(obj: dict[str, Any], desired: str) -> dict[str, Any]:
    spec = dict(obj.get("spec", {}))
    if desired.endswith("/v1") and "size" in spec:
        spec["length"] = f"{spec.pop('size')}m"
    elif desired.endswith("/v1alpha1") and "length" in spec:
        spec["size"] = int(spec.pop("length").removesuffix("m"))
        spec["nobody's"] = 1
    notes = {**obj["metadata"].get("annotations", {}), "converted": desired.rpartition("/")[2]}
    metadata = {**obj["metadata"], "annotations": notes, "resourceVersion": "1", "ownerReferences": [{}]}
    return {**obj, "apiVersion": desired, "spec": spec, "metadata": metadata}


@pytest.fixture
async def both(kubectl: Kubectl, webhooks: ScriptedWebhooks) -> Kubectl:
    """A widget that came as v1alpha1 and is stored as v1."""
    webhooks.scripts[HOOK] = converting
    await kubectl.ok("POST", CRDS, definition())
    await kubectl.ok("POST", OLDER, older())
    return kubectl


def older(name: str = "w", **spec: Any) -> dict[str, Any]:
    made = {"size": 3, **spec}
    return {"apiVersion": "example.org/v1alpha1", "kind": "Widget", "metadata": {"name": name}, "spec": made}


async def test_what_came_in_an_older_version_is_stored_in_the_newer(both: Kubectl) -> None:
    [entry] = both.cluster.store.list("keyless", "example.org", "widgets")
    assert entry.object["apiVersion"] == "example.org/v1"
    assert entry.object["spec"] == {"length": "3m", "colour": "red"}
    assert entry.object["metadata"]["annotations"] == {"converted": "v1"}


async def test_each_version_is_shown_as_the_webhook_makes_it(both: Kubectl) -> None:
    for path, spec in ((NEWER, {"length": "3m", "colour": "red"}), (OLDER, {"size": 3})):
        one = await both.ok("GET", f"{path}/w")
        many = await both.ok("GET", path)
        assert one["spec"] == spec, "cut and filled by the schema of its version"
        assert many["items"] == [one]
        assert {"resourceVersion", "uid", "creationTimestamp", "generation"} <= one["metadata"].keys()
        assert one["metadata"]["resourceVersion"] != "1", "of the metadata labels and annotations alone are taken"
        assert "ownerReferences" not in one["metadata"]


async def test_the_answer_to_a_write_is_in_the_version_of_the_write(both: Kubectl) -> None:
    made = await both.ok("POST", OLDER, older("other", size=7))
    assert (made["apiVersion"], made["spec"]) == ("example.org/v1alpha1", {"size": 7})
    changed = await both.ok("PATCH", f"{OLDER}/other", {"spec": {"size": 8}}, content_type=MERGE)
    assert changed["spec"] == {"size": 8}
    assert changed["metadata"]["generation"] == 2
    assert (await both.ok("GET", f"{NEWER}/other"))["spec"]["length"] == "8m"
    replaced = await both.ok("PUT", f"{OLDER}/other", {**changed, "spec": {"size": 9}})
    assert replaced["spec"] == {"size": 9}
    assert (await both.ok("GET", f"{NEWER}/other"))["spec"]["length"] == "9m"


async def test_a_patch_of_nothing_changes_nothing_in_either_version(both: Kubectl) -> None:
    before = both.cluster.store.resource_version
    for path in (NEWER, OLDER):
        await both.ok("PATCH", f"{path}/w", {"spec": {}}, content_type=MERGE)
    assert both.cluster.store.resource_version == before


async def test_an_apply_in_the_older_version_meets_the_object_in_that_version(both: Kubectl) -> None:
    params = {"fieldManager": "me", "force": "true"}
    apply = "application/apply-patch+yaml"
    for name, size in (("w", 5), ("fresh", 6)):
        applied = await both.ok("PATCH", f"{OLDER}/{name}", older(name, size=size), params=params, content_type=apply)
        assert applied["spec"] == {"size": size}
        assert (await both.ok("GET", f"{NEWER}/{name}"))["spec"]["length"] == f"{size}m"


async def test_status_and_scale_work_in_either_version(both: Kubectl) -> None:
    done = await both.ok("PATCH", f"{OLDER}/w/status", {"status": {"phase": "Fine"}}, content_type=MERGE)
    assert (done["spec"], done["status"]) == ({"size": 3}, {"phase": "Fine"})
    scaled = await both.ok("PATCH", f"{OLDER}/w/scale", {"spec": {"replicas": 4}}, content_type=MERGE)
    assert scaled["spec"] == {"replicas": 4}
    assert (await both.ok("GET", f"{OLDER}/w/scale"))["spec"] == {"replicas": 4}
    newer = await both.ok("GET", f"{NEWER}/w")
    assert (newer["spec"], newer["status"]) == ({"length": "3m", "colour": "red", "replicas": 4}, {"phase": "Fine"})


async def test_what_waits_for_its_finalizer_is_answered_in_the_version_of_the_deletion(both: Kubectl) -> None:
    await both.ok("PATCH", f"{NEWER}/w", {"metadata": {"finalizers": ["a.example/hold"]}}, content_type=MERGE)
    going = await both.ok("DELETE", f"{OLDER}/w")
    assert (going["apiVersion"], going["spec"]) == ("example.org/v1alpha1", {"size": 3})
    await both.ok("PATCH", f"{OLDER}/w", {"metadata": {"finalizers": None}}, content_type=MERGE)
    assert (await both("GET", f"{NEWER}/w")).status == 404


async def test_labels_that_the_webhook_gives_are_what_selectors_see(both: Kubectl, webhooks: ScriptedWebhooks) -> None:
    def labelling(request: dict[str, Any]) -> dict[str, Any]:
        made = converting(request)
        for obj in made["convertedObjects"]:
            obj["metadata"]["labels"] = {"made-of": request["desiredAPIVersion"].rpartition("/")[2]}
        return made

    webhooks.scripts[HOOK] = labelling
    for path, found in ((OLDER, 1), (NEWER, 0)):
        listed = await both.ok("GET", path, params={"labelSelector": "made-of=v1alpha1"})
        assert len(listed["items"]) == found


async def lines(kubectl: Kubectl, path: str, count: int, **params: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    request = Request("keyless", "GET", path, SYSTEM, {"watch": "true", **params}, {})
    reply = await kubectl.cluster.answer(request)
    assert reply.stream is not None
    async with asyncio.timeout(10):
        async for chunk in reply.stream:
            found += [orjson.loads(line) for line in chunk.splitlines()]
            if len(found) >= count:
                break
    return found[:count]


async def test_a_watch_shows_its_own_version_before_and_after(both: Kubectl) -> None:
    version = str(both.cluster.store.resource_version)
    await both.ok("PATCH", f"{NEWER}/w", {"spec": {"length": "4m"}}, content_type=MERGE)
    await both.ok("DELETE", f"{NEWER}/w")
    seen = await lines(both, OLDER, 2, resourceVersion=version)
    assert [(one["type"], one["object"]["apiVersion"], one["object"]["spec"]) for one in seen] == [
        ("MODIFIED", "example.org/v1alpha1", {"size": 4}),
        ("DELETED", "example.org/v1alpha1", {"size": 4}),
    ]


async def test_a_watch_whose_webhook_fails_ends_with_the_error(both: Kubectl, webhooks: ScriptedWebhooks) -> None:
    version = str(both.cluster.store.resource_version)
    await both.ok("PATCH", f"{NEWER}/w", {"spec": {"length": "4m"}}, content_type=MERGE)
    del webhooks.scripts[HOOK]
    [told] = await lines(both, OLDER, 1, resourceVersion=version)
    assert (told["type"], told["object"]["code"]) == ("ERROR", 500)
    assert "connection refused" in told["object"]["message"]


async def test_nothing_is_stored_of_what_cannot_be_converted(both: Kubectl, webhooks: ScriptedWebhooks) -> None:
    before = both.cluster.store.resource_version
    del webhooks.scripts[HOOK]
    assert (await both.refused("POST", OLDER, older("lost")))["code"] == 500
    assert (await both.refused("PUT", f"{OLDER}/w", older()))["code"] in {422, 500}
    assert (await both.refused("DELETE", f"{OLDER}/w"))["code"] == 500
    assert both.cluster.store.resource_version == before


async def test_many_objects_are_asked_in_questions_of_a_hundred(both: Kubectl, webhooks: ScriptedWebhooks) -> None:
    webhooks.asked.clear()
    for number in range(120):
        body = {**older(f"w{number}"), "apiVersion": "example.org/v1", "spec": {"length": f"{number}m"}}
        await both.ok("POST", NEWER, body)
    assert webhooks.asked == []
    listed = await both.ok("GET", OLDER)
    assert sorted(item["spec"]["size"] for item in listed["items"]) == sorted([3, *range(120)])
    assert [len(asked["objects"]) for _, asked in webhooks.asked] == [100, 21]


def changing(**changes: Any) -> Any:
    def answer(request: dict[str, Any]) -> dict[str, Any]:
        made = converting(request)
        made["convertedObjects"] = [{**obj, **changes} for obj in made["convertedObjects"]]
        return made

    return answer


def renaming(**changes: Any) -> Any:
    def answer(request: dict[str, Any]) -> dict[str, Any]:
        made = converting(request)
        for obj in made["convertedObjects"]:
            obj["metadata"].update(changes)
        return made

    return answer


ABOUT = "conversion webhook for example.org/v1, Kind=Widget "
INVALID = ABOUT + "returned invalid "


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda _: {"result": {"status": "Failed", "message": "no such field"}}, ABOUT + "failed: no such field"),
        (lambda _: {"result": {"status": "Failed"}}, "failed: response.result.status was 'Failed', not 'Success'"),
        (lambda _: {"result": "yes"}, "failed: response.result.status was '', not 'Success'"),
        (lambda _: {"result": {"status": "Success"}}, ABOUT + "returned 0 objects, expected 1"),
        (lambda asked: {**converting(asked), "uid": "other"}, 'failed: expected response.uid="'),
        (
            lambda asked: {**converting(asked), "convertedObjects": converting(asked)["convertedObjects"] * 2},
            ABOUT + "returned 2 objects, expected 1",
        ),
        (changing(kind="Gadget"), INVALID + "object at index 0: invalid kind (expected Widget, received Gadget)"),
        (
            changing(apiVersion="example.org/v2"),
            INVALID
            + "object at index 0: invalid groupVersion (expected example.org/v1alpha1, received example.org/v2)",
        ),
        (changing(metadata=None), INVALID + "metadata: missing metadata in converted object"),
        (changing(metadata="x"), INVALID + "metadata: invalid metadata of type string in converted object"),
        (renaming(name="x"), INVALID + "object: must have the same name: w != x"),
        (renaming(namespace="x"), INVALID + "object: must have the same namespace: default != x"),
        (renaming(uid="x"), INVALID + "object: must have the same UID: "),
        (renaming(labels="x"), INVALID + "metadata: invalid metadata.labels of type string in converted object"),
        (
            renaming(annotations={"a": 1}),
            INVALID + "metadata: metadata.annotations[a] must be a string, but is int64 in converted object",
        ),
        (renaming(labels={"-a": "b"}), INVALID + "metadata: metadata.labels: Invalid value"),
    ],
)
async def test_an_answer_that_cannot_be_taken_fails_the_request_and_says_why(
    both: Kubectl, webhooks: ScriptedWebhooks, answer: Any, told: str
) -> None:
    webhooks.scripts[HOOK] = answer
    refusal = await both.refused("GET", f"{OLDER}/w")
    assert refusal["code"] == 500
    assert told in refusal["message"]
    await both.ok("GET", f"{NEWER}/w")


async def test_without_a_webhook_another_version_has_the_fields_that_its_schema_knows(kubectl: Kubectl) -> None:
    body = definition()
    body["spec"]["conversion"] = {"strategy": "None"}
    await kubectl.ok("POST", CRDS, body)
    await kubectl.ok("POST", OLDER, older(replicas=2))
    assert (await kubectl.ok("GET", f"{NEWER}/w"))["spec"] == {"replicas": 2, "colour": "red"}


async def test_a_webhook_is_asked_in_the_review_version_that_it_knows(
    kubectl: Kubectl, webhooks: ScriptedWebhooks
) -> None:
    webhooks.scripts[HOOK] = converting
    await kubectl.ok("POST", CRDS, definition(conversionReviewVersions=["v9", "v1beta1", "v1"]))
    await kubectl.ok("POST", OLDER, older())
    assert (await kubectl.ok("GET", f"{NEWER}/w"))["spec"]["length"] == "3m"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
RESPONSES = st.fixed_dictionaries(
    {},
    optional={
        "uid": st.just("u") | JSON,
        "result": st.just({"status": "Success"}) | JSON,
        "convertedObjects": st.lists(JSON, max_size=3) | JSON,
    },
)
KIND = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview"}


@effort(80)
@given(
    JSON | st.builds(lambda response: {**KIND, "response": response}, RESPONSES | JSON),
    st.sampled_from(["v1", "v1beta1"]),
)
def test_whatever_a_webhook_answers_is_read_or_refused(review: Any, version: str) -> None:
    with suppress(Unusable):
        assert isinstance(answered(orjson.dumps(review), version, "u"), list)


METADATA = st.fixed_dictionaries(
    {"name": st.just("w"), "uid": st.just("u")},
    optional={
        "namespace": st.just("") | JSON,
        "labels": st.just({"a": "b"}) | JSON,
        "annotations": st.just({"a": "b"}) | JSON,
        "finalizers": JSON,
        "ownerReferences": JSON,
        "resourceVersion": JSON,
        "generation": JSON,
    },
)


@effort(80)
@given(st.fixed_dictionaries({"apiVersion": st.just("e/v2"), "kind": st.just("K"), "metadata": METADATA | JSON}) | JSON)
def test_of_the_metadata_a_webhook_changes_labels_and_annotations_alone(new: Any) -> None:
    metadata = {"name": "w", "uid": "u", "resourceVersion": "7", "finalizers": ["a/b"], "labels": {"x": "y"}}
    try:
        made = taken({"apiVersion": "e/v1", "kind": "K", "metadata": metadata}, new, "e/v2")
    except Unusable:
        return
    kept = {key: value for key, value in made["metadata"].items() if key not in {"labels", "annotations"}}
    assert kept == {key: value for key, value in metadata.items() if key != "labels"}
    for name in ("labels", "annotations"):
        assert made["metadata"].get(name) == new["metadata"].get(name)
