"""Another key for Secrets in etcd: nothing is unreadable at any time, and the old key goes last."""

from __future__ import annotations

import base64
import contextlib
import json
import random
from dataclasses import replace
from datetime import timedelta

import pytest

from keyless.api.sealed_by import name_of, sealers_of
from keyless.kube.resources import SECRETS, STATEFULSETS
from keyless.space.control_planes import rotation
from keyless.space.kubernetes import issuing
from keyless.space.kubernetes.files import encryption
from keyless.space.kubernetes.names import ENCRYPTION
from keyless.space.place import Place
from keyless.space.values import ApiServer
from unit.space.sealed import OWN, Sealed
from unit.space.world import Interrupted


@pytest.fixture
async def world():
    made = Sealed()
    yield made
    await made.tenants.aclose()


async def _told(world: Sealed) -> tuple[str, str, str]:
    found = await world.condition(rotation.CONDITION)
    assert found is not None
    return found["status"], found["reason"], found["message"]


def _names(text: str) -> list[str]:
    return [name_of(each) for each in sealers_of(text.encode())]


def _is_safe(world: Sealed, namespace: str) -> None:
    """Every Secret is opened by what is read, by what will be read, and by what is stored apart."""
    used = {*world.seals(namespace).values()}
    assert used <= {*_names(world.read)}
    assert used <= {*_names(world.told(namespace))}
    for each in world._objects(SECRETS):
        if each["metadata"]["name"] == ENCRYPTION:
            assert used <= {key["name"] for key in json.loads(base64.b64decode(each["data"]["ring"]))["keys"]}


async def _second(world: Sealed) -> str:
    return f"of-{(await world.plane())['status']['controlPlaneID']}.2"


async def test_a_key_is_changed_without_a_restart_and_everything_stays_readable(world: Sealed) -> None:
    namespace = await world.made()
    template = (await world.host.get(STATEFULSETS, "control-plane", namespace))["spec"]["template"]
    assert _names(world.read) == ["first"]
    await world.rotate()
    orders, reasons = [], set()
    for number in range(24):
        await world.pass_time()
        _is_safe(world, namespace)
        if number % 3 == 0:
            await world.put_secret(f"during-{number}")
        if _names(world.read) not in orders:
            orders.append(_names(world.read))
        reasons.add((await _told(world))[1])
    new = await _second(world)
    assert orders == [["first"], ["first", new], [new, "first"], [new]]
    assert {*world.seals(namespace).values()} == {new}
    assert reasons == {"EncryptionKeyRotating", "EncryptionKeyInUse"}
    assert (await world.host.get(STATEFULSETS, "control-plane", namespace))["spec"]["template"] == template
    assert not [each for each in world.host.calls if each.startswith("PUT") and "/secrets/" in each], "it may not"
    assert new in (await _told(world))[2]
    assert (await world.condition("Ready"))["status"] == "True"


async def test_what_was_asked_for_once_is_done_once(world: Sealed) -> None:
    await world.made()
    await world.rotate()
    await world.until_current()
    new = await _second(world)
    await world.until_current()
    assert _names(world.read) == [new]
    await world.rotate("again")
    await world.until_current()
    assert _names(world.read) == [f"{new.removesuffix('.2')}.3"]


async def test_a_key_is_changed_at_the_age_that_the_values_name(world: Sealed) -> None:
    await world.made()
    await world.pass_time()
    assert "0 days old" in (await _told(world))[2]
    world.clock += timedelta(days=400)
    await world.until_current()
    assert _names(world.read) == ["first"], "without a value nothing changes by itself"
    world.values = replace(OWN, api_server=ApiServer(rotate_after_days=90))
    await world.until_current()
    assert _names(world.read) == [await _second(world)]
    assert "the next one is due in 90 days" in (await _told(world))[2]
    world.clock += timedelta(days=91)
    await world.until_current()
    assert _names(world.read)[0].endswith(".3")


async def test_operators_that_are_killed_after_each_write_end_a_change_together(world: Sealed) -> None:
    namespace = await world.made()
    await world.rotate()
    lives = 0
    for _ in range(100):
        world.fail_at(1)
        with contextlib.suppress(Interrupted):
            await world.pass_time()
            if _names(world.read) == [await _second(world)]:
                break
            continue
        lives += 1
        world.fail_at(None)
        world.clock += timedelta(seconds=10)
        world.load_when_due()
        _is_safe(world, namespace)
        await world.tenants.aclose()
        world.start()
    world.fail_at(None)
    await world.until_current()
    assert lives > 9, "a change is made of more writes than that"
    assert {*world.seals(namespace).values()} == {await _second(world)}
    assert _names(world.read) == [await _second(world)]


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_happens_meanwhile_no_secret_is_ever_without_its_key(world: Sealed, seed: int) -> None:
    """Tenants write and delete, the operator is another one, the file is read late, Secrets are lost."""
    chance = random.Random(seed)
    namespace = await world.made()
    await world.rotate()
    for number in range(50):
        match chance.randrange(9):
            case 0:
                await world.put_secret(f"n{number}")
            case 1:
                some = chance.choice(sorted(world.seals(namespace)))
                await world.inside(namespace).delete(SECRETS, some, "default")
                await world.put_secret(some)
            case 2:
                await world.tenants.aclose()
                world.start()
            case 3:
                world.lag = timedelta(seconds=chance.choice((10, 50, 400)))
            case 4 if await world.exists(SECRETS, ENCRYPTION, namespace):
                await world.host.delete(SECRETS, ENCRYPTION, namespace)
            case 5:
                await world.rotate(str(number))
            case 6:
                world.refuses ^= {"a"}
        await world.pass_time()
        _is_safe(world, namespace)
    world.refuses, world.lag = set(), timedelta(seconds=10)
    await world.until_current()
    assert {*world.seals(namespace).values()} == {_names(world.read)[0]}


