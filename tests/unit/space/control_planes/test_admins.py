"""Groups of the host that a ControlPlane names administer it, and no others do."""

from __future__ import annotations

import pytest

from keyless.kube.resources import CLUSTERROLEBINDINGS
from keyless.space.control_planes.admins import ANNOTATION, KEY
from keyless.space.values import Values
from unit.space.world import BILLING, CTP1, World


async def bound(world: World) -> list[str]:
    inside = world.inside(await world.host_namespace())
    found = [each for each in inside.stored(CLUSTERROLEBINDINGS) if each["metadata"]["name"] == KEY.name]
    assert all(each["roleRef"]["name"] == "cluster-admin" for each in found)
    return [subject["name"] for each in found for subject in each["subjects"]]


async def annotate(world: World, groups: str | None) -> None:
    from keyless.kube.resources import CONTROLPLANES

    await world.host.patch(
        CONTROLPLANES, CTP1.name, {"metadata": {"annotations": {ANNOTATION: groups}}}, CTP1.namespace
    )
    await world.settle()


@pytest.mark.parametrize(
    "values",
    [Values(billing=BILLING, mode="kubernetes"), Values(billing=BILLING, mode="logical")],
    ids=["own", "logical"],
)
async def test_named_groups_administer_it_until_they_are_not_named_any_more(values: Values) -> None:
    world = World(values)
    world.create(metadata={"annotations": {ANNOTATION: "team-a, team-b,,team-a"}})
    await world.settle()
    assert await bound(world) == ["team-a", "team-b"]
    await annotate(world, "team-b")
    assert await bound(world) == ["team-b"]
    await annotate(world, None)
    assert await bound(world) == []


async def test_by_default_nobody_from_the_host_has_a_right_inside() -> None:
    world = World()
    world.create()
    await world.settle()
    assert await bound(world) == []


async def test_a_group_that_means_something_inside_is_refused_and_the_others_hold() -> None:
    world = World()
    world.create(metadata={"annotations": {ANNOTATION: "system:authenticated,team-a,keyless:x"}})
    await world.settle()
    assert await bound(world) == ["team-a"]
    condition = await world.condition("Synced")
    assert condition is not None
    assert condition["reason"] == "AccessDenied"
    assert "system:authenticated, keyless:x" in condition["message"]


async def test_where_its_api_is_told_with_its_ca() -> None:
    world = World()
    world.create()
    await world.settle()
    api = (await world.plane())["status"]["api"]
    assert api["mode"] in ("logical", "kubernetes")
    assert api["server"].startswith("https://")
    assert api["caBundle"]
