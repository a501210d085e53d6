"""Pull secrets and the CA bundle stand beside the pods that need them, follow their source, and go with it."""

from __future__ import annotations

import base64
import contextlib
import json

import pytest

from keyless.kube.resources import CONFIGMAPS, CONTROLPLANES, DEPLOYMENTS, NAMESPACES, SECRETS
from keyless.space.surroundings import CA_COPY, PULL_COPY, CaBundle, Surroundings
from keyless.space.values import Values
from unit.space.world import BILLING, CA, Interrupted, World

HOST = {"hostNamespace": {"name": "team-a"}}
DOCKER = "kubernetes.io/dockerconfigjson"


@pytest.fixture
async def world():
    made = World(_values(pull=("regcred",), bundle=CaBundle("ConfigMap", "our-ca")))
    yield made
    await made.tenants.aclose()


def _values(pull: tuple[str, ...] = (), bundle: CaBundle | None = None) -> Values:
    return Values(billing=BILLING, surroundings=Surroundings(pull_secrets=pull, ca_bundle=bundle))


def _give(
    world: World, name: str = "regcred", *, kind: str = DOCKER, text: str = '{"auths": {"a": {"auth": "eA=="}}}'
) -> None:
    data = {".dockerconfigjson": base64.b64encode(text.encode()).decode()}
    world.host.put(SECRETS, {"metadata": {"name": name, "namespace": "default"}, "type": kind, "data": data})


def _give_ca(world: World, text: str = CA) -> None:
    world.host.put(CONFIGMAPS, {"metadata": {"name": "our-ca", "namespace": "default"}, "data": {"ca.crt": text}})


async def _registries(world: World) -> dict:
    copy = await world.host.get(SECRETS, PULL_COPY, "team-a")
    assert copy["type"] == DOCKER
    return dict(json.loads(base64.b64decode(copy["data"][".dockerconfigjson"]))["auths"])


async def _template(world: World) -> dict:
    return dict((await world.host.get(DEPLOYMENTS, "vector", "team-a"))["spec"]["template"])


async def _left(world: World) -> set[tuple[str, str]]:
    found = [each["metadata"] for each in (await world.host.list(SECRETS)).items]
    return {(metadata["namespace"], metadata["name"]) for metadata in found}


async def _said(world: World) -> tuple[str, str]:
    synced = await world.condition("Synced")
    assert synced is not None
    return synced["reason"], synced.get("message", "")


async def test_what_pods_name_stands_beside_them(world: World) -> None:
    _give(world)
    _give_ca(world)
    world.create(spec=HOST)
    await world.settle()
    assert await _registries(world) == {"a": {"auth": "eA=="}}
    bundle = await world.host.get(SECRETS, CA_COPY, "team-a")
    assert base64.b64decode(bundle["data"]["ca.crt"]).decode() == CA
    spec = (await _template(world))["spec"]
    assert spec["imagePullSecrets"] == [{"name": PULL_COPY}]
    named = {volume["secret"]["secretName"] for volume in spec["volumes"] if "secret" in volume}
    assert CA_COPY in named
    assert await _said(world) == ("ReconcileSuccess", "")


async def test_a_copy_follows_its_source_and_another_bundle_rolls_the_pods(world: World) -> None:
    _give(world)
    _give_ca(world)
    world.create(spec=HOST)
    await world.settle()
    before = await _template(world)
    _give(world, text='{"auths": {"b": {"auth": "eQ=="}}}')
    await world.settle()
    assert await _registries(world) == {"b": {"auth": "eQ=="}}
    assert await _template(world) == before, "a pull secret is read by the kubelet: no pod must go for it"
    _give_ca(world, CA.replace("no", "another"))
    await world.settle()
    assert await _template(world) != before


async def test_a_bundle_may_lie_in_a_secret_under_a_key_of_its_own(world: World) -> None:
    world.values = _values(bundle=CaBundle("Secret", "tls", "root.pem"))
    data = {"root.pem": base64.b64encode(CA.encode()).decode(), "tls.key": "c2VjcmV0"}
    world.host.put(SECRETS, {"metadata": {"name": "tls", "namespace": "default"}, "data": data})
    world.create(spec=HOST)
    await world.settle()
    # Nothing but what was asked for: a key beside it stays where it is.
    assert set((await world.host.get(SECRETS, CA_COPY, "team-a"))["data"]) == {"ca.crt"}


async def test_a_source_that_goes_is_told_and_takes_nothing_from_running_pods(world: World) -> None:
    _give(world)
    _give_ca(world)
    world.create(spec=HOST)
    await world.settle()
    before = await _template(world)
    await world.host.delete(SECRETS, "regcred", "default")
    await world.host.delete(CONFIGMAPS, "our-ca", "default")
    await world.settle()
    assert await _template(world) == before
    assert await world.exists(SECRETS, PULL_COPY, "team-a")
    reason, message = await _said(world)
    assert reason == "CopyRefused"
    assert "Secret regcred in namespace default, which imagePullSecrets names, is not there" in message
    assert "ConfigMap our-ca in namespace default, which caBundle names, is not there" in message