async def test_a_secret_that_a_webhook_refuses_is_named_and_keeps_the_old_key(world: Sealed) -> None:
    namespace = await world.made()
    world.refuses = {"a"}
    await world.rotate()
    for _ in range(20):
        await world.pass_time()
    status, reason, message = await _told(world)
    assert (status, reason) == ("False", "SecretsNotRewritten")
    assert "1 Secret left to write with the new key, of which refused: default/a (403" in message
    assert "xyzzy" not in json.dumps(await world.plane())
    assert _names(world.read) == [await _second(world), "first"]
    assert world.seals(namespace) == {"a": "first", "b": await _second(world)}
    world.refuses = set()
    await world.until_current()
    assert _names(world.read) == [await _second(world)]


@pytest.mark.parametrize(("silent", "step"), [(False, "kubectl rollout restart"), (True, "does not say what it has")])
async def test_a_file_that_is_not_read_is_told_with_the_next_step(world: Sealed, silent: bool, step: str) -> None:
    await world.made()
    world.lag, world.silent = timedelta(days=9), silent
    world._load(await world.host_namespace())
    await world.rotate()
    for _ in range(7):
        await world.pass_time()
    assert (await _told(world))[:2] == ("True", "EncryptionKeyRotating")
    for _ in range(8):
        await world.pass_time()
    status, reason, message = await _told(world)
    assert (status, reason, step in message) == ("False", "EncryptionConfigNotRead", True)
    world.lag, world.silent = timedelta(seconds=10), False
    await world.until_current()


async def test_a_file_that_somebody_turns_back_makes_all_be_written_again(world: Sealed) -> None:
    namespace = await world.made()
    world.refuses = {"a"}  # so that it stays at this step
    await world.rotate()
    for _ in range(20):
        await world.pass_time()
    turned = encryption(list(reversed(sealers_of(world.read.encode()))))
    certificates = await world.host.get(SECRETS, "control-plane-certificates", namespace)
    data = {**certificates["data"], "encryption.json": base64.b64encode(turned.encode()).decode()}
    world.host.put(SECRETS, {**certificates, "data": data})
    world._load(namespace)
    await world.put_secret("meanwhile")
    assert world.seals(namespace)["meanwhile"] == "first"
    world.refuses = set()
    await world.until_current()
    assert {*world.seals(namespace).values()} == {await _second(world)}


async def test_keys_that_are_lost_everywhere_are_told_and_nothing_is_made_anew(world: Sealed) -> None:
    namespace = await world.made()
    await world.rotate()
    await world.until_current()
    for name in (ENCRYPTION, "control-plane-certificates"):
        await world.host.delete(SECRETS, name, namespace)
    await world.pass_time()
    ready = await world.condition("Ready")
    assert (ready["status"], ready["reason"]) == ("False", "ApiKeysLost")
    assert "Secret control-plane-encryption" in ready["message"]
    assert not await world.exists(SECRETS, ENCRYPTION, namespace)
    assert not await world.exists(SECRETS, "control-plane-certificates", namespace)


async def test_a_secret_of_keys_that_is_not_whole_is_made_of_what_is_in_use(world: Sealed) -> None:
    namespace = await world.made()
    await world.rotate()
    await world.until_current()
    broken = {"metadata": {"resourceVersion": None}, "data": {"ring": base64.b64encode(b"{}").decode()}}
    await world.host.patch(SECRETS, ENCRYPTION, broken, namespace)
    await world.until_current()
    _is_safe(world, namespace)
    assert _names(world.read) == [await _second(world)]


async def test_a_snapshot_from_before_a_change_is_read_after_it_with_what_lies_beside_it(world: Sealed) -> None:
    namespace = await world.made()
    beside = world.told(namespace)
    await world.rotate()
    await world.until_current()
    assert "first" not in _names(world.told(namespace))
    coded = {"encryption.json": base64.b64encode(beside.encode()).decode()}
    place = Place("again", "default", "u", "another-id", "again")
    restored = issuing.keys_item(place, world.clock, {"data": coded}).object
    told = issuing.encrypting(issuing.keys_of(restored) or {})
    assert told[0][0] == "of-another-id"
    assert told[1:] == sealers_of(beside.encode())


async def test_a_change_in_a_restored_control_plane_ends_the_keys_that_it_began_with(world: Sealed) -> None:
    world.create()
    await world.settle()
    namespace = await world.host_namespace()
    place = Place("ctp1", "default", "u", (await world.plane())["status"]["controlPlaneID"], namespace)
    older = {"encryption.json": base64.b64encode(encryption([("of-source.4", "b2xk")]).encode()).decode()}
    world._forget(SECRETS, await world.host.get(SECRETS, "control-plane-keys", namespace))
    world.host.put(SECRETS, issuing.keys_item(place, world.clock, {"data": older}).object)
    await world.settle()
    await world.begin()
    assert _names(world.read) == [f"of-{place.control_plane_id}", "of-source.4"]
    await world.rotate()
    await world.until_current()
    assert _names(world.read) == [await _second(world)]
    assert {*world.seals(namespace).values()} == {await _second(world)}
