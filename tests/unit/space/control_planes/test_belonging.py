"""One API server brought twice: one control plane has it, the other is told so and takes nothing away from it."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.kube import KubeObject, Name
from keyless.kube.resources import (
    CLUSTERROLEBINDINGS,
    CLUSTERROLES,
    CONTROLPLANES,
    DEPLOYMENTS,
    NAMESPACES,
    SECRETS,
    SERVICEACCOUNTS,
)
from keyless.space.items import CONTROL_PLANE_LABEL, OURS
from keyless.space.values import Values
from unit.space.world import BILLING, CTP1, Interrupted, World

CTP2 = Name("default", "ctp2")
BOTH = (CTP1, CTP2)
API = "team-b"
RIGHTS = {"keyless:vector", "keyless:external-secrets", "keyless:operator"}


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World(Values(mode="attached", billing=BILLING))
    yield made
    await made.tenants.aclose()


def _bring(world: World, name: Name, api: str = API) -> None:
    data = {"server": f"https://example.test/{api}", "ca.crt": "PEM", "token": "word"}
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    world.host.put(SECRETS, {"metadata": {"name": f"{name.name}-api", "namespace": "default"}, "data": encoded})
    world.create(name, metadata={"annotations": {"keyless.dev/attached-secret": f"{name.name}-api"}})


async def _settle(world: World, names: Sequence[Name] = BOTH) -> None:
    """Twice each: what one lets go of, the other takes up at its next look."""
    for name in (*names, *names):
        await world.settle(name)


async def _delete(world: World, name: Name) -> None:
    if await world.exists(CONTROLPLANES, name.name, name.namespace):
        await world.host.delete(CONTROLPLANES, name.name, name.namespace)


async def _ready(world: World, name: Name) -> tuple[str, str]:
    found = await world.condition("Ready", name)
    return (found["status"], found["reason"]) if found else ("", "")


async def _planes(world: World) -> dict[str, KubeObject]:
    """By id."""
    found = [await world.plane(name) for name in BOTH if await world.exists(CONTROLPLANES, name.name, name.namespace)]
    return {each.get("status", {}).get("controlPlaneID", each["metadata"]["name"]): each for each in found}


def _inside(world: World) -> dict[str, list[str]]:
    kube = world.inside(API)
    resources = (NAMESPACES, CLUSTERROLES, CLUSTERROLEBINDINGS, SERVICEACCOUNTS)
    names = {res.plural: sorted(one["metadata"]["name"] for one in kube.stored(res)) for res in resources}
    return {**names, "namespaces": [name for name in names["namespaces"] if name == "keyless-system"]}


def _uids(world: World) -> set[str]:
    """Of all that is inside."""
    return {each["metadata"]["uid"] for _, each in world.inside(API)._server.objects.items()}


def _holder(world: World) -> str:
    return str(_namespace(world)["metadata"]["labels"][CONTROL_PLANE_LABEL])


def _namespace(world: World) -> KubeObject:
    named = [each for each in world.inside(API).stored(NAMESPACES) if each["metadata"]["name"] == "keyless-system"]
    return named[0]


async def _others(world: World, name: Name) -> set[str]:
    """All that is inside, where it is another's than the one of this name."""
    planes = await _planes(world)
    holds = planes.get(_holder(world)) if _inside(world)["namespaces"] else None
    return _uids(world) if holds is not None and _name(holds) != name else set()


async def _check(world: World) -> None:
    """One of those that are there has it and all that belongs to it; with the last of them all of it is gone."""
    planes = await _planes(world)
    if not planes:
        assert not any(_inside(world).values())
        return
    ready = {key: await _ready(world, _name(each)) for key, each in planes.items()}
    holder = _holder(world)
    assert ready == {key: ("True", "Available") if key == holder else ("False", "AlreadyAttached") for key in planes}
    assert set(_inside(world)["clusterroles"]) == RIGHTS
    assert {"operator", "vector", "external-secrets"} <= set(_inside(world)["serviceaccounts"])
    places = {planes[holder]["status"]["hostNamespace"]}
    assert {each["metadata"]["namespace"] for each in world.host.stored(DEPLOYMENTS)} == places


def _name(plane: KubeObject) -> Name:
    return Name(plane["metadata"]["namespace"], plane["metadata"]["name"])


async def test_the_second_of_two_on_one_api_is_told_of_the_first(world: World) -> None:
    for name in BOTH:
        _bring(world, name)
    await _settle(world)
    await _check(world)
    said = await world.condition("Ready", CTP2)
    assert said is not None
    first = await world.plane(CTP1)
    assert f"belongs to control plane default/ctp1 ({first['status']['controlPlaneID']})" in said["message"]


@pytest.mark.parametrize("name", BOTH, ids=("the first", "the second"))
async def test_the_end_of_either_takes_nothing_that_the_other_stands_on(world: World, name: Name) -> None:
    for each in BOTH:
        _bring(world, each)
    await _settle(world)
    before = _uids(world)
    await _delete(world, name)
    await world.settle(name)
    if name == CTP2:
        assert _uids(world) == before  # not made again: left alone
    await _settle(world)
    await _check(world)


