"""Secrets of a control plane of its own under a KMS key: on, off, to another key, and nothing is ever unreadable."""

from __future__ import annotations

import base64
import contextlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from keyless.api.sealed_by import KmsKey, name_of, plugin_keys, sealers_of
from keyless.kube import NotFound
from keyless.kube.resources import CONTROLPLANES, ROLES, SECRETS, SERVICEACCOUNTS, STATEFULSETS
from keyless.space.control_planes import encrypted, rotation
from keyless.space.kubernetes import issuing
from keyless.space.kubernetes.names import ENCRYPTION
from keyless.space.place import Place
from keyless.space.values import ROLE_ANNOTATION, ApiServer, Values
from unit.space.sealed import OWN, Sealed
from unit.space.world import CTP1, Interrupted

KEY = "arn:aws:kms:us-west-2:111122223333:key/0a1b2c3d-0000-4000-8000-000000000001"
OTHER = "alias/secrets"


def with_key(key: str, **more: object) -> Values:
    return replace(OWN, api_server=ApiServer(kms_key=key, **more))


@pytest.fixture
async def world():
    made = Sealed()
    yield made
    await made.tenants.aclose()


async def pod(world: Sealed) -> dict:
    live = await world.host.get(STATEFULSETS, "control-plane", await world.host_namespace())
    return live["spec"]["template"]["spec"]


async def reason(world: Sealed) -> tuple[str, str]:
    found = await world.condition(rotation.CONDITION)
    return found["reason"], found["message"]


def read_with(world: Sealed) -> list[str]:
    """``kms`` or ``own`` by key, the one that writes first."""
    return ["kms" if isinstance(each, KmsKey) else "own" for each in sealers_of(world.read.encode())]


def is_safe(world: Sealed, namespace: str) -> None:
    """Every Secret is opened by what is read, by what will be read, and by what is stored apart."""
    used = {*world.seals(namespace).values()}
    for text in (world.read, world.told(namespace)):
        assert used <= {name_of(each) for each in sealers_of(text.encode())}
    for each in world._objects(SECRETS):
        if each["metadata"]["name"] == ENCRYPTION:
            assert used <= {key["name"] for key in json.loads(base64.b64decode(each["data"]["ring"]))["keys"]}


async def test_a_kms_key_is_turned_on_and_off_again_and_everything_stays_readable(world: Sealed) -> None:
    namespace = await world.made()
    before = await pod(world)
    orders: list[list[str]] = []
    for key, ends in ((KEY, ["kms"]), ("", ["own"])):
        world.values = with_key(key)
        for number in range(30):
            await world.pass_time()
            is_safe(world, namespace)
            if number % 4 == 0:
                await world.put_secret(f"{ends[0]}-{number}")
            if not orders or read_with(world) != orders[-1]:
                orders.append(read_with(world))
        assert read_with(world) == ends
        assert len({*world.seals(namespace).values()}) == 1
        assert (await reason(world))[0] == "EncryptionKeyInUse"
        assert (key in (await reason(world))[1]) is bool(key) or not key
    assert orders == [["own"], ["own", "kms"], ["kms", "own"], ["kms"], ["kms", "own"], ["own", "kms"], ["own"]]
    # A service account's name cannot be taken out of a template again: Kubernetes keeps it twice.
    assert await pod(world) == {**before, "serviceAccountName": "default", "serviceAccount": "default"}
    for resource, name, where in ((SERVICEACCOUNTS, "control-plane", namespace), (ROLES, "ctp1-kms-plugin", "default")):
        with pytest.raises(NotFound):
            await world.host.get(resource, name, where)


