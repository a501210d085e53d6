"""Namespaces, garbage, claims, daemons and logical clusters on the real API."""

from __future__ import annotations

import asyncio
import base64
import sqlite3
import tracemalloc

from controllers_support import Space, add_node, make_cluster, running
from keyless.kube import Resource, is_true
from keyless.kube.resources import (
    CONFIGMAPS,
    CRDS,
    DAEMONSETS,
    DEPLOYMENTS,
    EVENTS,
    LOGICALCLUSTERS,
    NAMESPACES,
    PERSISTENTVOLUMECLAIMS,
    PERSISTENTVOLUMES,
    PODS,
    REPLICASETS,
    SERVICEACCOUNTS,
)


def configmap(name, *owners, block=True, **metadata):
    references = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            "blockOwnerDeletion": block,
        }
        for owner in owners
    ]
    own = {"name": name, **({"ownerReferences": references} if references else {}), **metadata}
    return {"metadata": own, "data": {}}


async def family(space):
    parent = await space.kube.create(CONFIGMAPS, configmap("parent"), "default")
    child = await space.kube.create(CONFIGMAPS, configmap("child", parent), "default")
    await space.kube.create(CONFIGMAPS, configmap("grandchild", child), "default")
    return parent, child


def family_names(space):
    return [name for name in space.names(CONFIGMAPS) if name != "kube-root-ca.crt"]


async def test_every_namespace_has_its_account_and_the_ca_and_gets_them_back(space):
    await space.kube.create(NAMESPACES, {"metadata": {"name": "team"}})
    await space.until(
        lambda: space.get(SERVICEACCOUNTS, "default", "team") and space.get(CONFIGMAPS, "kube-root-ca.crt", "team")
    )
    assert space.get(CONFIGMAPS, "kube-root-ca.crt", "team")["data"]["ca.crt"].startswith("-----BEGIN")
    await space.kube.delete(SERVICEACCOUNTS, "default", "team")
    await space.kube.patch(CONFIGMAPS, "kube-root-ca.crt", {"data": {"ca.crt": "forged"}}, "team")
    await space.until(
        lambda: (
            space.get(SERVICEACCOUNTS, "default", "team")
            and space.get(CONFIGMAPS, "kube-root-ca.crt", "team")["data"]["ca.crt"] != "forged"
        )
    )


async def test_a_namespace_ends_with_everything_in_it(space):
    await space.kube.create(NAMESPACES, {"metadata": {"name": "team"}})
    await space.kube.create(CONFIGMAPS, configmap("one"), "team")
    await space.kube.delete(NAMESPACES, "team")
    await space.until(lambda: space.get(NAMESPACES, "team") is None)
    assert space.list(CONFIGMAPS, "team") == []
    assert space.list(SERVICEACCOUNTS, "team") == []


async def test_a_namespace_waits_for_finalizers_and_says_so(space):
    await space.kube.create(NAMESPACES, {"metadata": {"name": "team"}})
    await space.kube.create(CONFIGMAPS, configmap("held", finalizers=["keyless.dev/wait"]), "team")
    await space.kube.delete(NAMESPACES, "team")
    await space.until(lambda: is_true(space.get(NAMESPACES, "team"), "NamespaceFinalizersRemaining"))
    await space.settled()
    assert space.get(NAMESPACES, "team")["status"]["phase"] == "Terminating"
    await space.kube.patch(CONFIGMAPS, "held", {"metadata": {"finalizers": None}}, "team")
    await space.until(lambda: space.get(NAMESPACES, "team") is None)


async def test_custom_resources_end_with_their_namespace(space):
    definition = {
        "metadata": {"name": "widgets.example.org"},
        "spec": {
            "group": "example.org",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget", "singular": "widget", "listKind": "WidgetList"},
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
            ],
        },
    }
    await space.kube.create(CRDS, definition)
    await space.kube.create(NAMESPACES, {"metadata": {"name": "team"}})
    widgets = Resource("example.org", "v1", "widgets", "Widget")
    await space.kube.create(widgets, {"metadata": {"name": "w"}}, "team")
    await space.kube.delete(NAMESPACES, "team")
    await space.until(lambda: space.get(NAMESPACES, "team") is None)
    assert space.list(widgets, "team") == []


