"""Deployments roll out as kubectl and helm expect, and continue wherever they were stopped."""

from __future__ import annotations

from keyless.kube import condition_of
from keyless.kube.resources import DEPLOYMENTS, EVENTS, PODS, REPLICASETS


def web(replicas=2, image="keyless/keyless:0.1.0", **spec):
    return {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": image}]},
            },
            **spec,
        },
    }


def is_complete(space, name="web"):
    found = space.get(DEPLOYMENTS, name, "default")
    status = found.get("status") or {}
    progressing = condition_of(status.get("conditions"), "Progressing")
    wanted = found["spec"]["replicas"]
    return (
        status.get("observedGeneration") == found["metadata"]["generation"]
        and progressing is not None
        and progressing["reason"] == "NewReplicaSetAvailable"
        and [status.get(key, 0) for key in ("replicas", "updatedReplicas", "availableReplicas")] == [wanted] * 3
    )


async def rolled_out(space):
    await space.until(lambda: is_complete(space))


async def test_a_new_deployment_makes_a_replica_set_and_its_pods(space):
    await space.kube.create(DEPLOYMENTS, web(3))
    await rolled_out(space)
    [replica_set] = space.list(REPLICASETS)
    hashed = replica_set["metadata"]["labels"]["pod-template-hash"]
    assert replica_set["metadata"]["name"] == f"web-{hashed}"
    assert replica_set["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
    pods = space.list(PODS)
    assert len(pods) == 3
    assert all(pod["metadata"]["name"].startswith(f"web-{hashed}-") for pod in pods)
    assert all(pod["metadata"]["ownerReferences"][0]["uid"] == replica_set["metadata"]["uid"] for pod in pods)
    deployment = space.get(DEPLOYMENTS, "web", "default")
    assert deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
    messages = {event["message"] for event in space.list(EVENTS)}
    assert f"Scaled up replica set web-{hashed} from 0 to 3" in messages
    assert f"Created pod: {pods[0]['metadata']['name']}" in messages
    assert space.list(EVENTS)[0]["reason"] in {"ScalingReplicaSet", "SuccessfulCreate"}


async def test_a_restart_replaces_the_pods_and_keeps_the_old_set_empty(space):
    await space.kube.create(DEPLOYMENTS, web(2))
    await rolled_out(space)
    before = set(space.names(PODS))
    restarted = {"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}
    patch = {"spec": {"template": {"metadata": {"annotations": restarted}}}}
    await space.kube.patch(DEPLOYMENTS, "web", patch, "default", kind="strategic")
    await rolled_out(space)
    await space.settled()
    assert not before & set(space.names(PODS))
    sizes = sorted(
        (rs["metadata"]["annotations"]["deployment.kubernetes.io/revision"], rs["spec"]["replicas"])
        for rs in space.list(REPLICASETS)
    )
    assert sizes == [("1", 0), ("2", 2)]


async def test_rolling_never_leaves_too_few_or_makes_too_many(space):
    await space.kube.create(DEPLOYMENTS, web(4, strategy={"rollingUpdate": {"maxSurge": 1, "maxUnavailable": "25%"}}))
    await rolled_out(space)
    seen = []

    def watch(change):
        if change.entry.key.resource == "pods":
            pods = [pod for pod in space.list(PODS) if not pod["metadata"].get("deletionTimestamp")]
            seen.append((len(pods), sum((pod.get("status") or {}).get("phase") == "Running" for pod in pods)))

    unsubscribe = space.cluster.store.subscribe(watch)
    await space.kube.patch(
        DEPLOYMENTS,
        "web",
        {"spec": {"template": web(image="new")["spec"]["template"]}},
        "default",
    )
    await rolled_out(space)
    unsubscribe()
    assert max(total for total, _ in seen) <= 5
    assert min(running for _, running in seen) >= 3


async def test_recreate_waits_until_the_last_old_pod_is_gone(space):
    await space.kube.create(DEPLOYMENTS, web(2, strategy={"type": "Recreate"}))
    await rolled_out(space)
    old = set(space.names(PODS))
    overlaps = []

    def watch(change):
        names = set(space.names(PODS))
        if names & old and names - old:
            overlaps.append(names)

    unsubscribe = space.cluster.store.subscribe(watch)
    await space.kube.patch(DEPLOYMENTS, "web", {"spec": {"template": web(image="new")["spec"]["template"]}}, "default")
    await rolled_out(space)
    unsubscribe()
    assert overlaps == []
    assert len(space.names(PODS)) == 2


async def test_scaling_changes_the_pods_without_a_new_revision(space):
    await space.kube.create(DEPLOYMENTS, web(1))
    await rolled_out(space)
    for replicas in (5, 2, 0):
        await space.kube.patch(DEPLOYMENTS, "web", {"spec": {"replicas": replicas}}, "default")
        await rolled_out(space)
        await space.until(lambda replicas=replicas: len(space.names(PODS)) == replicas)
    assert len(space.names(REPLICASETS)) == 1


async def test_going_back_to_an_old_template_reuses_its_set_as_the_newest_revision(space):
    await space.kube.create(DEPLOYMENTS, web(1, image="one"))
    await rolled_out(space)
    for image in ("two", "one"):
        await space.kube.patch(
            DEPLOYMENTS, "web", {"spec": {"template": web(image=image)["spec"]["template"]}}, "default"
        )
        await rolled_out(space)
    await space.settled()
    assert sorted(
        rs["metadata"]["annotations"]["deployment.kubernetes.io/revision"] for rs in space.list(REPLICASETS)
    ) == ["2", "3"]


async def test_history_is_kept_to_its_limit(space):
    await space.kube.create(DEPLOYMENTS, web(1, image="v0", revisionHistoryLimit=1))
    for number in range(1, 4):
        await rolled_out(space)
        template = web(image=f"v{number}")["spec"]["template"]
        await space.kube.patch(DEPLOYMENTS, "web", {"spec": {"template": template}}, "default")
    await rolled_out(space)
    await space.settled()
    assert len(space.names(REPLICASETS)) == 2


async def test_a_paused_deployment_scales_but_does_not_roll(space):
    await space.kube.create(DEPLOYMENTS, web(1))
    await rolled_out(space)
    paused = {"spec": {"paused": True, "replicas": 2, "template": web(image="new")["spec"]["template"]}}
    await space.kube.patch(DEPLOYMENTS, "web", paused, "default")
    await space.until(lambda: len(space.names(PODS)) == 2)
    await space.settled()
    assert len(space.names(REPLICASETS)) == 1
    condition = condition_of(space.get(DEPLOYMENTS, "web", "default")["status"]["conditions"], "Progressing")
    assert (condition["status"], condition["reason"]) == ("Unknown", "DeploymentPaused")
    await space.kube.patch(DEPLOYMENTS, "web", {"spec": {"paused": None}}, "default")
    await rolled_out(space)


async def test_a_rollout_that_does_not_move_says_so_after_its_deadline_and_recovers(space):
    space.broken = True
    await space.kube.create(DEPLOYMENTS, web(1, progressDeadlineSeconds=60))

    def progressing():
        status = space.get(DEPLOYMENTS, "web", "default").get("status") or {}
        return condition_of(status.get("conditions"), "Progressing") or {}

    await space.until(lambda: progressing().get("reason") == "ProgressDeadlineExceeded", 300)
    [replica_set] = space.names(REPLICASETS)
    assert progressing()["status"] == "False"
    assert progressing()["message"] == f'ReplicaSet "{replica_set}" has timed out progressing.'
    space.broken = False
    await space.kube.delete(PODS, space.names(PODS)[0], "default")
    await rolled_out(space)


async def test_a_pod_that_is_refused_shows_in_set_and_deployment_and_comes_when_it_may(space):
    broken = web(1)
    broken["spec"]["template"]["spec"]["serviceAccountName"] = "missing"
    await space.kube.create(DEPLOYMENTS, broken)

    def failure():
        status = space.get(DEPLOYMENTS, "web", "default").get("status") or {}
        return condition_of(status.get("conditions"), "ReplicaFailure")

    await space.until(failure)
    assert failure()["reason"] == "FailedCreate"
    assert "missing" in failure()["message"]
    from keyless.kube.resources import SERVICEACCOUNTS

    await space.kube.create(SERVICEACCOUNTS, {"metadata": {"name": "missing"}}, "default")
    await rolled_out(space)
    await space.until(lambda: failure() is None)


async def test_a_deleted_deployment_takes_its_sets_and_pods_with_it(space):
    await space.kube.create(DEPLOYMENTS, web(2))
    await rolled_out(space)
    await space.kube.delete(DEPLOYMENTS, "web", "default")
    await space.until(lambda: not space.names(REPLICASETS) and not space.names(PODS))


async def test_an_idle_deployment_writes_nothing(space):
    await space.kube.create(DEPLOYMENTS, web(2))
    await rolled_out(space)
    await space.settled()
    version = space.cluster.store.resource_version
    await space.settled(3600)
    assert space.cluster.store.resource_version == version