async def test_the_printed_label_hands_over_what_a_control_plane_left_that_is_no_more(world: World) -> None:
    lost = {"name": "keyless-system", "labels": {CONTROL_PLANE_LABEL: "lost", **OURS}}
    world.inside(API).put(NAMESPACES, {"metadata": lost})
    _bring(world, CTP1)
    await world.settle(CTP1)
    said = await world.condition("Ready", CTP1)
    assert said is not None
    command = said["message"].partition("`kubectl label --overwrite namespace keyless-system ")[2].partition("`")[0]
    labels = dict(word.split("=") for word in command.split())
    await world.inside(API).patch(NAMESPACES, "keyless-system", {"metadata": {"labels": labels}})
    await _settle(world, [CTP1])
    await _check(world)


async def test_a_namespace_of_that_name_that_somebody_made_is_neither_used_nor_removed(world: World) -> None:
    world.inside(API).put(NAMESPACES, {"metadata": {"name": "keyless-system"}})
    _bring(world, CTP1)
    await world.settle(CTP1)
    assert await _ready(world, CTP1) == ("False", "AlreadyAttached")
    await _delete(world, CTP1)
    await world.settle(CTP1)
    assert _inside(world) == {
        "namespaces": ["keyless-system"], "clusterroles": [], "clusterrolebindings": [], "serviceaccounts": [],
    }  # fmt: skip


async def test_what_an_older_release_made_unmarked_is_the_first_ones_and_the_other_stops_counting(
    world: World,
) -> None:
    for name in BOTH:
        _bring(world, name)
    await world.settle(CTP1)
    first = _namespace(world)
    # As two of them were before there was a mark: both ready, each with its components.
    world.inside(API).put(NAMESPACES, _labelled(first, None))
    host = await world.plane(CTP1)
    world.inside(API).put(NAMESPACES, _labelled(first, "ctp2 for now"))
    await world.settle(CTP2)
    id_of_second = (await world.plane(CTP2))["status"]["controlPlaneID"]
    world.inside(API).put(NAMESPACES, _labelled(first, id_of_second))
    await world.settle(CTP2)
    assert len({each["metadata"]["namespace"] for each in world.host.stored(DEPLOYMENTS)}) == 2
    world.inside(API).put(NAMESPACES, _labelled(first, None))
    await _settle(world)
    await _check(world)
    assert _holder(world) == host["status"]["controlPlaneID"]


def _labelled(namespace: KubeObject, control_plane_id: str | None) -> KubeObject:
    mark = {CONTROL_PLANE_LABEL: control_plane_id} if control_plane_id else {}
    metadata = {key: value for key, value in namespace["metadata"].items() if key != "resourceVersion"}
    return {**namespace, "metadata": {**metadata, "labels": {**OURS, **mark}}}


async def test_rights_whose_namespace_somebody_removed_still_go_with_their_control_plane(world: World) -> None:
    _bring(world, CTP1)
    await world.settle(CTP1)
    await world.inside(API).delete(NAMESPACES, "keyless-system")
    await _delete(world, CTP1)
    await world.settle(CTP1)
    assert not any(_inside(world).values())


async def test_two_control_planes_of_one_group_do_not_write_over_each_others_connection(world: World) -> None:
    for name, api in zip(BOTH, (API, "team-c"), strict=True):
        _bring(world, name, api)
        world.host.put(
            CONTROLPLANES, {**await world.plane(name), "spec": {"writeConnectionSecretToRef": {"name": "kubeconfig"}}}
        )
    await _settle(world)
    first, second = [await world.plane(name) for name in BOTH]
    written = await world.host.get(SECRETS, "kubeconfig", "default")
    assert [each["uid"] for each in written["metadata"]["ownerReferences"]] == [first["metadata"]["uid"]]
    synced = next(each for each in second["status"]["conditions"] if each["type"] == "Synced")
    assert (synced["status"], synced["reason"]) == ("False", "ConnectionSecretRefused")


STOPS = st.none() | st.integers(0, 30)
ACTS = st.tuples(st.sampled_from(("delete", "delete", "create", "look")), st.sampled_from(BOTH), STOPS)
FIRST = st.permutations(BOTH).flatmap(
    lambda names: st.tuples(*(st.tuples(st.just("create"), st.just(one), STOPS) for one in names))
)


@given(acts=st.tuples(FIRST, st.lists(ACTS, min_size=1, max_size=4)).map(lambda both: [*both[0], *both[1]]))
@effort(6)
async def test_in_every_order_and_wherever_the_operator_is_killed_one_has_it_whole(
    acts: list[tuple[str, Name, int | None]],
) -> None:
    """Each act is stopped at a write, or runs to its end; another operator goes on, which remembers nothing."""
    world = World(Values(mode="attached", billing=BILLING))
    for act, name, stop in acts:
        if act == "create" and not await world.exists(CONTROLPLANES, name.name, name.namespace):
            _bring(world, name)
        others = await _others(world, name)
        if act == "delete":
            await _delete(world, name)
        world.fail_at(stop)
        with contextlib.suppress(Interrupted):
            await world.settle(name)
        world.fail_at(None)
        assert others <= _uids(world)
        if stop is not None:
            await world.tenants.aclose()
            world.start()
    await _settle(world)
    await _check(world)
    await world.tenants.aclose()
