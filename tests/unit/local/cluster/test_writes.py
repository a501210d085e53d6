"""create, update, patch and delete through the whole stack."""

from __future__ import annotations

import pytest

from unit.local.cluster.support import Clock, Kubectl, pod

CMS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"


def configmap(name: str = "c", **more: object) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, **more}


async def test_a_created_object_carries_the_servers_metadata(kubectl: Kubectl) -> None:
    made = await kubectl.ok("POST", CMS, configmap(data={"a": "b"}))
    metadata = made["metadata"]
    assert metadata["creationTimestamp"] == "2026-11-22T12:00:00Z"
    assert metadata["namespace"] == "default"
    assert len(metadata["uid"]) == 36
    assert (await kubectl.ok("GET", f"{CMS}/c")) == made


async def test_a_taken_name_is_already_exists(kubectl: Kubectl) -> None:
    await kubectl.ok("POST", CMS, configmap())
    refusal = await kubectl.refused("POST", CMS, configmap())
    assert refusal["message"] == 'configmaps "c" already exists'
    assert refusal["reason"] == "AlreadyExists"


async def test_generate_name_adds_five_characters(kubectl: Kubectl) -> None:
    made = await kubectl.ok("POST", CMS, {"metadata": {"generateName": "c-"}})
    assert made["metadata"]["name"].startswith("c-")
    assert len(made["metadata"]["name"]) == 7


async def test_nothing_is_created_in_a_namespace_that_is_missing(kubectl: Kubectl) -> None:
    refusal = await kubectl.refused("POST", "/api/v1/namespaces/nope/configmaps", configmap())
    assert refusal["message"] == 'namespaces "nope" not found'


async def test_nothing_is_created_in_a_namespace_that_goes(kubectl: Kubectl) -> None:
    await kubectl.ok("POST", "/api/v1/namespaces", {"metadata": {"name": "n"}})
    await kubectl.ok("DELETE", "/api/v1/namespaces/n")
    refusal = await kubectl.refused("POST", "/api/v1/namespaces/n/configmaps", configmap())
    assert refusal["message"] == (
        'configmaps "c" is forbidden: unable to create new content in namespace n because it is being terminated'
    )


async def test_a_namespace_goes_when_its_finalizers_are_gone(kubectl: Kubectl) -> None:
    await kubectl.ok("POST", "/api/v1/namespaces", {"metadata": {"name": "n"}})
    going = await kubectl.ok("DELETE", "/api/v1/namespaces/n")
    assert going["status"]["phase"] == "Terminating"
    await kubectl.ok("PUT", "/api/v1/namespaces/n/finalize", {**going, "spec": {"finalizers": []}})
    assert (await kubectl.refused("GET", "/api/v1/namespaces/n"))["message"] == 'namespaces "n" not found'


async def test_a_write_on_an_old_version_conflicts_in_kubernetes_words(kubectl: Kubectl) -> None:
    old = await kubectl.ok("POST", CMS, configmap())
    await kubectl.ok("PUT", f"{CMS}/c", {**old, "data": {"a": "1"}})
    refusal = await kubectl.refused("PUT", f"{CMS}/c", {**old, "data": {"a": "2"}})
    assert refusal["message"] == (
        'Operation cannot be fulfilled on configmaps "c": the object has been modified;'
        " please apply your changes to the latest version and try again"
    )


async def test_a_write_that_changes_nothing_is_not_stored(kubectl: Kubectl) -> None:
    made = await kubectl.ok("POST", CMS, configmap(data={"a": "b"}))
    again = await kubectl.ok("PUT", f"{CMS}/c", configmap(data={"a": "b"}))
    assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


