"""Which action for which container."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from keyless.local.node.model import ContainerRun, Exited, Hold, PodFacts, Remove, Running, Start, Stop, Waiting
from keyless.local.node.plan import back_off, decide, ended
from keyless.local.node.status import phase, pod_status, qos_class

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
RUNNING = ContainerRun(Running(NOW, 1, 1), attempts=1, started=True, ready=True)
DONE = ContainerRun(Exited(0, "Completed", NOW, NOW), attempts=1, retry_at=NOW)
FAILED = ContainerRun(Exited(1, "Error", NOW, NOW), attempts=1, crashes=1, retry_at=NOW)


def facts(
    runs: dict[str, ContainerRun] | None = None,
    *,
    unrunnable: dict[str, str] | None = None,
    deleting: bool = False,
    now: datetime = NOW,
    **spec: Any,
) -> PodFacts:
    metadata: dict[str, Any] = {"name": "web", "namespace": "default", "uid": "u"}
    if deleting:
        metadata["deletionTimestamp"] = "2026-11-22T12:00:00Z"
    spec.setdefault("containers", [{"name": "app", "image": "app"}])
    return PodFacts({"metadata": metadata, "spec": spec}, runs or {}, unrunnable or {}, now)


def test_a_new_container_is_started() -> None:
    assert decide(facts()).actions == (Start("app"),)


def test_a_running_container_is_left_alone() -> None:
    assert decide(facts({"app": RUNNING})).actions == ()


def test_init_containers_run_one_after_the_other_and_before_the_rest() -> None:
    inits = [{"name": "one", "image": "i"}, {"name": "two", "image": "i"}]
    assert decide(facts(initContainers=inits)).actions == (Start("one"),)
    assert decide(facts({"one": RUNNING}, initContainers=inits)).actions == ()
    assert decide(facts({"one": DONE}, initContainers=inits)).actions == (Start("two"),)
    assert decide(facts({"one": DONE, "two": DONE}, initContainers=inits)).actions == (Start("app"),)


def test_a_sidecar_lets_the_rest_start_once_it_has_started() -> None:
    sidecar = [{"name": "proxy", "image": "i", "restartPolicy": "Always"}]
    assert decide(facts({"proxy": RUNNING}, initContainers=sidecar)).actions == (Start("app"),)
    starting = ContainerRun(Running(NOW, 1, 1), attempts=1)
    assert decide(facts({"proxy": starting}, initContainers=sidecar)).actions == ()


@pytest.mark.parametrize(
    ("policy", "run", "restarts"),
    [
        ("Always", DONE, True),
        ("Always", FAILED, True),
        ("OnFailure", DONE, False),
        ("OnFailure", FAILED, True),
        ("Never", FAILED, False),
    ],
)
def test_the_restart_policy_decides_about_the_next_start(policy: str, run: ContainerRun, restarts: bool) -> None:
    assert decide(facts({"app": run}, restartPolicy=policy)).actions == ((Start("app"),) if restarts else ())


def test_the_first_restart_is_at_once_and_the_next_ones_wait_longer_and_longer() -> None:
    assert [int(back_off(n).total_seconds()) for n in range(1, 9)] == [0, 10, 20, 40, 80, 160, 300, 300]


def test_a_container_that_ran_for_long_starts_its_back_off_anew() -> None:
    run = ContainerRun(Running(NOW, 1, 1), crashes=5)
    steady = ended(run, Exited(1, "Error", NOW, NOW + timedelta(minutes=10)))
    assert (steady.crashes, steady.retry_at) == (1, NOW + timedelta(minutes=10))
    assert ended(run, Exited(1, "Error", NOW, NOW)).crashes == 6


def test_a_crash_loop_waits_with_a_kubelets_words() -> None:
    run = ended(ContainerRun(Running(NOW, 1, 1), attempts=2, crashes=1), Exited(1, "Error", NOW, NOW))
    plan = decide(facts({"app": run}))
    until = NOW + timedelta(seconds=10)
    message = "back-off 10s restarting failed container=app pod=web_default(u)"
    assert plan.actions == (Hold("app", "CrashLoopBackOff", message, until),)
    assert plan.wake_at == until


def test_an_image_that_cannot_be_run_alternates_between_error_and_back_off() -> None:
    why = {"app": "this node can run: keyless/keyless"}
    (first,) = decide(facts(unrunnable=why)).actions
    assert isinstance(first, Hold)
    assert first.reason == "ErrImagePull"
    assert "keyless/keyless" in first.message
    tried = ContainerRun(Waiting("ErrImagePull"), retry_at=first.until)
    assert decide(facts({"app": tried}, unrunnable=why)).actions == ()
    (second,) = decide(facts({"app": tried}, unrunnable=why, now=first.until)).actions
    assert isinstance(second, Hold)
    assert second.reason == "ImagePullBackOff"


def test_an_unhealthy_container_is_stopped_once() -> None:
    sick = ContainerRun(Running(NOW, 1, 1), attempts=1, unhealthy="failed liveness probe, will be restarted")
    assert decide(facts({"app": sick})).actions == (Stop("app", 30.0, "failed liveness probe, will be restarted"),)
    stopping = ContainerRun(Running(NOW, 1, 1), attempts=1, unhealthy="failed", stopping=True)
    assert decide(facts({"app": stopping})).actions == ()


def test_deletion_stops_main_containers_then_sidecars_then_removes_the_pod() -> None:
    sidecar = [{"name": "proxy", "image": "i", "restartPolicy": "Always"}]
    both = {"app": RUNNING, "proxy": RUNNING}
    spec = {"deleting": True, "initContainers": sidecar, "terminationGracePeriodSeconds": 5}
    assert decide(facts(both, **spec)).actions == (Stop("app", 5.0, ""),)
    assert decide(facts({"app": DONE, "proxy": RUNNING}, **spec)).actions == (Stop("proxy", 5.0, ""),)
    assert decide(facts({"app": DONE, "proxy": DONE}, **spec)).actions == (Remove(),)


def test_nothing_is_started_in_a_pod_that_is_being_deleted() -> None:
    assert decide(facts(deleting=True)).actions == (Remove(),)


@pytest.mark.parametrize(
    ("runs", "spec", "expected"),
    [
        ({}, {}, "Pending"),
        ({"app": ContainerRun(Waiting("ErrImagePull"))}, {}, "Pending"),
        ({"app": RUNNING}, {}, "Running"),
        ({"app": FAILED}, {}, "Running"),
        ({"app": ContainerRun(Waiting("CrashLoopBackOff"), last=Exited(1, "Error", NOW, NOW))}, {}, "Running"),
        ({"app": DONE}, {"restartPolicy": "Never"}, "Succeeded"),
        ({"app": FAILED}, {"restartPolicy": "Never"}, "Failed"),
        ({"i": FAILED}, {"restartPolicy": "Never", "initContainers": [{"name": "i", "image": "i"}]}, "Failed"),
        ({"i": FAILED}, {"initContainers": [{"name": "i", "image": "i"}]}, "Pending"),
    ],
)
def test_the_phase_follows_from_the_containers(
    runs: dict[str, ContainerRun], spec: dict[str, Any], expected: str
) -> None:
    assert phase(facts(runs, **spec)) == expected


def test_the_status_says_what_kubectl_and_helm_look_at() -> None:
    status = pod_status(facts({"app": RUNNING}), pod_ip="127.1.2.3", host_ip="127.0.0.1", started_at=NOW)
    assert {c["type"]: c["status"] for c in status["conditions"]} == {
        "PodScheduled": "True",
        "PodReadyToStartContainers": "True",
        "Initialized": "True",
        "ContainersReady": "True",
        "Ready": "True",
    }
    (container,) = status["containerStatuses"]
    assert container["state"] == {"running": {"startedAt": "2026-11-22T12:00:00Z"}}
    assert (container["ready"], container["restartCount"], status["podIP"]) == (True, 0, "127.1.2.3")
    assert status["qosClass"] == "BestEffort"


def test_a_readiness_gate_keeps_a_pod_from_being_ready() -> None:
    gated = facts({"app": RUNNING}, readinessGates=[{"conditionType": "example.com/ok"}])
    status = pod_status(gated, pod_ip="i", host_ip="h", started_at=NOW)
    ready = next(c for c in status["conditions"] if c["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "ReadinessGatesNotReady")


def test_a_transition_time_moves_only_with_its_status() -> None:
    before = facts({"app": RUNNING})
    status = pod_status(before, pod_ip="i", host_ip="h", started_at=NOW)
    later = PodFacts({**before.pod, "status": status}, before.runs, {}, NOW + timedelta(hours=1))
    assert pod_status(later, pod_ip="i", host_ip="h", started_at=NOW)["conditions"] == status["conditions"]


def test_a_pod_that_the_watch_shows_late_does_not_bring_old_transition_times_back() -> None:
    ready, waiting = facts({"app": RUNNING}), facts({"app": ContainerRun(Waiting())})
    first = pod_status(ready, pod_ip="i", host_ip="h", started_at=NOW)
    gate = {"type": "example.com/ok", "status": "True"}
    late = {**ready.pod, "status": {**first, "conditions": [gate, *first["conditions"]]}}

    def status(runs: PodFacts, minutes: int, written: dict[str, Any] | None) -> dict[str, Any]:
        seen = PodFacts(late, runs.runs, {}, NOW + timedelta(minutes=minutes))
        return pod_status(seen, pod_ip="i", host_ip="h", started_at=NOW, written=written)

    down = status(waiting, 1, None)
    up = status(ready, 2, down)
    times = {c["type"]: c.get("lastTransitionTime") for c in up["conditions"]}
    assert (times["Ready"], times["Initialized"]) == ("2026-11-22T12:02:00Z", "2026-11-22T12:00:00Z")
    assert status(ready, 3, up) == up
    assert up["conditions"][0]["type"] == gate["type"]


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}, "Burstable"),
    ],
)
def test_the_quality_of_service_follows_from_requests_and_limits(resources: dict[str, Any], expected: str) -> None:
    assert qos_class({"spec": {"containers": [{"resources": resources}]}}) == expected
