"""The memory server keeps the rules that controllers rely on."""

from __future__ import annotations

import pytest

from keyless.kube import AlreadyExists, Conflict, Expired, Forbidden, Invalid, NotFound
from keyless.kube.memory import MemoryKube
from keyless.kube.resources import CONFIGMAPS, CONTROLPLANES, DEPLOYMENTS, NAMESPACES, PODS, SERVICEACCOUNTS


def configmap(name="one", **metadata):
    return {"metadata": {"name": name, **metadata}, "data": {"k": "v"}}


async def test_a_created_object_has_identity_and_can_be_read_back():
    kube = MemoryKube()
    made = await kube.create(CONFIGMAPS, configmap(), "default")
    assert made["metadata"]["uid"]
    assert made["metadata"]["namespace"] == "default"
    assert made["kind"] == "ConfigMap"
    assert await kube.get(CONFIGMAPS, "one", "default") == made


async def test_a_taken_name_a_missing_object_and_a_missing_namespace_are_told_apart():
    kube = MemoryKube()
    await kube.create(CONFIGMAPS, configmap(), "default")
    with pytest.raises(AlreadyExists, match='configmaps "one" already exists'):
        await kube.create(CONFIGMAPS, configmap(), "default")
    with pytest.raises(NotFound, match=r'deployments\.apps "web" not found'):
        await kube.get(DEPLOYMENTS, "web", "default")
    with pytest.raises(NotFound, match='namespaces "gone" not found'):
        await kube.create(CONFIGMAPS, configmap(), "gone")


async def test_a_write_with_an_old_version_conflicts_and_one_that_changes_nothing_makes_no_version():
    kube = MemoryKube()
    first = await kube.create(CONFIGMAPS, configmap(), "default")
    assert await kube.replace(CONFIGMAPS, first) == first
    await kube.replace(CONFIGMAPS, {**first, "data": {"k": "2"}})
    with pytest.raises(Conflict, match="the object has been modified"):
        await kube.replace(CONFIGMAPS, {**first, "data": {"k": "3"}})


async def test_generation_follows_the_spec_and_status_is_written_apart():
    kube = MemoryKube()
    await kube.create(DEPLOYMENTS, {"metadata": {"name": "web"}, "spec": {"replicas": 1}}, "default")
    changed = await kube.patch(DEPLOYMENTS, "web", {"spec": {"replicas": 2}, "status": {"replicas": 9}}, "default")
    assert changed["metadata"]["generation"] == 2
    status = await kube.patch(DEPLOYMENTS, "web", {"status": {"replicas": 2}}, "default", subresource="status")
    assert status["metadata"]["generation"] == 2
    kept = await kube.patch(DEPLOYMENTS, "web", {"metadata": {"labels": {"a": "b"}}}, "default")
    assert kept["status"] == {"replicas": 2}


async def test_a_finalizer_delays_the_deletion_until_it_is_removed():
    kube = MemoryKube()
    await kube.create(CONFIGMAPS, configmap(finalizers=["keyless.dev/wait"]), "default")
    await kube.delete(CONFIGMAPS, "one", "default")
    waiting = await kube.get(CONFIGMAPS, "one", "default")
    assert waiting["metadata"]["deletionTimestamp"]
    await kube.patch(CONFIGMAPS, "one", {"metadata": {"finalizers": None}}, "default")
    with pytest.raises(NotFound):
        await kube.get(CONFIGMAPS, "one", "default")


async def test_a_uid_guards_a_successor_from_deletion():
    kube = MemoryKube()
    await kube.create(CONFIGMAPS, configmap(), "default")
    with pytest.raises(Conflict):
        await kube.delete(CONFIGMAPS, "one", "default", uid="another")


async def test_dependents_go_with_their_owner_unless_orphaned():
    kube = MemoryKube()
    for cascade in ("Background", "Orphan"):
        owner = await kube.create(CONFIGMAPS, configmap("owner"), "default")
        reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
        await kube.create(CONFIGMAPS, configmap("child", ownerReferences=[reference]), "default")
        await kube.delete(CONFIGMAPS, "owner", "default", propagation=cascade)
        left = await kube.list(CONFIGMAPS, "default")
        assert [item["metadata"]["name"] for item in left.items] == (["child"] if cascade == "Orphan" else [])


async def test_a_namespace_ends_after_its_content():
    kube = MemoryKube()
    await kube.create(NAMESPACES, {"metadata": {"name": "team"}})
    await kube.create(CONFIGMAPS, configmap(finalizers=["keyless.dev/wait"]), "team")
    await kube.delete(NAMESPACES, "team")
    assert (await kube.get(NAMESPACES, "team"))["status"]["phase"] == "Terminating"
    with pytest.raises(Forbidden, match="being terminated"):
        await kube.create(CONFIGMAPS, configmap("two"), "team")
    await kube.patch(CONFIGMAPS, "one", {"metadata": {"finalizers": None}}, "team")
    with pytest.raises(NotFound):
        await kube.get(NAMESPACES, "team")


async def test_lists_are_narrowed_by_labels_and_fields():
    kube = MemoryKube()
    for name, app in (("a", "web"), ("b", "db")):
        await kube.create(PODS, {"metadata": {"name": name, "labels": {"app": app}}, "spec": {}}, "default")
    for selection in ({"labels": {"app": "web"}}, {"labels": "app notin (db)"}, {"fields": "metadata.name=a"}):
        page = await kube.list(PODS, **selection)
        assert [item["metadata"]["name"] for item in page.items] == ["a"]


