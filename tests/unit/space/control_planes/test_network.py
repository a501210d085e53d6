"""One switch puts a NetworkPolicy around the components' pods, follows its values, and takes it away again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from keyless.api import Refusal
from keyless.kube.resources import CONTROLPLANES, DEPLOYMENTS, NAMESPACES, NETWORKPOLICIES
from keyless.space.control_planes.network import NAME
from keyless.space.parsing import parse_values
from keyless.space.surroundings import Surroundings
from keyless.space.values import Network, Values
from unit.space.world import BILLING, World

HOST = {"hostNamespace": {"name": "team-a"}}
MONITORING = {"namespaceSelector": {"matchLabels": {"team": "monitoring"}}}
AWS_ALONE = {"ports": [{"port": 443, "protocol": "TCP"}]}
ON = Values(billing=BILLING, network=Network(enabled=True))


@pytest.fixture
async def world():
    made = World(ON)
    yield made
    await made.tenants.aclose()


async def _policy(world: World) -> dict:
    return dict((await world.host.get(NETWORKPOLICIES, NAME, "team-a"))["spec"])


async def _settled(world: World) -> World:
    world.create(spec=HOST)
    await world.settle()
    return world


async def test_the_policy_chooses_the_pods_of_each_component_and_their_port(world: World) -> None:
    spec = await _policy(await _settled(world))
    (chosen,) = spec["podSelector"]["matchExpressions"]
    for name in ("vector", "external-secrets"):
        template = (await world.host.get(DEPLOYMENTS, name, "team-a"))["spec"]["template"]
        assert template["metadata"]["labels"][chosen["key"]] in chosen["values"]
        assert spec["ingress"][0]["ports"][0]["port"] in {p["name"] for p in template["spec"]["containers"][0]["ports"]}
    assert (spec["ingress"][0].get("from"), spec["egress"]) == (None, [{}])
    assert spec["policyTypes"] == ["Ingress", "Egress"]


async def test_whom_the_values_name_comes_in_and_what_they_name_goes_out(world: World) -> None:
    around = Surroundings(labels={"team": "platform"})
    world.values = replace(ON, surroundings=around, network=Network(True, (MONITORING,), (AWS_ALONE,)))
    spec = await _policy(await _settled(world))
    assert (spec["ingress"][0]["from"], spec["egress"]) == ([MONITORING], [AWS_ALONE])
    live = await world.host.get(NETWORKPOLICIES, NAME, "team-a")
    assert live["metadata"]["labels"]["team"] == "platform"
    world.values = ON
    await world.settle()
    assert (await _policy(world))["egress"] == [{}]


async def test_it_goes_with_its_switch_and_stays_while_the_values_cannot_be_read(world: World) -> None:
    await _settled(world)
    world.values = Refusal("ValuesInvalid", "no JSON")
    await world.settle()
    assert await world.exists(NETWORKPOLICIES, NAME, "team-a")
    world.values = Values(billing=BILLING)
    await world.settle()
    assert not await world.exists(NETWORKPOLICIES, NAME, "team-a")
    assert await world.exists(DEPLOYMENTS, "vector", "team-a")


async def test_it_goes_with_the_control_plane_also_where_the_namespace_stays(world: World) -> None:
    world.host.put(NAMESPACES, {"metadata": {"name": "team-a"}})
    await _settled(world)
    await world.host.delete(CONTROLPLANES, "ctp1", "default")
    await world.settle()
    assert not await world.exists(NETWORKPOLICIES, NAME, "team-a")
    assert await world.exists(NAMESPACES, "team-a")


async def test_somebody_elses_policy_of_that_name_is_left_alone(world: World) -> None:
    theirs = {"metadata": {"name": NAME, "namespace": "team-a"}, "spec": {"podSelector": {}}}
    world.host.put(NETWORKPOLICIES, theirs)
    assert await _policy(await _settled(world)) == {"podSelector": {}}
    world.values = Values(billing=BILLING)
    await world.settle()
    assert await _policy(world) == {"podSelector": {}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", Network()),
        ('{"networkPolicy": null}', Network()),
        ('{"networkPolicy": {"enabled": true, "from": null, "egress": []}}', Network(enabled=True)),
        ('{"networkPolicy": {"enabled": true, "egress": [{"a": 1}]}}', Network(True, (), ({"a": 1},))),
    ],
)
def test_the_values_are_read_as_helm_renders_them(text: str, expected: Network) -> None:
    values = parse_values(text)
    assert isinstance(values, Values)
    assert values.network == expected


def test_a_list_of_something_else_is_refused_with_its_place() -> None:
    told = parse_values('{"networkPolicy": {"from": ["monitoring"]}}')
    assert isinstance(told, Refusal)
    assert "networkPolicy.from: expected a list of mappings, found ['monitoring']" in told.detail