async def test_identity_cannot_be_changed(kubectl: Kubectl) -> None:
    made = await kubectl.ok("POST", CMS, configmap())
    patch = {"metadata": {"creationTimestamp": "2001-01-01T00:00:00Z", "labels": {"a": "b"}}}
    changed = await kubectl.ok("PATCH", f"{CMS}/c", patch, content_type="application/merge-patch+json")
    assert changed["metadata"]["creationTimestamp"] == made["metadata"]["creationTimestamp"]
    assert changed["metadata"]["labels"] == {"a": "b"}
    body = configmap()
    body["metadata"] = {"name": "c", "uid": "other"}
    assert "Precondition failed: UID" in (await kubectl.refused("PUT", f"{CMS}/c", body))["message"]


async def test_dry_run_answers_and_stores_nothing(kubectl: Kubectl) -> None:
    made = await kubectl.ok("POST", CMS, configmap(), params={"dryRun": "All"})
    assert made["metadata"]["uid"]
    assert (await kubectl("GET", f"{CMS}/c")).status == 404
    refusal = await kubectl.refused("POST", CMS, configmap(), params={"dryRun": "Some"})
    assert 'Unsupported value: "Some"' in refusal["message"]


async def test_unknown_fields_are_refused_told_or_dropped(kubectl: Kubectl) -> None:
    body = configmap(bogus=1)
    strict = await kubectl.refused("POST", CMS, body, params={"fieldValidation": "Strict"})
    assert strict["message"].endswith('strict decoding error: unknown field "bogus"')
    assert strict["code"] == 400
    made = await kubectl.ok("POST", CMS, body, params={"fieldValidation": "Ignore"})
    assert "bogus" not in made


@pytest.mark.parametrize(
    ("media", "patch"),
    [
        ("application/merge-patch+json", {"data": {"a": None, "b": "2"}}),
        ("application/strategic-merge-patch+json", {"data": {"a": None, "b": "2"}}),
        (
            "application/json-patch+json",
            [{"op": "remove", "path": "/data/a"}, {"op": "add", "path": "/data/b", "value": "2"}],
        ),
    ],
)
async def test_three_kinds_of_patch_change_an_object(kubectl: Kubectl, media: str, patch: object) -> None:
    await kubectl.ok("POST", CMS, configmap(data={"a": "1"}))
    changed = await kubectl.ok("PATCH", f"{CMS}/c", patch, content_type=media)
    assert changed["data"] == {"b": "2"}


@pytest.mark.parametrize("patch", ["text", 3, [], [{"op": "fly", "path": "/"}], None])
@pytest.mark.parametrize("media", ["merge-patch", "json-patch", "strategic-merge-patch", "nonsense"])
async def test_a_malformed_patch_is_refused_and_changes_nothing(kubectl: Kubectl, media: str, patch: object) -> None:
    made = await kubectl.ok("POST", CMS, configmap(data={"a": "1"}))
    answer = await kubectl("PATCH", f"{CMS}/c", patch, content_type=f"application/{media}+json")
    assert answer.status in {200, 400, 415, 422}
    assert (await kubectl.ok("GET", f"{CMS}/c")) == made


async def test_server_side_apply_creates_then_changes_and_names_its_conflicts(kubectl: Kubectl) -> None:
    media = "application/apply-patch+yaml"

    async def apply(manager: str, data: dict[str, str], **more: str) -> dict[str, object]:
        params = {"fieldManager": manager, **more}
        return (await kubectl("PATCH", f"{CMS}/c", configmap(data=data), content_type=media, params=params)).body

    assert (await apply("one", {"a": "1"}))["data"] == {"a": "1"}
    conflict = await apply("two", {"a": "2"})
    assert conflict["message"] == 'Apply failed with 1 conflict: conflict with "one": .data.a'
    assert (await apply("two", {"a": "2"}, force="true"))["data"] == {"a": "2"}


async def test_apply_without_a_manager_is_refused(kubectl: Kubectl) -> None:
    refusal = await kubectl.refused("PATCH", f"{CMS}/c", configmap(), content_type="application/apply-patch+yaml")
    assert "fieldManager: Required value" in refusal["message"]