async def test_background_deletion_takes_the_whole_family(space):
    await family(space)
    await space.kube.delete(CONFIGMAPS, "parent", "default")
    assert "parent" not in family_names(space)
    await space.until(lambda: family_names(space) == [])


async def test_foreground_deletion_ends_with_the_owner(space):
    await family(space)
    gone = []
    space.cluster.store.subscribe(
        lambda change: gone.append(change.entry.key.name) if change.type == "DELETED" else None
    )
    await space.kube.delete(CONFIGMAPS, "parent", "default", propagation="Foreground")
    assert "parent" in family_names(space)
    await space.until(lambda: family_names(space) == [])
    assert [name for name in gone if name in {"parent", "child", "grandchild"}] == ["grandchild", "child", "parent"]


async def test_orphans_stay_without_their_owner(space):
    await family(space)
    await space.kube.delete(CONFIGMAPS, "parent", "default", propagation="Orphan")
    await space.until(lambda: "parent" not in family_names(space))
    await space.settled()
    assert family_names(space) == ["child", "grandchild"]
    assert "ownerReferences" not in space.get(CONFIGMAPS, "child", "default")["metadata"]


async def test_an_object_whose_owner_never_was_or_is_another_by_now_is_collected(space):
    parent, _ = await family(space)
    strange = {"metadata": {"name": "parent", "uid": "00000000-0000-0000-0000-000000000000"}}
    await space.kube.create(CONFIGMAPS, configmap("impostor", strange), "default")
    await space.until(lambda: "impostor" not in family_names(space))
    await space.kube.create(CONFIGMAPS, configmap("shared", strange, parent), "default")
    await space.settled()
    [left] = space.get(CONFIGMAPS, "shared", "default")["metadata"]["ownerReferences"]
    assert left["uid"] == parent["metadata"]["uid"]


async def test_a_claim_is_bound_at_once_and_its_volume_goes_with_it(space):
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}}
    made = await space.kube.create(PERSISTENTVOLUMECLAIMS, {"metadata": {"name": "spool"}, "spec": spec}, "default")
    await space.until(lambda: space.get(PERSISTENTVOLUMECLAIMS, "spool", "default")["status"]["phase"] == "Bound")
    claim = space.get(PERSISTENTVOLUMECLAIMS, "spool", "default")
    name = f"pvc-{made['metadata']['uid']}"
    assert claim["spec"]["volumeName"] == name
    assert claim["status"]["capacity"] == {"storage": "2Gi"}
    volume = space.get(PERSISTENTVOLUMES, name)
    assert volume["spec"]["hostPath"]["path"].endswith(name)
    await space.until(lambda: space.get(PERSISTENTVOLUMES, name)["status"]["phase"] == "Bound")
    await space.kube.delete(PERSISTENTVOLUMECLAIMS, "spool", "default")
    await space.until(lambda: space.get(PERSISTENTVOLUMES, name) is None)


async def test_a_daemon_set_follows_the_nodes(space):
    spec = {
        "selector": {"matchLabels": {"app": "agent"}},
        "template": {
            "metadata": {"labels": {"app": "agent"}},
            "spec": {"containers": [{"name": "agent", "image": "keyless/keyless:0.1.0"}]},
        },
    }
    await space.kube.create(DAEMONSETS, {"metadata": {"name": "agent", "namespace": "default"}, "spec": spec})
    await space.settled()
    assert space.names(PODS) == []
    await add_node(space)
    await space.until(
        lambda: (space.get(DAEMONSETS, "agent", "default").get("status") or {}).get("numberAvailable") == 1
    )
    old = space.names(PODS)
    changed = {"spec": {"template": {"metadata": {"annotations": {"restarted": "yes"}}}}}
    await space.kube.patch(DAEMONSETS, "agent", changed, "default")
    await space.until(
        lambda: (
            space.get(DAEMONSETS, "agent", "default")["status"].get("updatedNumberScheduled") == 1
            and space.get(DAEMONSETS, "agent", "default")["status"].get("numberAvailable") == 1
            and space.names(PODS) != old
        )
    )
    assert {event["reason"] for event in space.list(EVENTS)} >= {"SuccessfulCreate", "SuccessfulDelete"}


