"""Who serves a control plane's API: what the values say, else what it names, else what the host serves."""

from __future__ import annotations

import base64

import pytest

from keyless.api import Reason, Refusal
from keyless.kube import NotFound
from keyless.kube.errors import failure_status
from keyless.kube.resources import CONTROLPLANES, LOGICALCLUSTERS, SECRETS, STATEFULSETS
from keyless.kube.transport import Request
from keyless.space.parsing import parse_values
from keyless.space.values import Values
from unit.space.world import BILLING, CTP1, World

ANNOTATION = "keyless.dev/attached-secret"
UNREADABLE = Refusal(Reason.VALUES_INVALID, "values.json is not JSON")


@pytest.fixture
async def world():
    made = World()
    yield made
    await made.tenants.aclose()


def _serve_no_logical_clusters(world: World) -> None:
    counted = world.host.before

    def refuse(request: Request) -> None:
        if "/logicalclusters" in request.path:
            raise NotFound(failure_status(404, "NotFound", "the server could not find the requested resource"))
        counted(request)

    world.host.before = refuse


def _give_secret(world: World) -> None:
    data = {"server": "https://example.test/team-b", "ca.crt": "PEM", "token": "word"}
    encoded = {name: base64.b64encode(value.encode()).decode() for name, value in data.items()}
    world.host.put(SECRETS, {"metadata": {"name": "mine", "namespace": "default"}, "data": encoded})


# mode, does the host serve LogicalCluster, does the ControlPlane name a Secret → who serves it, or the refusal
CASES = [
    ("auto", True, False, "logical"),
    ("auto", True, True, "attached"),
    ("auto", False, True, "attached"),
    ("auto", False, False, "kubernetes"),
    ("kubernetes", True, False, "kubernetes"),
    ("kubernetes", True, True, "attached"),
    ("kubernetes", False, True, "attached"),
    ("logical", True, True, "logical"),
    ("attached", True, True, "attached"),
    ("attached", True, False, "AttachedSecretMissing"),
    ("attached", False, False, "AttachedSecretMissing"),
]


@pytest.mark.parametrize(("mode", "serves", "names", "outcome"), CASES)
async def test_who_serves_the_api(world: World, mode, serves: bool, names: bool, outcome: str) -> None:
    world.values = Values(mode=mode, billing=BILLING)
    _give_secret(world)
    if not serves:
        _serve_no_logical_clusters(world)
    world.create(metadata={"annotations": {ANNOTATION: "mine"} if names else {}})
    await world.settle()
    ready = await world.condition("Ready")
    assert ready is not None
    if outcome in ("logical", "attached", "kubernetes"):
        assert ready["status"] == "True"
        assert bool(world._objects(STATEFULSETS)) == (outcome == "kubernetes")
        assert ("team-b" in world.insides) == (outcome == "attached")
        assert bool(world._objects(LOGICALCLUSTERS)) == (outcome == "logical")
    else:
        assert (ready["status"], ready["reason"]) == ("False", outcome)
        assert f"`kubectl annotate controlplane ctp1 -n default {ANNOTATION}=SECRET`" in ready["message"]


async def test_a_control_plane_that_nobody_served_goes_on_once_it_names_its_api(world: World) -> None:
    world.values = Values(mode="attached", billing=BILLING)
    _give_secret(world)
    world.create()
    await world.settle()
    assert (await world.condition("Ready"))["reason"] == "AttachedSecretMissing"
    await world.host.patch(CONTROLPLANES, "ctp1", {"metadata": {"annotations": {ANNOTATION: "mine"}}}, "default")
    await world.settle()
    assert (await world.condition("Ready"))["status"] == "True"


async def test_while_the_values_cannot_be_read_no_api_server_is_chosen(world: World) -> None:
    world.values = UNREADABLE
    _serve_no_logical_clusters(world)
    world.create()
    await world.settle()
    assert (await world.condition("Ready"))["reason"] == "ValuesInvalid"
    assert not world._objects(STATEFULSETS)


@pytest.mark.parametrize("later", ["auto", "logical", "attached", "kubernetes"])
@pytest.mark.parametrize("first", ["logical", "attached", "kubernetes"])
async def test_no_change_of_the_mode_moves_a_control_plane_away_from_what_it_holds(world: World, first, later) -> None:
    world.values = Values(mode=first, billing=BILLING)
    _give_secret(world)
    world.create(metadata={"annotations": {ANNOTATION: "mine"} if first == "attached" else {}})
    await world.settle()
    before = world.snapshot()
    world.values = Values(mode=later, billing=BILLING)
    if first != "logical":
        _serve_no_logical_clusters(world)
    await world.settle()
    assert world.snapshot().keys() == before.keys()
    assert (await world.condition("Ready"))["status"] == "True"


@pytest.mark.parametrize("mode", ["auto", "kubernetes"])
async def test_one_that_was_attached_gets_no_api_server_when_it_names_none_any_more(world: World, mode) -> None:
    world.values = Values(mode=mode, billing=BILLING)
    _serve_no_logical_clusters(world)
    _give_secret(world)
    world.create(metadata={"annotations": {ANNOTATION: "mine"}})
    await world.settle()
    await world.host.patch(CONTROLPLANES, "ctp1", {"metadata": {"annotations": {ANNOTATION: None}}}, "default")
    await world.settle()
    assert not world._objects(STATEFULSETS)
    assert (await world.condition("Ready"))["status"] == "True"


@pytest.mark.parametrize("later", [Values(billing=BILLING), UNREADABLE], ids=["auto", "unreadable"])
async def test_an_upgrade_that_drops_the_mode_changes_no_attached_control_plane(world: World, later) -> None:
    world.values = Values(mode="attached", billing=BILLING)
    _give_secret(world)
    world.create(metadata={"annotations": {ANNOTATION: "mine"}})
    await world.settle()
    before = world.snapshot()
    world.values = later
    await world.settle()
    assert (await world.condition("Ready"))["status"] == "True"
    after = world.snapshot()
    assert after.keys() == before.keys()
    assert not world._objects(LOGICALCLUSTERS)


@pytest.mark.parametrize("later", [Values(billing=BILLING), UNREADABLE], ids=["auto", "unreadable"])
async def test_one_that_lives_in_a_logical_cluster_stays_there_whatever_it_names_later(world: World, later) -> None:
    _give_secret(world)
    world.create()
    await world.settle()
    world.values = later
    await world.host.patch(CONTROLPLANES, "ctp1", {"metadata": {"annotations": {ANNOTATION: "mine"}}}, "default")
    await world.settle()
    assert (await world.condition("Ready"))["status"] == "True"
    assert "team-b" not in world.insides


async def test_one_that_nobody_serves_can_be_deleted(world: World) -> None:
    _serve_no_logical_clusters(world)
    world.create()
    await world.settle()
    await world.host.delete(CONTROLPLANES, CTP1.name, CTP1.namespace)
    await world.settle()
    assert not await world.exists(CONTROLPLANES, CTP1.name, CTP1.namespace)


def test_auto_is_the_default() -> None:
    values = parse_values("{}")
    assert isinstance(values, Values)
    assert values.mode == Values().mode == "auto"
