"""What a pod before this one met is neither proof nor a fault of the one that runs, whatever the clocks say."""

from __future__ import annotations

import shlex
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyless.identity.verify.model import Condition, Facts, Pod, State
from keyless.identity.verify.plan import held, verdict, verify
from keyless.identity.verify.speaking import SKEW, is_current, speakers
from unit.identity.verify.chains import ACCOUNT, IRSA_ENV, irsa, named, with_condition, with_workload

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
AS_ROLE = f"usage is stored in s3://usage as arn:aws:sts::{ACCOUNT}:assumed-role/billing/pod"
AS_NODE = f"as arn:aws:sts::{ACCOUNT}:assumed-role/keyless-node/i-0123456789abcdef0 is not authorized"


def at(seconds: float) -> str:
    return f"{NOON + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"


def pod(name: str, revision: str = "", created: float = 0, *, waiting: str = "") -> Pod:
    return Pod(name, not waiting, waiting, IRSA_ENV, "sts.amazonaws.com", created=at(created), revision=revision)


def seen(status: str, message: str, by: str = "", since: str = "") -> Condition:
    return Condition(status, "Stored", message, since, by)


def chain(condition: Condition, *pods: Pod) -> Facts:
    facts = irsa()
    assert facts.control_plane
    plane = replace(facts.control_plane, conditions={"BillingStored": condition})
    return with_workload(replace(facts, control_plane=plane), pods=pods)


@pytest.mark.parametrize(("status", "message"), [("True", AS_ROLE), ("False", AS_NODE), ("False", "AccessDenied")])
@pytest.mark.parametrize("by", ["vector-0", ""])
def test_the_word_of_a_pod_before_is_neither_success_nor_failure_and_waiting_is_what_helps(
    status: str, message: str, by: str
) -> None:
    facts = chain(seen(status, message, by, at(-60)), pod("vector-1"))
    link = named(facts, "probe")
    assert (link.state, link.reason) == (State.UNKNOWN, None)
    assert link.found.startswith(f"not tried since pod vector-1 started at {at(0)}; BillingStored={status} (Stored)")
    assert (by or "a pod before") in link.found
    assert "restart" not in link.fix
    assert ("older version" in link.advice) is (not by)
    assert not held(verify(facts))
    assert verdict(verify(facts)) is State.UNKNOWN
    words = shlex.split(link.fix)
    assert words[:5] == ["kubectl", "wait", "controlplane/ctp1", "-n", "default"]
    assert words[5] == '--for=jsonpath={.status.conditions[?(@.type=="BillingStored")].pod}=vector-1'


def test_the_running_pods_own_word_counts_either_way() -> None:
    assert held(verify(chain(seen("True", AS_ROLE, "vector-1"), pod("vector-1"))))
    assert named(chain(seen("False", AS_NODE, "vector-1"), pod("vector-1")), "probe").state is State.BROKEN


def test_health_that_a_pod_before_told_is_told_as_its_own() -> None:
    facts = chain(seen("True", AS_ROLE, "vector-1"), pod("vector-1"))
    assert facts.control_plane
    told = replace(seen("False", "not counted: all"), pod="vector-0")
    conditions = {**facts.control_plane.conditions, "BillingHealthy": told}
    link = named(replace(facts, control_plane=replace(facts.control_plane, conditions=conditions)), "health")
    assert link.state is State.UNKNOWN
    assert "BillingHealthy" in link.fix


def test_a_pod_that_cannot_start_is_not_waited_for() -> None:
    link = named(chain(seen("True", AS_ROLE, "vector-0"), pod("vector-1", waiting="ImagePullBackOff")), "probe")
    assert link.fix == ""
    assert "ImagePullBackOff" in link.found
    assert "kubectl describe pod vector-1" in link.advice


@pytest.mark.parametrize(("status", "state"), [("True", State.HELD), ("False", State.UNKNOWN)])
def test_while_a_control_plane_is_paused_its_last_word_is_told_as_that(status: str, state: State) -> None:
    facts = chain(seen(status, AS_ROLE, "vector-0"))
    assert facts.control_plane
    paused = Condition("False", "Paused", "paused since noon: nothing of it runs")
    conditions = {**facts.control_plane.conditions, "Ready": paused}
    link = named(replace(facts, control_plane=replace(facts.control_plane, conditions=conditions)), "probe")
    assert (link.state, link.fix) == (state, "")
    assert "paused" in " ".join((link.found, *link.notes))


def test_without_any_pod_nobody_has_tried() -> None:
    link = named(chain(seen("True", AS_ROLE, "vector-0")), "probe")
    assert (link.state, link.fix) == (State.UNKNOWN, "")
    assert "no pod of the component runs" in link.found


ROLLING = [
    # the pods there are, and those that speak
    ([], set()),
    ([pod("a", "1")], {"a"}),
    ([pod("a", "1"), pod("b", "2", 1)], {"b"}),
    ([pod("a", "1", 9), pod("b", "2", 1)], {"a"}),
    ([pod("a", "1", 0), pod("b", "2", 5), pod("c", "2", 3)], {"b", "c"}),
    ([pod("a", "1"), pod("b", "2")], set()),
    ([pod("a", "1"), pod("restore", "", 60)], {"a"}),
    ([pod("a"), pod("b", "", 1)], {"a", "b"}),
]


@pytest.mark.parametrize(("pods", "speaking"), ROLLING)
def test_while_a_rollout_is_under_way_the_newest_templates_pods_speak(pods: list[Pod], speaking: set[str]) -> None:
    assert {each.name for each in speakers(pods)} == speaking
    for name in {each.name for each in pods} | {"gone"}:
        assert is_current(seen("True", AS_ROLE, name), pods) is (name in speaking)


def test_a_tie_of_two_templates_waits_for_the_rollout() -> None:
    link = named(chain(seen("True", AS_ROLE, "a"), pod("a", "1"), pod("b", "2")), "probe")
    assert link.state is State.UNKNOWN
    assert link.fix == "kubectl rollout status deployment vector -n mxp-1-system --timeout=5m"


seconds = st.integers(-600, 600)


@given(tried=seconds, skew=st.integers(-3, 3), started=seconds, by=st.sampled_from(["old", "new"]))
def test_who_is_named_decides_and_no_clock_does(tried: int, skew: int, started: int, by: str) -> None:
    said = seen("True", f"{AS_ROLE}, last at {at(tried + skew)}", by, at(tried))
    assert is_current(said, [pod("new", "2", started)]) is (by == "new")


@given(tried=seconds, skew=st.integers(-int(SKEW.total_seconds()), int(SKEW.total_seconds())), started=seconds)
def test_of_a_pod_without_a_name_only_what_is_certainly_later_counts(tried: int, skew: int, started: int) -> None:
    said = seen("False", f"refused; tried last at {at(tried + skew)}, 1 segment kept", since=at(-10_000))
    counts = is_current(said, [pod("new", "2", started)])
    assert counts is (tried + skew - started > SKEW.total_seconds())
    assert not counts or tried > started


@given(message=st.text(), since=st.text(), created=st.text())
def test_times_that_nobody_can_read_prove_nothing_and_break_nothing(message: str, since: str, created: str) -> None:
    young = replace(pod("new"), created=created)
    assert not is_current(Condition("True", "Stored", message, since), [young]) or (since and created)
    link = named(
        with_condition(with_workload(irsa(), pods=(young,)), replace(seen("True", message), since=since)), "probe"
    )
    assert link.state in State
