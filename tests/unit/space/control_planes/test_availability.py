"""What is said of pods that do not run: a table of what Kubernetes says of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyless.space.control_planes.availability import LONGEST, unavailable

SERVES = {"status": {"availableReplicas": 1}}
OVERDUE = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
STUCK = {"status": {"availableReplicas": 1, "conditions": [OVERDUE]}}
REFUSED = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota: pods"}


def _pod(name: str = "vector-2", created: str = "2026-11-22T12:00:02Z", **status: object) -> dict:
    return {"metadata": {"name": name, "creationTimestamp": created}, "status": status}


def _waiting(reason: str, **more: object) -> dict:
    return {"containerStatuses": [{"state": {"waiting": {"reason": reason, "message": "pull of x"}}, **more}]}


PENDING = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available"}
LOOPS = _waiting("CrashLoopBackOff", lastState={"terminated": {"exitCode": 2, "reason": "Error", "message": "word"}})


@pytest.mark.parametrize(
    ("deployment", "pods", "said"),
    [
        (SERVES, [_pod(phase="Running")], ""),
        (SERVES, [_pod(**_waiting("ContainerCreating"))], ""),
        (None, [], "vector: no ready pod yet"),
        ({"status": {}}, [_pod(**_waiting("PodInitializing"))], "vector: no ready pod yet"),
        (SERVES, [_pod(**_waiting("ImagePullBackOff"))], "vector: pod vector-2 is ImagePullBackOff"),
        (
            SERVES,
            [_pod(**_waiting("ImagePullBackOff", image="registry.test/etcd:3"))],
            "vector: pod vector-2 is ImagePullBackOff: registry.test/etcd:3",
        ),
        ({}, [_pod(**_waiting("CrashLoopBackOff", image="a/b"))], "vector: pod vector-2 is CrashLoopBackOff"),
        (
            STUCK,
            [_pod(**_waiting("ErrImagePull"))],
            "vector: its rollout did not finish within its progress deadline, pod vector-2 is ErrImagePull",
        ),
        (STUCK, [], "vector: its rollout did not finish within its progress deadline"),
        ({}, [_pod(**LOOPS)], "vector: pod vector-2 is CrashLoopBackOff (it ended with exit code 2, Error)"),
        (
            {},
            [_pod(phase="Pending", conditions=[PENDING])],
            "vector: pod vector-2 is Pending: Unschedulable: 0/3 nodes are available",
        ),
        ({}, [_pod(phase="Failed", reason="Evicted")], "vector: pod vector-2 is Failed: Evicted"),
        ({"status": {"conditions": [REFUSED]}}, [], "vector: its pod is refused: exceeded quota: pods"),
    ],
)
def test_what_holds_a_component_back_is_said_in_kubernetes_words(deployment, pods, said: str) -> None:
    assert unavailable("vector", deployment, pods) == said


def test_the_newest_pod_that_stays_is_the_one_that_is_told() -> None:
    old = _pod("vector-1", "2026-11-22T12:00:01Z", phase="Running")
    leaving = _pod("vector-3", "2026-11-22T12:00:03Z", **_waiting("ErrImagePull"))
    leaving["metadata"]["deletionTimestamp"] = "2026-11-22T12:00:04Z"
    told = unavailable("vector", SERVES, [old, _pod(**_waiting("CreateContainerConfigError")), leaving])
    assert told == "vector: pod vector-2 is CreateContainerConfigError"


@given(st.text(max_size=4 * LONGEST), st.booleans())
def test_a_sentence_of_another_system_is_kept_short_and_what_a_program_wrote_is_not_quoted(text: str, waits) -> None:
    secret = f"secret-{text}"
    last = {"terminated": {"exitCode": 1, "reason": "Error", "message": secret}}
    told = {"conditions": [{**PENDING, "message": text}]}
    said = unavailable("vector", {}, [_pod(**(told if waits else _waiting("CrashLoopBackOff", lastState=last)))])
    assert said != ""
    assert len(said) <= LONGEST + 80
    assert secret not in said