async def test_the_pod_has_a_plugin_with_an_identity_that_nothing_else_in_it_has(world: Sealed) -> None:
    role = "arn:aws:iam::111122223333:role/keyless-encryption"
    world.values = with_key(KEY, annotations={ROLE_ANNOTATION: role})
    namespace = await world.made()
    await world.until_current()
    spec = await pod(world)
    account = await world.host.get(SERVICEACCOUNTS, "control-plane", namespace)
    assert account["metadata"]["annotations"][ROLE_ANNOTATION] == role
    assert (spec["serviceAccountName"], spec["automountServiceAccountToken"]) == ("control-plane", False)
    (plugin,) = spec["initContainers"]
    assert (plugin["args"], plugin["restartPolicy"]) == (["run", "kms-plugin"], "Always")
    assert "readinessProbe" not in plugin
    mounted = {
        each["name"]: [mount["name"] for mount in each["volumeMounts"]] for each in (plugin, *spec["containers"])
    }
    assert [name for name, mounts in mounted.items() if "host-api" in mounts] == ["kms-plugin"]
    assert [name for name, mounts in mounted.items() if "kms" in mounts] == ["kms-plugin", "kube-apiserver"]
    assert "files" not in mounted["kms-plugin"], "no key of the control plane"
    live = await world.host.get(STATEFULSETS, "control-plane", namespace)
    skipped = live["spec"]["template"]["metadata"]["annotations"]["eks.amazonaws.com/skip-containers"]
    assert {*skipped.split(",")} == {each["name"] for each in spec["containers"]}
    told = await world.host.get(SECRETS, "control-plane-certificates", namespace)
    plane = (await world.plane())["status"]["controlPlaneID"]
    keys = plugin_keys(base64.b64decode(told["data"]["kms.json"]))
    assert keys == (KmsKey(f"of-{plane}.2", KEY, plane),)


async def test_without_the_value_nothing_speaks_of_kms(world: Sealed) -> None:
    namespace = await world.made()
    await world.until_current()
    live = await world.host.get(STATEFULSETS, "control-plane", namespace)
    assert "kms" not in json.dumps([live, world.read]).lower()
    assert not any("kms" in each.lower() for each in world.host.calls if not each.startswith("GET"))


async def test_operators_that_are_killed_after_each_write_turn_it_on_together(world: Sealed) -> None:
    namespace = await world.made()
    world.values = with_key(KEY)
    lives = 0
    for _ in range(150):
        world.fail_at(1)
        with contextlib.suppress(Interrupted):
            await world.pass_time()
            is_safe(world, namespace)
            if read_with(world) == ["kms"]:
                break
            continue
        lives += 1
        world.fail_at(None)
        world.clock += timedelta(seconds=10)
        world.load_when_due()
        is_safe(world, namespace)
        await world.tenants.aclose()
        world.start()
    else:
        raise AssertionError(read_with(world))
    assert lives > 8
    world.fail_at(None)
    await world.until_current()


async def test_a_key_that_kms_refuses_writes_nothing_and_is_told_and_taken_back(world: Sealed) -> None:
    namespace = await world.made()
    world.refused = "Encrypt: AccessDeniedException: allow kms:Encrypt on the key"
    world.values = with_key(KEY)
    for _ in range(20):
        await world.pass_time()
    # Also where kube-apiserver was started again meanwhile, which reads a file whatever KMS says.
    world._load(namespace)
    for _ in range(5):
        await world.pass_time()
    word, message = await reason(world)
    assert word == "KeyNotUsable"
    assert "AccessDeniedException" in message
    assert "null, takes it back" in message
    assert {*world.seals(namespace).values()} == {"first"}
    assert (await world.condition("Ready"))["status"] == "True"
    world.values = with_key("")
    world._load(namespace)
    await world.until_current()
    world._load(namespace)
    assert read_with(world) == ["own"]
    world.refused = ""
    world.values = with_key(OTHER)
    await world.until_current()
    assert [each.key_id for each in sealers_of(world.read.encode()) if isinstance(each, KmsKey)] == [OTHER]


async def test_another_kms_key_takes_over_and_the_old_one_reads_until_the_end(world: Sealed) -> None:
    world.values = with_key(KEY)
    namespace = await world.made()
    await world.until_current()
    world.values = with_key(OTHER)
    seen = set()
    for _ in range(30):
        await world.pass_time()
        is_safe(world, namespace)
        seen.add(tuple(each.key_id for each in sealers_of(world.read.encode()) if isinstance(each, KmsKey)))
    assert seen == {(KEY,), (KEY, OTHER), (OTHER, KEY), (OTHER,)}


