"""Decide what to do with the containers of one pod. Pure: the caller tells the facts and the time.

The same facts lead to the same plan, so a loop may ask as often as it likes: nothing here remembers.

Lifecycle: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from keyless.local.node.model import (
    Action,
    ContainerRun,
    Exited,
    Hold,
    Plan,
    PodFacts,
    Remove,
    Start,
    Stop,
    Waiting,
    containers,
    init_containers,
    is_sidecar,
    restart_policy,
)

FIRST_BACK_OFF = timedelta(seconds=10)
LONGEST_BACK_OFF = timedelta(minutes=5)
STEADY = timedelta(minutes=10)  # a container that ran so long starts its back-off anew
DEFAULT_GRACE_SECONDS = 30.0


def decide(facts: PodFacts) -> Plan:
    """The next steps of one pod. Never raises."""
    if facts.pod["metadata"].get("deletionTimestamp"):
        return _end(facts)
    if is_finished(facts):
        return Plan(tuple(_stop(facts, c, "pod has finished") for c in _running(facts, init_containers(facts.pod))))
    steps: list[tuple[Action | None, datetime | None]] = []
    for container in init_containers(facts.pod):
        steps.append(_bring_up(facts, container))
        if not has_passed(facts, container):
            return _plan(steps)
    steps += [_bring_up(facts, container) for container in containers(facts.pod)]
    return _plan(steps)


def has_passed(facts: PodFacts, init: Mapping[str, Any]) -> bool:
    """Whether what comes after this init container may start."""
    run = facts.run(init)
    if is_sidecar(init):
        return run.is_running and run.started
    return isinstance(run.state, Exited) and run.state.code == 0


def is_finished(facts: PodFacts) -> bool:
    """Whether no container will ever run again: the pod has succeeded or failed."""
    if any(init_has_failed(facts, init) for init in init_containers(facts.pod)):
        return True
    return all(
        isinstance(facts.run(c).state, Exited) and not _restarts(facts, c, facts.run(c)) for c in containers(facts.pod)
    )


def init_has_failed(facts: PodFacts, init: Mapping[str, Any]) -> bool:
    """Whether this init container ended for good without success."""
    run = facts.run(init)
    return isinstance(run.state, Exited) and run.state.code != 0 and not _restarts(facts, init, run)


def back_off(crashes: int) -> timedelta:
    """How long to wait before the start after that many consecutive ends: the first restart is at once."""
    if crashes <= 1:
        return timedelta()
    doubled: timedelta = FIRST_BACK_OFF * 2 ** min(crashes - 2, 10)
    return min(doubled, LONGEST_BACK_OFF)


def ended(run: ContainerRun, exit: Exited) -> ContainerRun:  # noqa: A002 - what happened
    """The run after its process ended: counted, and not to be started before its back-off is over."""
    steady = exit.finished_at - exit.started_at >= STEADY
    crashes = 1 if steady else run.crashes + 1
    return ContainerRun(
        state=exit,
        last=run.last,
        restarts=run.restarts,
        attempts=run.attempts,
        crashes=crashes,
        retry_at=exit.finished_at + back_off(crashes),
        container_id=run.container_id,
    )


def grace_seconds(facts: PodFacts) -> float:
    """How long a process may take to end."""
    metadata, spec = facts.pod["metadata"], facts.pod["spec"]
    for found in (metadata.get("deletionGracePeriodSeconds"), spec.get("terminationGracePeriodSeconds")):
        if found is not None:
            return float(found)
    return DEFAULT_GRACE_SECONDS


def _end(facts: PodFacts) -> Plan:
    """Main containers first, sidecars after them, in reverse order of their start."""
    if running := _running(facts, containers(facts.pod)):
        return Plan(tuple(_stop(facts, container, "") for container in running if not facts.run(container).stopping))
    if running := _running(facts, init_containers(facts.pod)):
        last = running[-1]
        return Plan(() if facts.run(last).stopping else (_stop(facts, last, ""),))
    return Plan((Remove(),))


def _bring_up(facts: PodFacts, container: Mapping[str, Any]) -> tuple[Action | None, datetime | None]:
    run = facts.run(container)
    name = container["name"]
    if run.is_running:
        return (_stop(facts, container, run.unhealthy) if run.unhealthy and not run.stopping else None), None
    if isinstance(run.state, Exited) and not _restarts(facts, container, run):
        return None, None
    waits = run.retry_at is not None and facts.now < run.retry_at
    if why := facts.unrunnable.get(name):
        return (None if waits else _cannot_pull(facts, run, name, why)), run.retry_at
    if not waits:
        return Start(name), None
    assert run.retry_at is not None
    if isinstance(run.state, Exited):
        delay = int(back_off(run.crashes).total_seconds())
        message = f"back-off {_go_duration(delay)} restarting failed container={name} pod={facts.label}"
        return Hold(name, "CrashLoopBackOff", message, run.retry_at), run.retry_at
    return None, run.retry_at


def _cannot_pull(facts: PodFacts, run: ContainerRun, name: str, why: str) -> Hold:
    """ErrImagePull when it was tried, ImagePullBackOff while waiting to try again, as a kubelet alternates."""
    image = next(c["image"] for c in _all(facts) if c["name"] == name)
    tried = isinstance(run.state, Waiting) and run.state.reason == "ErrImagePull"
    if tried:
        return Hold(name, "ImagePullBackOff", f'Back-off pulling image "{image}": {why}', facts.now + LONGEST_BACK_OFF)
    return Hold(name, "ErrImagePull", f'failed to pull image "{image}": {why}', facts.now + FIRST_BACK_OFF)


def _restarts(facts: PodFacts, container: Mapping[str, Any], run: ContainerRun) -> bool:
    """Whether a container that ended is started again."""
    is_init = any(container["name"] == init["name"] for init in init_containers(facts.pod))
    if is_init and is_sidecar(container):
        return True
    code = run.state.code if isinstance(run.state, Exited) else 0
    policy = restart_policy(facts.pod)
    if is_init:
        return code != 0 and policy != "Never"
    return policy == "Always" or (policy == "OnFailure" and code != 0)


def _running(facts: PodFacts, candidates: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [container for container in candidates if facts.run(container).is_running]


def _all(facts: PodFacts) -> list[dict[str, Any]]:
    return [*init_containers(facts.pod), *containers(facts.pod)]


def _stop(facts: PodFacts, container: Mapping[str, Any], message: str) -> Stop:
    return Stop(container["name"], grace_seconds(facts), message)


def _plan(steps: Iterable[tuple[Action | None, datetime | None]]) -> Plan:
    collected = list(steps)
    wakes = [wake for _, wake in collected if wake is not None]
    return Plan(tuple(action for action, _ in collected if action is not None), min(wakes, default=None))


def _go_duration(seconds: int) -> str:
    """``80`` → ``1m20s``, as Go prints durations in the messages users know."""
    minutes, rest = divmod(seconds, 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
