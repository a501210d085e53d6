"""A new version goes from stage to stage, is held back where one does badly, and is taken back at once."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyless.api import Reason
from keyless.kube import condition_of
from keyless.shared_secrets.staging.plan import (
    STAGES,
    STUCK_AFTER,
    WAIT,
    Staging,
    StagingFault,
    held_of,
    is_new,
    revision_of,
    stage_sets,
    staging_of,
    waits_for,
)
from keyless.shared_secrets.staging.rows import ROTATED, row_of, unready, uses

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def annotated(**annotations):
    names = {"stages": STAGES, "wait": WAIT, "stuck": STUCK_AFTER}
    return {"metadata": {"annotations": {names[key]: value for key, value in annotations.items()}}}


@pytest.mark.parametrize(
    ("text", "planes", "sets"),
    [
        ("25%", "abcdefgh", ["ab", "abcdefgh"]),
        ("1, 50%", "abcd", ["a", "ab", "abcd"]),
        ("d, 50%", "abcd", ["d", "ad", "abcd"]),
        ("d,c", "abcd", ["d", "cd", "abcd"]),
        ("10%", "abc", ["a", "abc"]),
        ("100%", "abc", ["abc"]),
        ("5, 2", "abcdef", ["abcde", "abcdef"]),
        ("gone, 1", "ab", ["a", "ab"]),
        ("gone", "ab", ["ab"]),
        ("1", "a", ["a"]),
    ],
)
def test_stages_are_names_numbers_and_shares(text, planes, sets):
    assert stage_sets(staging_of(annotated(stages=text)), planes) == [frozenset(one) for one in sets]


@pytest.mark.parametrize(
    "annotations",
    [
        {"stages": ""},
        {"stages": "1,,2"},
        {"stages": "0%"},
        {"stages": "101%"},
        {"stages": "x%"},
        {"stages": "1", "wait": "soon"},
        {"stages": "1", "wait": "-5m"},
        {"stages": "1", "stuck": "x"},
        {"stages": ",".join("1" * 21)},
    ],
)
def test_what_says_nothing_is_a_fault_that_names_the_annotation(annotations):
    with pytest.raises(StagingFault, match=r"keyless\.dev/rotation-"):
        staging_of(annotated(**annotations))


def test_without_the_annotation_nothing_is_staged():
    assert staging_of({"metadata": {}}) is None


@given(
    st.lists(st.one_of(st.sampled_from("abcdexyz"), st.integers(0, 9).map(str), st.integers(1, 100).map("{}%".format)),
             min_size=1, max_size=5),
    st.sets(st.sampled_from("abcdefgh"), min_size=1),
)  # fmt: skip
def test_each_stage_holds_the_one_before_and_the_last_is_everybody(parts, planes):
    sets = stage_sets(Staging(tuple(parts)), planes)
    assert all(before < after for before, after in itertools.pairwise(sets))
    assert sets[0]
    assert sets[-1] == planes


def source(version, offered=None, key="k"):
    row = {"store": "aws", "storeKind": "ClusterSecretStore", "key": key, "version": version}
    return {**row, "seenVersion": offered} if offered and offered != version else row


def external_secret(version, offered=None, ready=True):
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    sources = [source(version, offered)] if version else []
    return {"metadata": {"namespace": "n", "name": "e"}, "status": {"conditions": conditions, "sources": sources}}


def revision(version):
    return revision_of(held_of([source(version)]))


def test_what_the_spec_names_anew_is_no_rotation():
    held = held_of([source("1")])
    assert not is_new(held, held_of([source("1"), source("9", key="other")]))
    assert is_new(held, held_of([source("2"), source("9", key="other")]))
    assert held_of([{"store": "aws", "find": True}]) is None


class Fleet:
    """Control planes that take what they may, as their controllers do: everything they know is in the rows."""

    def __init__(self, staging, planes):
        self.staging, self.planes, self.now = staging, list(planes), NOON
        self.holds, self.healthy = dict.fromkeys(planes, "1"), dict.fromkeys(planes, True)
        self.offered, self.seen, self.rows = "1", dict.fromkeys(planes, "1"), {}
        self.taken = []
        for plane in planes:
            self.say(plane)

    @property
    def shared(self):
        provisioned = [{"controlPlane": plane} for plane in self.planes]
        return {"metadata": {}, "status": {"rotation": list(self.rows.values()), "provisioned": provisioned}}

    def say(self, plane):
        troubles = () if self.healthy[plane] else ("Deployment n/app: 0 of 1 available",)
        one = external_secret(self.holds[plane], self.seen[plane])
        self.rows[plane] = row_of(self.staging, plane, [one], self.shared, troubles, self.now)

    def read(self, plane):
        self.seen[plane] = self.offered
        if self.offered != self.holds[plane]:
            waits = waits_for(self.staging, plane, self.planes, self.rows, revision(self.offered), self.now)
            if waits is None:
                self.taken.append((plane, self.offered))
                self.holds[plane] = self.offered
        return self.holds[plane]

    def said(self, plane):
        return condition_of(self.rows[plane]["conditions"], ROTATED)


steps = st.one_of(
    st.tuples(st.sampled_from(["read", "say", "break", "mend"]), st.integers(0, 5)),
    st.tuples(st.just("rotate"), st.integers(1, 4)),
    st.tuples(st.just("pass"), st.sampled_from([1, 30, 400])),
)


@settings(deadline=None)
@given(st.sampled_from(["1", "1,50%", "f", "34%,c"]), st.sampled_from([0, 60]), st.lists(steps, max_size=60))
def test_a_rotation_may_be_stopped_anywhere_and_comes_to_its_end(stages, wait, story):
    fleet = Fleet(Staging(tuple(stages.split(",")), wait), "abcdef")
    sets = stage_sets(fleet.staging, fleet.planes)
    for what, number in story:
        plane = fleet.planes[number % 6]
        if what == "read":
            rows, before = dict(fleet.rows), len(fleet.taken)
            fleet.read(plane)
            stage = next(at for at, one in enumerate(sets) if plane in one)
            if len(fleet.taken) > before and stage:
                good = [rows[one] for one in sets[stage - 1]]
                known = {row["revision"] for name, row in rows.items() if name not in sets[stage]}
                assert all(row["revision"] == revision(fleet.offered) and row["ready"] for row in good) or (
                    revision(fleet.offered) in known
                ), "a stage began before the one before it did well"
        elif what == "say":
            fleet.say(plane)
        elif what in {"break", "mend"}:
            fleet.healthy[plane] = what == "mend"
        elif what == "rotate":
            fleet.offered = str(number)
        else:
            fleet.now += timedelta(seconds=number)
    # However it stood: once all do well and the provider rests, all come to hold what it has.
    fleet.healthy = dict.fromkeys(fleet.planes, True)
    for _ in range(2 * len(sets) + 1):
        for plane in fleet.planes:
            fleet.read(plane)
            fleet.say(plane)
        fleet.now += timedelta(seconds=wait + 1)
    assert set(fleet.holds.values()) == {fleet.offered}
    for plane in fleet.planes:
        fleet.say(plane)
        assert fleet.said(plane)["reason"] == Reason.ROTATION_COMPLETE


def test_a_withdrawn_version_never_reaches_the_later_stages_and_is_taken_back_at_once():
    fleet = Fleet(Staging(("1", "50%"), 600), "abcd")
    fleet.now += timedelta(hours=1)
    fleet.offered = "2"
    for plane in "abcd":
        fleet.read(plane)
        fleet.say(plane)
    assert fleet.holds == {"a": "2", "b": "1", "c": "1", "d": "1"}
    assert fleet.said("c")["reason"] == Reason.WAITING_FOR_STAGE
    fleet.now += timedelta(minutes=11)
    fleet.read("b")
    fleet.say("a")
    fleet.say("b")
    assert fleet.holds["b"] == "2"
    fleet.offered = "1"
    assert fleet.read("b") == "1", "d never left it: nothing has to be waited for"
    assert fleet.read("a") == "1"
    assert {version for plane, version in fleet.taken if plane in "cd"} == set()


def test_one_that_came_later_proves_nothing_by_what_it_holds():
    fleet = Fleet(Staging(("1",), 600), "abc")
    fleet.now += timedelta(hours=1)
    fleet.offered = "2"
    fleet.planes.append("d")
    fleet.holds["d"], fleet.healthy["d"], fleet.seen["d"] = "2", True, "2"
    fleet.say("d")
    assert fleet.read("b") == "1"


def test_a_stage_that_does_badly_holds_the_others_back_and_is_called_stuck():
    fleet = Fleet(Staging(("1",), 0, 600), "ab")
    fleet.offered = "2"
    fleet.read("a")
    fleet.healthy["a"] = False
    fleet.say("a")
    fleet.read("b")
    fleet.say("b")
    assert fleet.said("a")["reason"] == Reason.WORKLOADS_NOT_READY
    assert fleet.said("b") | {"lastTransitionTime": ""} == {
        "type": ROTATED,
        "status": "False",
        "reason": Reason.WAITING_FOR_STAGE,
        "message": "stage 2 of 2 waits for a, whose workloads are not ready (Deployment n/app: 0 of 1 available)",
        "lastTransitionTime": "",
    }
    fleet.now += timedelta(seconds=601)
    fleet.say("b")
    assert fleet.said("b")["reason"] == Reason.ROTATION_STUCK
    fleet.healthy["a"] = True
    fleet.say("a")
    assert fleet.read("b") == "2"


POD = {
    "volumes": [{"secret": {"secretName": "v"}}, {"projected": {"sources": [{"secret": {"name": "p"}}, {}]}}, {}],
    "imagePullSecrets": [{"name": "i"}],
    "containers": [{"env": [{"valueFrom": {"secretKeyRef": {"name": "e"}}}, {"value": "x"}]}],
    "initContainers": [{"envFrom": [{"secretRef": {"name": "f"}}, {"configMapRef": {"name": "m"}}]}],
}


def test_a_workload_uses_a_secret_wherever_its_pods_may_name_one():
    workload = {"spec": {"template": {"spec": POD}}}
    assert [uses(workload, name) for name in "vpiefmx"] == [True] * 5 + [False] * 2
    assert not uses({}, "x")


@pytest.mark.parametrize(
    ("kind", "spec", "status", "text"),
    [
        ("Deployment", {"replicas": 2}, {"observedGeneration": 2, "availableReplicas": 2, "updatedReplicas": 2}, ""),
        ("Deployment", {}, {"observedGeneration": 2, "availableReplicas": 1, "updatedReplicas": 0}, "0 of 1"),
        ("Deployment", {"replicas": 0}, {"observedGeneration": 2}, ""),
        ("StatefulSet", {"replicas": 3}, {"observedGeneration": 1}, "not seen yet"),
        ("DaemonSet", {}, {"observedGeneration": 2, "desiredNumberScheduled": 2, "numberAvailable": 1}, "0 of 2"),
        ("DaemonSet", {}, {"observedGeneration": 2}, ""),
    ],
)
def test_a_workload_is_ready_when_it_runs_as_its_spec_says(kind, spec, status, text):
    workload = {"metadata": {"namespace": "n", "name": "w", "generation": 2}, "spec": spec, "status": status}
    assert (text in unready(workload, kind)) if text else unready(workload, kind) == ""