async def test_what_kms_refuses_later_is_told_and_the_control_plane_stays_ready(world: Sealed) -> None:
    world.values = with_key(KEY)
    await world.made()
    await world.until_current()
    world.refused = "Decrypt: DisabledException: the key is disabled: aws kms enable-key"
    await world.pass_time()
    word, message = await reason(world)
    assert (word, "enable-key" in message) == ("KeyNotUsable", True)
    assert (await world.condition("Ready"))["status"] == "True"
    world.refused = ""
    await world.pass_time()
    assert (await reason(world))[0] == "EncryptionKeyInUse"


async def test_an_api_server_that_waits_for_kms_says_what_the_plugin_says(world: Sealed) -> None:
    world.values = with_key(KEY)
    namespace = await world.made()
    await world.until_current()
    said = {"type": "EncryptionKeyUsable", "status": "False", "reason": "DisabledException", "message": "enable it"}
    plane = await world.plane()
    plane["status"]["conditions"].append({**said, "lastTransitionTime": "2026-01-01T00:00:00Z"})
    await world.host.replace(CONTROLPLANES, plane, subresource="status")
    live = await world.host.get(STATEFULSETS, "control-plane", namespace)
    await world.host.replace(STATEFULSETS, {**live, "status": {}}, subresource="status")
    await world.tenants.aclose()
    world.start()
    await world.loop.reconcile(CTP1)
    ready = await world.condition("Ready")
    assert ready["message"].endswith("EncryptionKeyUsable: enable it"), ready


async def test_at_the_end_of_a_change_data_keys_are_held_for_when_kms_is_away(world: Sealed) -> None:
    await world.made()
    world.values = with_key(KEY)
    await world.until_current()
    assert world.met == {"a", "b"}, "a file that was read anew had made it forget them"


async def test_many_secrets_are_met_by_some_of_the_whole_time_in_which_they_were_written(world: Sealed) -> None:
    await world.made()
    names = [f"s-{number:03d}" for number in range(250)]
    for name in names:
        await world.put_secret(name)
    world.values = with_key(KEY)
    await world.until_current()
    assert len(world.met) <= encrypted.MEETS + 1
    assert {names[-1]} < world.met
    gaps = [names.index(each) for each in sorted(world.met - {"a", "b"})]
    assert max(after - before for before, after in pairwise(gaps)) <= 3


async def test_a_change_has_not_ended_while_what_it_wrote_cannot_be_read(world: Sealed) -> None:
    await world.made()
    world.values = with_key(KEY)
    world.unread = "failed to decrypt DEK, error: Decrypt: ThrottlingException: KMS asks for fewer calls"
    for _ in range(40):
        await world.pass_time()
    said, message = await reason(world)
    assert said == "KeyNotUsable"
    assert "ThrottlingException" in message
    world.unread = ""
    await world.until_current()
    assert world.met == {"a", "b"}


async def test_what_was_restored_reads_with_the_other_control_planes_key_and_context() -> None:
    place = Place("ctp2", "default", "uid", "0b", "mxp-0b-system")
    beside = issuing._config_files(issuing.files.encryption([KmsKey("of-0a.2", KEY, "0a"), ("of-0a", "c2VjcmV0")]))
    data = {"encryption.json": base64.b64encode(beside["encryption.json"].encode()).decode()}
    made = issuing.keys_item(place, datetime(2026, 11, 29, tzinfo=UTC), {"data": data}).object
    own, *older = issuing.encrypting(issuing.keys_of(made) or {})
    assert name_of(own) == "of-0b"
    assert older == [KmsKey("of-0a.2", KEY, "0a"), ("of-0a", "c2VjcmV0")]
    told = issuing._config_files(issuing.files.encryption([own, *older]))
    assert plugin_keys(told["kms.json"].encode()) == (KmsKey("of-0a.2", KEY, "0a"),)
    assert "c2VjcmV0" not in told["kms.json"]
