"""The operator comes to rest whatever form the API server keeps its objects in, and says so where it cannot."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.kube import KubeObject, NotFound
from keyless.kube.memory import MemoryKube
from keyless.kube.resources import DEPLOYMENTS, NAMESPACES, SERVICEACCOUNTS
from keyless.space import components
from keyless.space.items import FIELD_MANAGER, Item
from keyless.space.place import Place
from keyless.space.settling import (
    CORRECTIONS,
    FORGOTTEN_AFTER,
    Applied,
    after_writing,
    changed_fields,
    covers,
    due_in_seconds,
    is_contested,
)
from keyless.space.values import Persistence, Values, Workload
from unit.space.world import BILLING, CTP1, NOON, World, as_stored

PLACE = Place("ctp1", "default", "u", "0c1de7a4-0000-4000-8000-000000000000", "mxp-0c1de7a4-system")
QUANTITIES = [1, 2, 0.5, "1", "0.5", "1000m", "1.5", "100m", "1e3", "1024Mi", "0.5Gi", "1Gi", 1073741824, "1048576Ki"]
FORMS = {
    **{f"cpu {text!r}": {"resources": {"limits": {"cpu": text}}} for text in QUANTITIES},
    **{f"memory {text!r}": {"resources": {"requests": {"memory": text}}} for text in QUANTITIES},
    "a toleration with empty fields": {
        "scheduling": {"tolerations": [{"key": "a", "operator": "Equal", "value": "", "effect": ""}]}
    },
    "a toleration without a key": {"scheduling": {"tolerations": [{"operator": "Exists", "key": "", "value": ""}]}},
    "seconds of a toleration": {
        "scheduling": {"tolerations": [{"key": "a", "operator": "Exists", "tolerationSeconds": 0}]}
    },
    "empty sections": {"resources": {"limits": {}, "requests": {}}, "scheduling": {"affinity": {"nodeAffinity": {}}}},
    "null sections": {"resources": {"limits": None}, "scheduling": {"affinity": {"podAffinity": None}}},
    "empty lists": {
        "scheduling": {"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": []}}}
    },
    "a term that selects nothing": {
        "scheduling": {
            "affinity": {
                "nodeAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": {
                        "nodeSelectorTerms": [
                            {"matchExpressions": [{"key": "a", "operator": "Exists", "values": []}], "matchFields": []}
                        ]
                    }
                }
            }
        }
    },
    "a spread with its defaults left out": {
        "scheduling": {
            "topologySpreadConstraints": [
                {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "minDomains": None}
            ]
        }
    },
    "an empty label": {"pod_labels": {"team": ""}},
    "an empty annotation": {"annotations": {"team": ""}},
    "an empty node selector": {"scheduling": {"nodeSelector": {"disk": ""}}},
}


@pytest.fixture
async def world():
    made = World()
    yield made
    await made.tenants.aclose()


def _values(workload: Workload) -> Values:
    return Values(billing=BILLING, vector=workload, external_secrets=workload, persistence=Persistence(True, "1024Mi"))


async def _rests(workload: Workload) -> None:
    """One write of each object, then none; and an operator that has just started makes no new version of any."""
    kube = MemoryKube()
    kube.admit = lambda operation, plural, obj: as_stored(obj)
    kube.put(NAMESPACES, {"metadata": {"name": PLACE.host_namespace}})
    for component in components.wanted(_values(workload), PLACE, volume=True):
        for wanted in (*component.before, component.deployment):
            known: Applied | None = None
            for _ in range(2):
                before = await _found(kube, wanted)
                if due_in_seconds(wanted, before, known, NOON) is not None:
                    after = await kube.apply(wanted.resource, wanted.object, field_manager=FIELD_MANAGER)
                    known = after_writing(wanted, before, after, known, NOON)
            live = await _found(kube, wanted)
            assert due_in_seconds(wanted, live, known, NOON) is None
            assert known is not None
            assert known.corrections == 0
            again = await kube.apply(wanted.resource, wanted.object, field_manager=FIELD_MANAGER)
            assert again == live
            assert after_writing(wanted, live, again, None, NOON).fields == ()


async def _found(kube: MemoryKube, wanted: Item) -> KubeObject | None:
    try:
        return await kube.get(wanted.resource, wanted.key.name, wanted.key.namespace or None)
    except NotFound:
        return None


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
async def test_a_value_in_any_form_is_written_once(form: dict[str, Any]) -> None:
    await _rests(Workload(**form))


@pytest.mark.parametrize("form", ["cpu 1", "memory '1024Mi'", "a toleration with empty fields", "null sections"])
async def test_the_loop_comes_to_rest_in_three_rounds_and_over_a_restart(world: World, form: str) -> None:
    world.create()
    await world.settle()
    world.values = _values(Workload(**FORMS[form]))
    for _ in range(3):
        await world.loop.reconcile(CTP1)
        world.play()
    version = world.host._server.objects.version
    await world.loop.reconcile(CTP1)
    world.writes = 0
    await world.loop.reconcile(CTP1)
    assert world.writes == 0, "what is known to be settled is not even asked for"
    world.start()
    await world.settle()
    assert world.host._server.objects.version == version
    assert (await world.condition("Synced"))["status"] == "True"


numbers = st.integers(0, 10**6) | st.decimals(0, 10**4, places=3).map(float)
quantities = st.builds(
    lambda number, suffix: f"{number}{suffix}" if suffix else number,
    numbers,
    st.sampled_from(["", "m", "k", "Ki", "M", "Mi", "G", "Gi"]),
)
amounts = st.dictionaries(st.sampled_from(["cpu", "memory", "ephemeral-storage", "example.org/gpu"]), quantities)
words = st.sampled_from(["", "a", "NoSchedule"])
tolerations = st.fixed_dictionaries(
    {"operator": st.sampled_from(["Exists", "Equal", ""])},
    optional={
        "key": words,
        "value": words,
        "effect": st.sampled_from(["", "NoSchedule"]),
        "tolerationSeconds": numbers.map(int),
    },
)
selectors = st.fixed_dictionaries({}, optional={"matchLabels": st.dictionaries(st.sampled_from("ab"), words)})
terms = st.fixed_dictionaries(
    {"topologyKey": st.just("zone")},
    optional={
        "labelSelector": selectors | st.none(),
        "namespaces": st.lists(st.sampled_from("ab")),
        "matchLabelKeys": st.just([]),
    },
)
workloads = st.builds(
    Workload,
    annotations=st.dictionaries(st.sampled_from("ab"), words),
    pod_labels=st.dictionaries(st.sampled_from("ab"), words),
    resources=st.fixed_dictionaries(
        {}, optional={"limits": amounts | st.none(), "requests": amounts, "claims": st.just([])}
    ),
    scheduling=st.fixed_dictionaries(
        {},
        optional={
            "tolerations": st.lists(tolerations, max_size=3),
            "nodeSelector": st.dictionaries(st.sampled_from("ab"), words),
            "affinity": st.fixed_dictionaries(
                {},
                optional={
                    "nodeAffinity": st.just({}) | st.none(),
                    "podAntiAffinity": st.fixed_dictionaries(
                        {}, optional={"requiredDuringSchedulingIgnoredDuringExecution": st.lists(terms, max_size=2)}
                    ),
                },
            ),
        },
    ),
)


@given(workload=workloads)
@effort(25)
async def test_whatever_a_pod_is_given_it_is_written_once(workload: Workload) -> None:
    await _rests(workload)


async def test_a_change_by_hand_is_put_back(world: World) -> None:
    world.create()
    await world.settle()
    namespace = await world.host_namespace()
    await world.host.patch(SERVICEACCOUNTS, "vector", {"metadata": {"labels": None}}, namespace)
    await world.settle()
    labels = (await world.host.get(SERVICEACCOUNTS, "vector", namespace))["metadata"]["labels"]
    assert labels["app.kubernetes.io/managed-by"] == "spaces-operator"
    assert (await world.condition("Synced"))["status"] == "True"


async def test_what_someone_adds_is_left_alone(world: World) -> None:
    world.create()
    await world.settle()
    namespace = await world.host_namespace()
    sidecar = {"name": "sidecar", "image": "proxy:1"}
    live = await world.host.get(DEPLOYMENTS, "vector", namespace)
    containers = [*live["spec"]["template"]["spec"]["containers"], sidecar]
    await world.host.patch(
        DEPLOYMENTS, "vector", {"spec": {"template": {"spec": {"containers": containers}}}}, namespace
    )
    await world.settle()
    kept = (await world.host.get(DEPLOYMENTS, "vector", namespace))["spec"]["template"]["spec"]["containers"]
    assert [each["name"] for each in kept] == ["vector", "sidecar"]
    world.writes = 0
    await world.loop.reconcile(CTP1)
    assert world.writes == 0


async def test_two_that_fight_are_told_apart_and_others_go_on(world: World) -> None:
    world.create()
    await world.settle()
    namespace = await world.host_namespace()
    key = components.deployment_key("vector", PLACE)

    async def undo() -> None:
        await world.host.patch(key.resource, "vector", {"spec": {"replicas": 0}}, namespace)

    world.writes = 0
    for _ in range(60):
        await undo()
        await world.loop.reconcile(CTP1)
        world.clock += timedelta(seconds=5)
    told = await world.condition("Synced")
    assert (told["status"], told["reason"]) == ("False", "NotSettled")
    assert f"Deployment vector in namespace {namespace}" in told["message"]
    assert "spec.replicas was changed back" in told["message"]
    assert f"`kubectl get deployments vector -n {namespace} -o yaml --show-managed-fields`" in told["message"]
    assert (await world.condition("Ready"))["status"] == "True"
    applies = [call for call in world.host.calls if call.startswith("PATCH") and call.endswith("deployments/vector")]
    assert len(applies) - 60 < 14, "5 minutes of fighting, and waits that double"
    other = type(CTP1)("default", "ctp2")
    world.create(other)
    await world.settle(other)
    assert (await world.condition("Synced", other))["status"] == "True"
    world.clock += FORGOTTEN_AFTER
    await world.settle()
    assert (await world.condition("Synced"))["status"] == "True", "the other one gave up"
    assert (await world.host.get(DEPLOYMENTS, "vector", namespace))["spec"]["replicas"] == 1


async def test_an_admission_that_answers_otherwise_each_time_is_a_condition_and_no_loop(world: World) -> None:
    turns = iter(range(10**6))

    def meddle(plural: str, obj: KubeObject) -> KubeObject:
        return {**obj, "spec": {**obj["spec"], "revisionHistoryLimit": next(turns)}} if plural == "deployments" else obj

    world.meddle = meddle
    world.create()
    for _ in range(40):
        await world.loop.reconcile(CTP1)
        world.play()
        await asyncio.sleep(0.2)
        world.clock += timedelta(seconds=1)
    told = await world.condition("Synced")
    assert (told["status"], told["reason"]) == ("False", "NotSettled")
    assert "spec.revisionHistoryLimit" in told["message"]
    assert (await world.condition("Ready"))["status"] == "True"


async def test_steps_without_end_are_named_and_waited_for(world: World) -> None:
    """Tokens that are past their half life when they are issued: the control plane's clock is hours behind."""
    world.create()
    await world.settle()
    inside = world.inside(await world.host_namespace())
    inside._server._now = lambda: world.clock - timedelta(hours=2)
    world.clock += timedelta(hours=1)
    waits = [await world.loop.reconcile(CTP1) for _ in range(3)]
    assert waits == [5.0, 10.0, 20.0]
    told = await world.condition("Synced")
    assert (told["status"], told["reason"]) == ("False", "NotSettled")
    assert "issue the token in Secret kubeconfig-vector" in told["message"]
    assert (await world.condition("Ready"))["status"] == "True"
    inside._server._now = lambda: world.clock
    await world.settle()
    assert (await world.condition("Synced"))["status"] == "True"