@pytest.mark.parametrize(
    ("kind", "bundle", "said"),
    [
        ("Opaque", CA, 'expected type kubernetes.io/dockerconfigjson, found "Opaque"'),
        (DOCKER, "word-nobody-may-see", "expected certificates in PEM, found none"),
    ],
)
async def test_what_is_none_is_refused_and_not_shown(world: World, kind: str, bundle: str, said: str) -> None:
    _give(world, kind=kind)
    _give_ca(world, bundle)
    world.create(spec=HOST)
    await world.settle()
    reason, message = await _said(world)
    assert reason == "CopyRefused"
    assert said in message
    assert "word-nobody-may-see" not in message


async def test_a_bundle_without_the_named_key_says_which_there_are(world: World) -> None:
    _give(world)
    world.host.put(CONFIGMAPS, {"metadata": {"name": "our-ca", "namespace": "default"}, "data": {"ca.pem": CA}})
    world.create(spec=HOST)
    await world.settle()
    assert "expected key ca.crt (caBundle.key), found ca.pem" in (await _said(world))[1]


async def test_of_several_pull_secrets_every_registry_is_there(world: World) -> None:
    world.values = _values(pull=("regcred", "second", "empty"))
    _give(world)
    _give(world, "second", text='{"auths": {"a": {"auth": "eA=="}, "b": {"auth": "eQ=="}}}')
    _give(world, "empty", text="[]")
    world.create(spec=HOST)
    await world.settle()
    assert await _registries(world) == {"a": {"auth": "eA=="}, "b": {"auth": "eQ=="}}
    _give(world, "second", text='{"auths": {"a": {"auth": "word-nobody-may-see"}}}')
    await world.settle()
    reason, message = await _said(world)
    assert reason == "CopyRefused"
    assert "Secrets regcred and second hold different credentials" in message
    assert "word-nobody-may-see" not in message
    assert set(await _registries(world)) == {"a", "b"}, "pods run with what was there"


async def test_somebody_else_s_secret_of_that_name_is_left_alone(world: World) -> None:
    theirs = {"metadata": {"name": PULL_COPY, "namespace": "team-a"}, "type": DOCKER, "data": {".x": "eA=="}}
    world.host.put(SECRETS, theirs)
    _give(world)
    _give_ca(world)
    world.create(spec=HOST)
    await world.settle()
    assert (await world.host.get(SECRETS, PULL_COPY, "team-a"))["data"] == {".x": "eA=="}
    world.values = _values()
    await world.settle()
    assert await world.exists(SECRETS, PULL_COPY, "team-a")


async def test_what_the_values_name_no_more_goes(world: World) -> None:
    _give(world)
    _give_ca(world)
    world.create(spec=HOST)
    await world.settle()
    world.values = _values()
    await world.settle()
    assert not await world.exists(SECRETS, PULL_COPY, "team-a")
    assert not await world.exists(SECRETS, CA_COPY, "team-a")
    assert await world.exists(SECRETS, "regcred", "default")


async def test_copies_go_with_their_control_plane_wherever_the_operator_is_killed(world: World) -> None:
    """The namespace was there before, so it stays: what the operator put into it must not."""
    namespace = {"metadata": {"name": "team-a"}}
    for write in range(30):
        fresh = World(_values(pull=("regcred",), bundle=CaBundle("ConfigMap", "our-ca")))
        fresh.host.put(NAMESPACES, namespace)
        _give(fresh)
        _give_ca(fresh)
        fresh.create(spec=HOST)
        await fresh.settle()
        await fresh.host.delete(CONTROLPLANES, "ctp1", "default")
        fresh.fail_at(write)
        with contextlib.suppress(Interrupted):
            await fresh.settle()
            await fresh.tenants.aclose()
            assert await _left(fresh) == {("default", "regcred")}
            return
        await fresh.tenants.aclose()
        fresh.fail_at(None)
        fresh.start()
        await fresh.settle()
        await fresh.tenants.aclose()
        assert await _left(fresh) == {("default", "regcred")}
    raise AssertionError("a deletion of more than 30 writes")


@pytest.mark.parametrize("text", ["[]", '{"auths": 1}', "[" * 100_000], ids=["a list", "a number", "without end"])
async def test_a_pull_secret_that_holds_no_registries_ends_nothing(world: World, text: str) -> None:
    _give(world, text=text)
    world.values = _values(pull=("regcred",))
    world.create(spec=HOST)
    await world.settle()
    assert (await world.condition("Ready"))["status"] == "True"
