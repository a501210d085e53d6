"""The decisions of the controllers, each from plain values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from keyless.kube.resources import PODS, Resource
from keyless.local.cluster.controllers.daemonset.plan import fits, node_of
from keyless.local.cluster.controllers.daemonset.plan import plan as daemon_plan
from keyless.local.cluster.controllers.deployment.model import DESIRED, MAXIMUM, max_surge, max_unavailable, sets_of
from keyless.local.cluster.controllers.deployment.rollout import rescale, roll_down
from keyless.local.cluster.controllers.garbage import plan as garbage
from keyless.local.cluster.controllers.namespace.plan import plan as namespace_plan
from keyless.local.cluster.controllers.namespace.plan import status as namespace_status
from keyless.local.cluster.controllers.pods import first_to_go, same_template, template_hash

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
EARLY, LATE = "2026-01-01T10:00:00Z", "2026-01-01T11:00:00Z"


def deployment(replicas=10, **rolling):
    spec = {"replicas": replicas, "template": {"spec": {"image": "new"}}}
    if rolling:
        spec["strategy"] = {"type": "RollingUpdate", "rollingUpdate": rolling}
    return {"metadata": {"name": "web", "namespace": "default", "uid": "d"}, "spec": spec}


def replica_set(name, replicas, available=None, image="old", **annotations):
    return {
        "metadata": {"name": name, "uid": name, "creationTimestamp": EARLY, "annotations": annotations},
        "spec": {"replicas": replicas, "template": {"spec": {"image": image}}},
        "status": {"availableReplicas": replicas if available is None else available},
    }


@pytest.mark.parametrize(
    ("replicas", "rolling", "surge", "unavailable"),
    [
        (10, {}, 3, 2),  # 25% by default: up for surge, down for unavailable
        (1, {}, 1, 0),
        (0, {}, 0, 0),
        (4, {"maxSurge": "50%", "maxUnavailable": "49%"}, 2, 1),
        (3, {"maxSurge": 0, "maxUnavailable": 0}, 0, 1),  # else nothing could ever move
        (2, {"maxSurge": 5, "maxUnavailable": 9}, 5, 2),
    ],
)
def test_limits_of_a_rolling_update(replicas, rolling, surge, unavailable):
    found = deployment(replicas, **rolling)
    assert (max_surge(found), max_unavailable(found)) == (surge, unavailable)


def test_old_pods_that_serve_nobody_go_first():
    sets = sets_of(
        deployment(10), [replica_set("a", 5), replica_set("b", 5, available=1), replica_set("n", 2, 2, "new")]
    )
    assert {step.replica_set["metadata"]["name"]: step.replicas for step in roll_down(deployment(10), sets)} == {"b": 1}


def test_working_old_pods_go_only_as_new_ones_become_available():
    sets = sets_of(deployment(10), [replica_set("a", 8), replica_set("n", 5, 0, "new")])
    assert roll_down(deployment(10), sets) == []
    sets = sets_of(deployment(10), [replica_set("a", 8), replica_set("n", 5, 3, "new")])
    assert [step.replicas for step in roll_down(deployment(10), sets)] == [5]


def test_scaling_during_a_rollout_is_shared_in_proportion():
    sized = {DESIRED: "10", MAXIMUM: "13"}
    sets = sets_of(deployment(20), [replica_set("a", 8, **sized), replica_set("n", 5, image="new", **sized)])
    steps = {step.replica_set["metadata"]["name"]: step.replicas for step in rescale(deployment(20), sets)}
    assert sum(steps.values()) == 25
    assert steps["a"] > steps["n"] > 5


def test_a_template_has_one_hash_whatever_its_order_and_another_after_a_collision():
    one, other = {"spec": {"a": 1, "b": 2}}, {"spec": {"b": 2, "a": 1}}
    assert template_hash(one) == template_hash(other) != template_hash(one, 1)
    labelled = {**one, "metadata": {"labels": {"pod-template-hash": "x"}}}
    assert same_template(one, labelled)
    assert not same_template(one, {"spec": {"a": 2}})


def pod(name, *, phase="Running", node="n", since=EARLY, created=EARLY, cost=None, restarts=0):
    conditions = [{"type": "Ready", "status": "True", "lastTransitionTime": since}] if since else []
    annotations = {"controller.kubernetes.io/pod-deletion-cost": cost} if cost else {}
    status = {"phase": phase, "conditions": conditions, "containerStatuses": [{"restartCount": restarts}]}
    metadata = {
        "name": name,
        "uid": name,
        "creationTimestamp": created,
        "annotations": annotations,
        "namespace": "default",
    }
    return {"metadata": metadata, "spec": {"nodeName": node}, "status": status}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (pod("a", node=""), pod("b", phase="Pending", since=None)),
        (pod("a", phase="Pending", since=None), pod("b", since=None)),
        (pod("a", since=None), pod("b")),
        (pod("a", cost="-5"), pod("b", cost="nonsense")),
        (pod("a", since=LATE), pod("b", since=EARLY)),
        (pod("a", restarts=3), pod("b")),
        (pod("a", created=LATE), pod("b", created=EARLY)),
    ],
)
def test_the_pod_that_is_least_missed_goes_first(first, second):
    assert [one["metadata"]["name"] for one in first_to_go([second, first])] == ["a", "b"]


def daemons(**spec):
    template = {"metadata": {"labels": {"app": "agent"}}, "spec": {"containers": [], **spec}}
    selector = {"matchLabels": {"app": "agent"}}
    metadata = {"name": "agent", "namespace": "kube-system", "uid": "ds", "generation": 1}
    return {"metadata": metadata, "spec": {"selector": selector, "template": template}}


def node(name="one", ready="True", taints=(), **labels):
    conditions = [{"type": "Ready", "status": ready}]
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {"taints": list(taints)},
        "status": {"conditions": conditions},
    }


def test_daemons_run_where_labels_and_taints_let_them():
    tainted = node(taints=[{"key": "gpu", "value": "yes", "effect": "NoSchedule"}])
    tolerating = daemons(tolerations=[{"key": "gpu", "value": "yes", "effect": "NoSchedule"}])
    assert not fits(daemons(), tainted)
    assert fits(tolerating, tainted)
    assert fits(daemons(), node(taints=[{"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"}]))
    assert not fits(daemons(nodeSelector={"disk": "ssd"}), node())
    assert fits(daemons(nodeSelector={"disk": "ssd"}), node(disk="ssd"))


def test_one_daemon_is_made_for_each_ready_node_and_meant_for_it():
    decided = daemon_plan(daemons(), [], [node("one"), node("two"), node("down", ready="Unknown")], NOON)
    assert [node_of(made) for made in decided.create] == ["one", "two"]
    assert decided.create[0]["metadata"]["ownerReferences"][0]["kind"] == "DaemonSet"


def owned(pod, uid):
    pod["metadata"]["ownerReferences"] = [{"uid": uid, "kind": "DaemonSet", "name": "agent", "controller": True}]
    pod["metadata"]["labels"] = {"app": "agent"}
    return pod


def test_a_finished_daemon_a_second_one_and_one_on_a_node_that_is_gone_are_removed():
    pods = [
        owned(pod("first", node="one"), "ds"),
        owned(pod("second", node="one", created=LATE), "ds"),
        owned(pod("failed", node="two", phase="Failed"), "ds"),
        owned(pod("lost", node="gone"), "ds"),
    ]
    decided = daemon_plan(daemons(), pods, [node("one"), node("two")], NOON)
    assert sorted(one["metadata"]["name"] for one in decided.delete) == ["failed", "lost", "second"]
    assert decided.create == ()


def dependent(*uids, namespace="default", **metadata):
    references = [{"uid": uid, "kind": "ConfigMap", "name": uid, "blockOwnerDeletion": True} for uid in uids]
    own = {"name": "child", "uid": "child", "resourceVersion": "7", "ownerReferences": references, **metadata}
    return {"metadata": {**own, **({"namespace": namespace} if namespace else {})}}


def owner(name="a", namespace="default", finalizers=(), deleted=False):
    metadata = {
        "name": name,
        "uid": name,
        "namespace": namespace,
        "finalizers": list(finalizers),
        "resourceVersion": "5",
    }
    if deleted:
        metadata["deletionTimestamp"] = EARLY
    return {"kind": "ConfigMap", "metadata": {key: value for key, value in metadata.items() if value}}


FOREGROUND_OWNER = owner(finalizers=["foregroundDeletion"], deleted=True)


@pytest.mark.parametrize(
    ("found", "state"),
    [
        (None, "absent"),
        (owner(), "solid"),
        (owner(name="b"), "absent"),  # the uid is another's: a reference must name what it means
        (owner(namespace="elsewhere"), "absent"),
        (owner(deleted=True, finalizers=["other"]), "solid"),
        (FOREGROUND_OWNER, "waiting"),
    ],
)
def test_what_an_owner_is_doing(found, state):
    assert garbage.owner_state(dependent("a")["metadata"]["ownerReferences"][0], found, dependent("a")) == state


def test_a_cluster_wide_object_is_never_collected_for_an_owner_in_a_namespace():
    child = dependent("a", namespace=None)
    assert garbage.owner_state(child["metadata"]["ownerReferences"][0], owner(), child) == "unresolvable"


def fate(states, has_dependents=False, **metadata):
    child = dependent(*states, **metadata)
    return garbage.fate(child, lambda reference: states[reference["uid"]], has_dependents=has_dependents)


def test_an_object_goes_with_its_last_owner_and_drops_those_that_are_gone():
    assert fate({"a": "absent"}) == garbage.Delete("Background")
    assert fate({"a": "absent", "b": "solid"}) == garbage.Keep(frozenset({"a"}))
    assert fate({"a": "absent", "b": "unresolvable"}) == garbage.Keep(frozenset({"a"}))
    assert fate({}) == garbage.Keep()
    assert fate({"a": "absent"}, deletionTimestamp=EARLY) == garbage.Keep()


def test_foreground_deletion_goes_down_the_tree_and_an_orphan_finalizer_is_respected():
    assert fate({"a": "waiting"}) == garbage.Delete("Background")
    assert fate({"a": "waiting"}, has_dependents=True) == garbage.Delete("Foreground")
    assert fate({"a": "absent"}, finalizers=["orphan"]) == garbage.Delete("Orphan")


def test_an_owner_waits_for_blocking_dependents_and_lets_orphans_go():
    assert garbage.farewell(FOREGROUND_OWNER, [dependent("a")]).finalizer is None
    assert garbage.farewell(FOREGROUND_OWNER, []).finalizer == "foregroundDeletion"
    free = dependent("a")
    free["metadata"]["ownerReferences"][0]["blockOwnerDeletion"] = False
    assert garbage.farewell(FOREGROUND_OWNER, [free]).finalizer == "foregroundDeletion"
    orphaning = owner(finalizers=["orphan"], deleted=True)
    decided = garbage.farewell(orphaning, [free])
    assert (decided.orphan, decided.finalizer) == ((free,), "orphan")
    assert garbage.farewell(owner(), [free]) == garbage.Farewell()


WIDGETS = Resource("example.org", "v1", "widgets", "Widget")


def test_a_namespace_deletes_everything_once_and_says_what_remains():
    ending = {"metadata": {"name": "team", "deletionTimestamp": EARLY}, "spec": {"finalizers": ["kubernetes"]}}
    going = {"metadata": {"name": "w", "deletionTimestamp": EARLY, "finalizers": ["example.org/wait"]}}
    content = {PODS: [pod("p")], WIDGETS: [going]}
    decided = namespace_plan(ending, content)
    assert [(res, obj["metadata"]["name"]) for res, obj in decided.delete] == [(PODS, "p")]
    assert not decided.finish
    conditions = {c["type"]: c for c in namespace_status(ending, content, ["no"], NOON)["conditions"]}
    assert conditions["NamespaceContentRemaining"]["message"] == (
        "Some resources are remaining: pods. has 1 resource instances, widgets.example.org has 1 resource instances"
    )
    assert conditions["NamespaceFinalizersRemaining"]["message"] == (
        "Some content in the namespace has finalizers remaining: example.org/wait in 1 resource instances"
    )
    assert conditions["NamespaceDeletionContentFailure"]["status"] == "True"
    assert namespace_plan(ending, {}).finish
    assert namespace_plan({"metadata": {"name": "team"}}, content).delete == ()


def test_times_are_told_not_taken():
    later = NOON + timedelta(days=1)
    assert namespace_status({"metadata": {"name": "t"}}, {}, [], later)["conditions"][0][
        "lastTransitionTime"
    ].startswith("2026-01-02")