def _wanted() -> Any:
    return components.external_secrets(Values(), PLACE).deployment


def _live(version: str = "1", **spec: Any) -> KubeObject:
    stored = as_stored(_wanted().object)
    metadata = {**stored["metadata"], "uid": "u", "resourceVersion": version}
    return {**stored, "metadata": metadata, "spec": {**stored["spec"], **spec}}


def test_an_object_is_due_when_we_or_someone_else_changed_our_mind() -> None:
    wanted, known = _wanted(), None
    assert due_in_seconds(wanted, None, known, NOON) == 0
    known = after_writing(wanted, None, _live("1"), None, NOON)
    assert due_in_seconds(wanted, _live("1"), known, NOON) is None
    assert due_in_seconds(wanted, _live("2", replicas=3), known, NOON) == 0
    other = components.external_secrets(Values(image="keyless/keyless:9"), PLACE).deployment
    assert due_in_seconds(other, _live("1"), known, NOON) == 0, "we want something else"
    made_again = {**_live("1"), "metadata": {**_live("1")["metadata"], "uid": "w"}}
    assert due_in_seconds(wanted, {**made_again, "spec": {}}, known, NOON) == 0, "another object of the same name"


def test_a_write_that_changed_nothing_is_no_correction() -> None:
    wanted = _wanted()
    known = after_writing(wanted, None, _live("1"), None, NOON)
    known = after_writing(wanted, _live("2"), _live("3"), known, NOON + timedelta(seconds=1))
    assert (known.corrections, known.fields, known.version) == (0, ("all of it",), "3")