async def test_status_is_written_only_through_its_subresource(kubectl: Kubectl) -> None:
    await kubectl.account("default")
    await kubectl.ok("POST", PODS, pod())
    merge = "application/merge-patch+json"
    plain = await kubectl.ok("PATCH", f"{PODS}/p", {"status": {"phase": "Running"}}, content_type=merge)
    assert plain["status"]["phase"] == "Pending"
    patch = {"status": {"phase": "Running"}, "spec": {"nodeName": "ignored"}}
    changed = await kubectl.ok("PATCH", f"{PODS}/p/status", patch, content_type=merge)
    assert changed["status"]["phase"] == "Running"
    assert "nodeName" not in changed["spec"]


async def test_generation_counts_changes_of_the_specification_only(kubectl: Kubectl) -> None:
    path = "/apis/apps/v1/namespaces/default/deployments"
    template = {"metadata": {"labels": {"a": "b"}}, "spec": pod()["spec"]}
    spec = {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    made = await kubectl.ok("POST", path, {"metadata": {"name": "d"}, "spec": spec})
    merge = "application/merge-patch+json"
    labelled = await kubectl.ok("PATCH", f"{path}/d", {"metadata": {"labels": {"x": "y"}}}, content_type=merge)
    scaled = await kubectl.ok("PATCH", f"{path}/d/scale", {"spec": {"replicas": 2}}, content_type=merge)
    reported = await kubectl.ok("PATCH", f"{path}/d/status", {"status": {"replicas": 2}}, content_type=merge)
    assert [made["metadata"]["generation"], labelled["metadata"]["generation"]] == [1, 1]
    assert scaled["spec"] == {"replicas": 2}
    assert reported["metadata"]["generation"] == 2
    assert reported["spec"]["replicas"] == 2


async def test_finalizers_hold_an_object_until_the_last_is_removed(kubectl: Kubectl) -> None:
    body = configmap()
    body["metadata"] = {"name": "c", "finalizers": ["example.org/hold"]}
    await kubectl.ok("POST", CMS, body)
    going = await kubectl.ok("DELETE", f"{CMS}/c")
    assert going["metadata"]["deletionTimestamp"] == "2026-11-22T12:00:00Z"
    merge = "application/merge-patch+json"
    await kubectl.ok("PATCH", f"{CMS}/c", {"metadata": {"finalizers": None}}, content_type=merge)
    assert (await kubectl("GET", f"{CMS}/c")).status == 404


@pytest.mark.parametrize(("policy", "finalizer"), [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")])
async def test_the_wish_for_dependents_becomes_a_finalizer(kubectl: Kubectl, policy: str, finalizer: str) -> None:
    await kubectl.ok("POST", CMS, configmap())
    answer = await kubectl("DELETE", f"{CMS}/c", {"propagationPolicy": policy})
    assert answer.status == (202 if policy == "Foreground" else 200)
    assert answer.body["metadata"]["finalizers"] == [finalizer]


async def test_a_deletion_answers_with_a_status_that_names_what_went(kubectl: Kubectl) -> None:
    made = await kubectl.ok("POST", CMS, configmap())
    gone = await kubectl.ok("DELETE", f"{CMS}/c", {"propagationPolicy": "Background"})
    assert gone["status"] == "Success"
    assert gone["details"] == {"name": "c", "kind": "configmaps", "uid": made["metadata"]["uid"]}


async def test_deletion_preconditions_are_kept(kubectl: Kubectl) -> None:
    await kubectl.ok("POST", CMS, configmap())
    refusal = await kubectl.refused("DELETE", f"{CMS}/c", {"preconditions": {"uid": "other"}})
    assert refusal["reason"] == "Conflict"


async def test_a_running_pod_waits_for_its_node(kubectl: Kubectl, clock: Clock) -> None:
    await kubectl.account("default")
    await kubectl.ok("POST", PODS, pod(terminationGracePeriodSeconds=7))
    await kubectl.ok("POST", f"{PODS}/p/binding", {"target": {"kind": "Node", "name": "local-node"}})
    going = await kubectl.ok("DELETE", f"{PODS}/p")
    assert going["metadata"]["deletionTimestamp"] == "2026-11-22T12:00:07Z"
    assert going["metadata"]["deletionGracePeriodSeconds"] == 7
    assert (await kubectl("GET", f"{PODS}/p")).ok
    await kubectl.ok("DELETE", f"{PODS}/p", {"gracePeriodSeconds": 0})
    assert (await kubectl("GET", f"{PODS}/p")).status == 404


async def test_a_pod_without_a_node_goes_at_once(kubectl: Kubectl) -> None:
    await kubectl.account("default")
    await kubectl.ok("POST", PODS, pod())
    await kubectl.ok("DELETE", f"{PODS}/p")
    assert (await kubectl("GET", f"{PODS}/p")).status == 404


async def test_a_pod_is_bound_once(kubectl: Kubectl) -> None:
    await kubectl.account("default")
    await kubectl.ok("POST", PODS, pod())
    binding = {"target": {"kind": "Node", "name": "local-node"}}
    await kubectl.ok("POST", f"{PODS}/p/binding", binding)
    bound = await kubectl.ok("GET", f"{PODS}/p")
    assert bound["spec"]["nodeName"] == "local-node"
    assert bound["status"]["conditions"][0]["type"] == "PodScheduled"
    assert "already assigned" in (await kubectl.refused("POST", f"{PODS}/p/binding", binding))["message"]


async def test_an_eviction_deletes(kubectl: Kubectl) -> None:
    await kubectl.account("default")
    await kubectl.ok("POST", PODS, pod())
    await kubectl.ok("POST", f"{PODS}/p/eviction", {"apiVersion": "policy/v1", "kind": "Eviction"})
    assert (await kubectl("GET", f"{PODS}/p")).status == 404


async def test_a_collection_is_deleted_by_selector(kubectl: Kubectl) -> None:
    for name, label in (("a", "x"), ("b", "y")):
        body = configmap(name)
        body["metadata"] = {"name": name, "labels": {"l": label}}
        await kubectl.ok("POST", CMS, body)
    await kubectl.ok("DELETE", CMS, params={"labelSelector": "l=x"})
    assert [i["metadata"]["name"] for i in (await kubectl.ok("GET", CMS))["items"]] == ["b"]


async def test_a_service_gets_an_address_and_keeps_it(kubectl: Kubectl) -> None:
    path = "/api/v1/namespaces/default/services"
    made = await kubectl.ok("POST", path, {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}})
    address = made["spec"]["clusterIP"]
    assert address.startswith("10.100.")
    body = {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 81}]}}
    assert (await kubectl.ok("PUT", f"{path}/s", body))["spec"]["clusterIP"] == address