async def test_a_list_of_metadata_holds_nothing_else():
    kube = MemoryKube()
    await kube.create(CONFIGMAPS, configmap(), "default")
    [item] = (await kube.list(CONFIGMAPS, "default", metadata_only=True)).items
    assert set(item) == {"apiVersion", "kind", "metadata"}
    assert item["kind"] == "ConfigMap"


async def test_apply_creates_owns_and_lets_go_of_fields():
    kube = MemoryKube()
    await kube.apply(
        CONFIGMAPS, {"metadata": {"name": "one"}, "data": {"a": "1", "b": "1"}}, "default", field_manager="x"
    )
    await kube.apply(CONFIGMAPS, {"metadata": {"name": "one"}, "data": {"c": "1"}}, "default", field_manager="y")
    result = await kube.apply(
        CONFIGMAPS, {"metadata": {"name": "one"}, "data": {"b": "1"}}, "default", field_manager="x"
    )
    assert result["data"] == {"b": "1", "c": "1"}


async def test_apply_without_force_conflicts_with_another_owner():
    kube = MemoryKube()
    await kube.apply(CONFIGMAPS, configmap(), "default", field_manager="x")
    theirs = {"metadata": {"name": "one"}, "data": {"k": "other"}}
    with pytest.raises(Conflict, match=r'conflict with "x": \.data\.k'):
        await kube.apply(CONFIGMAPS, theirs, "default", field_manager="y", force=False)
    assert (await kube.apply(CONFIGMAPS, theirs, "default", field_manager="y"))["data"] == {"k": "other"}


async def test_two_components_apply_their_own_conditions_side_by_side():
    kube = MemoryKube()
    kube.put(CONTROLPLANES, {"metadata": {"name": "ctp1", "namespace": "default"}})
    for manager in ("vector", "external-secrets"):
        mine = {"metadata": {"name": "ctp1"}, "status": {"conditions": [{"type": manager, "status": "True"}]}}
        await kube.apply(CONTROLPLANES, mine, "default", field_manager=manager, subresource="status")
    status = (await kube.get(CONTROLPLANES, "ctp1", "default"))["status"]
    assert [condition["type"] for condition in status["conditions"]] == ["vector", "external-secrets"]


async def test_json_patches_change_lists_and_refuse_what_is_not_there():
    kube = MemoryKube()
    await kube.create(CONFIGMAPS, {"metadata": {"name": "one"}, "data": {"a/b": "1"}, "list": [1, 3]}, "default")
    operations = [
        {"op": "test", "path": "/data/a~1b", "value": "1"},
        {"op": "add", "path": "/list/1", "value": 2},
        {"op": "add", "path": "/list/-", "value": 4},
        {"op": "remove", "path": "/data/a~1b"},
    ]
    patched = await kube.patch(CONFIGMAPS, "one", operations, "default", kind="json")
    assert (patched["list"], patched["data"]) == ([1, 2, 3, 4], {})
    with pytest.raises(Invalid):
        await kube.patch(CONFIGMAPS, "one", [{"op": "remove", "path": "/no/where"}], "default", kind="json")


async def test_a_dry_run_is_admitted_and_not_stored():
    kube = MemoryKube()
    kube.admit = lambda operation, plural, obj: {**obj, "injected": (operation, plural)}
    pod = await kube.create(PODS, {"metadata": {"generateName": "probe-"}, "spec": {}}, "default", dry_run=True)
    assert pod["injected"] == ["CREATE", "pods"]
    assert (await kube.list(PODS, "default")).items == []


async def test_a_token_names_its_account_and_stays_out_of_representations():
    kube = MemoryKube()
    await kube.create(SERVICEACCOUNTS, {"metadata": {"name": "vector"}}, "default")
    token = await kube.token("vector", "default", audiences=["sts.amazonaws.com"], expiration_seconds=600)
    assert "default/vector" in token.token
    assert token.token not in repr(token)
    with pytest.raises(NotFound):
        await kube.token("nobody", "default", audiences=[], expiration_seconds=600)


async def test_reviews_are_answered_and_texts_are_served():
    kube = MemoryKube()
    kube.answers["tokenreviews"] = lambda review: {"status": {"authenticated": review["spec"]["token"] == "good"}}
    body = {"spec": {"token": "good"}}
    answer = await kube.request("POST", "/apis/authentication.k8s.io/v1/tokenreviews", body=body)
    assert answer["status"] == {"authenticated": True}
    kube.texts["/api/v1/namespaces/default/pods/web/log"] = "hello\n"
    assert await kube.request("GET", "/api/v1/namespaces/default/pods/web/log") == "hello\n"


async def test_a_watch_continues_after_a_version_and_sees_objects_enter_and_leave_its_selection():
    kube = MemoryKube()
    version = (await kube.list(CONFIGMAPS, "default")).resource_version
    await kube.create(CONFIGMAPS, configmap(labels={"on": "no"}), "default")
    for value in ("yes", "still", "no"):
        await kube.patch(CONFIGMAPS, "one", {"metadata": {"labels": {"on": value}}}, "default")
    kube.bookmark()
    seen = []
    async for event in kube.watch(CONFIGMAPS, "default", resource_version=version, labels="on in (yes,still)"):
        seen.append(event.type)
        if event.type == "BOOKMARK":
            break
    assert seen == ["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]


async def test_a_watch_from_a_forgotten_version_is_expired():
    kube = MemoryKube()
    version = (await kube.list(CONFIGMAPS)).resource_version
    await kube.create(CONFIGMAPS, configmap(), "default")
    kube.expire_history()
    with pytest.raises(Expired):
        await anext(kube.watch(CONFIGMAPS, resource_version=version))