def test_the_waits_double_and_have_an_end() -> None:
    wanted, live = _wanted(), _live("2", replicas=3)
    known: Applied | None = None
    waits = []
    now = NOON
    for _ in range(14):
        due = due_in_seconds(wanted, live, known, now)
        assert due is not None
        waits.append(due)
        now += timedelta(seconds=due)
        known = after_writing(wanted, live, _live("1"), known, now)
    assert waits[: CORRECTIONS + 1] == [0.0] * (CORRECTIONS + 1)
    assert waits[CORRECTIONS + 1 :] == [2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 300.0, 300.0]
    assert known is not None
    assert is_contested(known, now)
    assert not is_contested(known, now + FORGOTTEN_AFTER)


@pytest.mark.parametrize(
    ("wanted", "before", "after", "fields"),
    [
        ({"a": {"b": 1}}, {"a": {"b": 2, "c": 1}}, {"a": {"b": 1, "c": 9}}, ["a.b"]),
        ({"a": 1}, {"a": 1, "c": 1}, {"a": 1, "c": 2}, []),
        ({"a": [{"x": 1}]}, {"a": [{"x": 2}]}, {"a": [{"x": 1}]}, ["a[0].x"]),
        ({"a": [1]}, {"a": [1, 2]}, {"a": [1]}, ["a"]),
        ({"a": {"b": 1}}, {}, {"a": {"b": 1}}, ["a"]),
    ],
)
def test_what_a_write_changed_is_named_by_its_path(wanted, before, after, fields) -> None:
    assert list(changed_fields(wanted, before, after)) == fields


@pytest.mark.parametrize(
    ("live", "wanted", "holds"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 2}, False),
        ({"a": [1, 2]}, {"a": [1]}, False),
        ({"a": [{"x": 1, "y": 2}]}, {"a": [{"x": 1}]}, True),
        ({}, {"a": {}}, True),
        ({}, {"a": []}, True),
        ({}, {"a": 1}, False),
    ],
)
def test_what_holds_letter_by_letter_needs_no_asking(live: object, wanted: object, holds: bool) -> None:
    assert covers(live, wanted) is holds