@pytest.mark.parametrize(
    "body", [[], "text", 3, {"metadata": []}, {"metadata": {"name": 3}}, {"metadata": {"labels": {"a": 1}}}]
)
async def test_a_body_of_the_wrong_shape_is_refused(kubectl: Kubectl, body: object) -> None:
    assert (await kubectl.refused("POST", CMS, body))["code"] in {400, 422}


async def test_a_body_of_another_kind_is_refused(kubectl: Kubectl) -> None:
    refusal = await kubectl.refused("POST", CMS, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}})
    assert refusal["code"] == 400
    assert "ConfigMap" in refusal["message"]


async def test_an_applied_object_has_the_same_form_as_a_created_one(kubectl: Kubectl) -> None:
    path = "/apis/apps/v1/namespaces/default/deployments"
    template = {"metadata": {"labels": {"a": "b"}}, "spec": pod()["spec"]}
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d"},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template},
    }
    applied = await kubectl.ok(
        "PATCH", f"{path}/d", body, content_type="application/apply-patch+yaml", params={"fieldManager": "one"}
    )
    created = await kubectl.ok("POST", path, {**body, "metadata": {"name": "e"}})
    assert applied["spec"] == created["spec"]
    assert applied["spec"]["template"]["spec"]["containers"][0]["resources"] == {}