async def logical_cluster(space, name="mxp-1-system"):
    await space.until(lambda: is_true(space.get(CRDS, "logicalclusters.keyless.dev") or {}, "Established"))
    await space.kube.create(LOGICALCLUSTERS, {"metadata": {"name": name}})
    await space.until(lambda: is_true(space.get(LOGICALCLUSTERS, name), "Ready"))
    return Space(space.cluster, name)


async def test_a_logical_cluster_is_made_by_its_name_and_serves_a_world_of_its_own(space):
    inner = await logical_cluster(space)
    status = space.get(LOGICALCLUSTERS, "mxp-1-system")["status"]
    assert status["server"] == "https://127.0.0.1:6443/clusters/mxp-1-system"
    assert base64.b64decode(status["caBundle"]).startswith(b"-----BEGIN")
    await inner.until(lambda: inner.get(SERVICEACCOUNTS, "default", "default"))
    await inner.kube.create(CONFIGMAPS, configmap("inside"), "default")
    assert space.get(CONFIGMAPS, "inside", "default") is None
    inner.stop()


async def test_garbage_and_deployments_of_one_cluster_never_touch_another(space):
    inner = await logical_cluster(space)
    outer_parent, _ = await family(space)
    await inner.kube.create(CONFIGMAPS, configmap("child", outer_parent), "default")
    await inner.until(lambda: inner.get(CONFIGMAPS, "child", "default") is None)
    assert space.get(CONFIGMAPS, "child", "default")
    spec = {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "x"}},
        "template": {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "x", "image": "x"}]}},
    }
    await inner.kube.create(DEPLOYMENTS, {"metadata": {"name": "x", "namespace": "default"}, "spec": spec})
    await inner.until(lambda: len(inner.names(PODS)) == 1)
    assert space.names(PODS) == []
    inner.stop()


async def test_deleting_a_logical_cluster_removes_everything_in_it(space):
    inner = await logical_cluster(space)
    await inner.kube.create(CONFIGMAPS, configmap("inside"), "default")
    await space.kube.delete(LOGICALCLUSTERS, "mxp-1-system")
    await space.until(lambda: space.get(LOGICALCLUSTERS, "mxp-1-system") is None)
    await space.settled()
    assert not space.cluster.has("mxp-1-system")
    assert space.cluster.store.resources("mxp-1-system") == []
    inner.stop()


async def test_the_definition_comes_back_when_somebody_deletes_it(space):
    await space.until(lambda: space.get(CRDS, "logicalclusters.keyless.dev"))
    await space.kube.delete(CRDS, "logicalclusters.keyless.dev")
    await space.until(lambda: is_true(space.get(CRDS, "logicalclusters.keyless.dev") or {}, "Established"))


async def test_after_a_restart_everything_is_continued_from_what_is_stored():
    database = sqlite3.connect(":memory:", isolation_level=None)
    first = make_cluster(database)
    space = Space(first)
    parent = await space.kube.create(CONFIGMAPS, configmap("parent"), "default")
    await space.kube.create(CONFIGMAPS, configmap("child", parent), "default")
    await space.kube.create(NAMESPACES, {"metadata": {"name": "team"}})
    await space.kube.delete(NAMESPACES, "team")
    await space.kube.delete(CONFIGMAPS, "parent", "default")
    space.stop()
    again = make_cluster(database)
    space = Space(again)
    async with running(again):
        await space.until(lambda: space.get(NAMESPACES, "team") is None and family_names(space) == [])
    space.stop()
    database.close()


async def test_the_controllers_cost_little_for_each_logical_cluster(space):
    await logical_cluster(space, "warm-up")
    await space.settled()
    count = 20
    tracemalloc.start()
    for number in range(count):
        space.cluster.ensure_cluster(f"ctp-{number}")
    await space.settled()
    held = tracemalloc.take_snapshot().filter_traces(
        [tracemalloc.Filter(True, "*/controllers/*"), tracemalloc.Filter(True, "*/keyless/kube/*")]
    )
    tracemalloc.stop()
    size = sum(trace.size for trace in held.traces)
    assert size / count < 40_000


async def test_cancelling_the_controllers_leaves_no_task_behind():
    before = asyncio.all_tasks()
    database = sqlite3.connect(":memory:", isolation_level=None)
    cluster = make_cluster(database)
    async with running(cluster):
        await asyncio.sleep(1)
    assert asyncio.all_tasks() == before
    assert REPLICASETS  # the controllers ran over every kind
    database.close()
