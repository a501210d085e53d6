"""Backups of a control plane of mode ``kubernetes``: what comes, what goes, and in which order."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from cryptography import x509

from keyless.aws.writing import Writing
from keyless.kube import KubeObject
from keyless.kube.resources import (
    CONTROLPLANES,
    DEPLOYMENTS,
    EVENTS,
    NETWORKPOLICIES,
    SECRETS,
    SERVICEACCOUNTS,
    SERVICES,
    STATEFULSETS,
)
from keyless.space.kubernetes.names import ETCD_CLIENT
from keyless.space.values import Backup, Values, Workload
from unit.space.world import BILLING, Interrupted, World

BACKUP = Backup(enabled=True, bucket="snapshots", prefix="b/", writing=Writing("aws:kms", "alias/mine"))
ROLE = "arn:aws:iam::111122223333:role/backup"
VALUES = Values(
    mode="kubernetes",
    billing=BILLING,
    backup=BACKUP,
    backups=Workload(annotations={"eks.amazonaws.com/role-arn": ROLE}),
)


@pytest.fixture
async def world():
    made = World(VALUES)
    yield made
    await made.tenants.aclose()


async def _made(world: World) -> str:
    world.create()
    await world.settle()
    return await world.host_namespace()


async def _etcd(world: World, namespace: str) -> KubeObject:
    pod = (await world.host.get(STATEFULSETS, "control-plane", namespace))["spec"]["template"]["spec"]
    found: KubeObject = pod["containers"][0]
    return found


async def _names(world: World, namespace: str, secret: str, name: str) -> list[str]:
    data = (await world.host.get(SECRETS, secret, namespace))["data"]
    found = x509.load_pem_x509_certificate(base64.b64decode(data[name]))
    return found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)


async def test_it_comes_with_an_identity_of_its_own_and_a_way_to_etcd(world: World) -> None:
    namespace = await _made(world)
    account = await world.host.get(SERVICEACCOUNTS, "backup", namespace)
    assert account["metadata"]["annotations"]["eks.amazonaws.com/role-arn"] == ROLE
    template = (await world.host.get(DEPLOYMENTS, "backup", namespace))["spec"]["template"]["spec"]
    assert template["serviceAccountName"] == "backup"
    told = {each["name"]: each.get("value") for each in template["containers"][0]["env"]}
    assert (told["KEYLESS_BACKUP_BUCKET"], told["KEYLESS_BACKUP_SSEKMS_KEY_ID"]) == ("snapshots", "alias/mine")
    mounted = {each["secret"]["secretName"]: each["secret"].get("items") for each in template["volumes"]}
    only = [{"key": "encryption.json", "path": "encryption.json"}]
    assert mounted == {"control-plane-backup": None, "control-plane-certificates": only}
    way = (await world.host.get(SECRETS, "control-plane-backup", namespace))["data"]
    address = (await world.host.get(SERVICES, "control-plane", namespace))["spec"]["clusterIP"]
    assert base64.b64decode(way["server"]).decode() == f"https://{address}:2381"


async def test_etcd_lets_in_the_one_certificate_that_is_for_it(world: World) -> None:
    namespace = await _made(world)
    command = (await _etcd(world, namespace))["command"]
    assert "--listen-client-urls=http://127.0.0.1:2379" in command, "gRPC stays on the loopback"
    assert "--listen-client-http-urls=https://$(POD_IP):2381" in command
    assert {"--client-cert-auth", f"--client-cert-allowed-hostname={ETCD_CLIENT}"} <= set(command)
    assert await _names(world, namespace, "control-plane-backup", "tls.crt") == [ETCD_CLIENT]
    for other in ("etcd.crt", "api-server.crt"):
        assert ETCD_CLIENT not in await _names(world, namespace, "control-plane-certificates", other)
    assert await _let_in(world, namespace) == [OPERATOR, {"podSelector": _called("backup")}]


def _called(name: str) -> KubeObject:
    return {"matchLabels": {"app.kubernetes.io/name": name}}


OPERATOR = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}},
    "podSelector": _called("spaces-operator"),
}


async def _let_in(world: World, namespace: str) -> list[KubeObject]:
    rules = (await world.host.get(NETWORKPOLICIES, "control-plane", namespace))["spec"]["ingress"]
    (found,) = [each["from"] for each in rules if each["ports"][0]["port"] == 2381]
    return list(found)


async def test_without_it_the_operator_alone_reaches_etcd(world: World) -> None:
    world.values = replace(VALUES, backup=Backup())
    namespace = await _made(world)
    assert await _let_in(world, namespace) == [OPERATOR]
    assert not await world.exists(SECRETS, "control-plane-backup", namespace)
    assert await _names(world, namespace, "control-plane-operator", "etcd.crt") == [ETCD_CLIENT]


async def test_turned_off_all_of_it_goes_and_turned_on_it_comes_back(world: World) -> None:
    namespace = await _made(world)
    whole, pod = set(world.snapshot()), await _etcd(world, namespace)
    world.values = replace(VALUES, backup=Backup())
    await world.settle()
    assert not any("backup" in each for each in world.snapshot())
    assert await _etcd(world, namespace) == pod, "the API server is not restarted for it"
    world.values = VALUES
    await world.settle()
    assert set(world.snapshot()) == whole


async def test_a_control_plane_whose_etcd_is_not_ours_has_none() -> None:
    world = World(replace(VALUES, mode="logical"))
    namespace = await _made(world)
    assert not await world.exists(SERVICEACCOUNTS, "backup", namespace)
    assert (await world.condition("Ready"))["status"] == "True"
    await world.tenants.aclose()


@pytest.mark.parametrize(
    ("backup", "words"),
    [
        (Backup(enabled=True), "--set backup.storage.aws.bucket=…"),
        (replace(BACKUP, bucket="No_Bucket"), "found 'No_Bucket'"),
        (replace(BACKUP, prefix="no-slash"), "found 'no-slash'"),
        (replace(BACKUP, writing=Writing("", "alias/mine")), "serverSideEncryption aws:kms beside it"),
    ],
)
async def test_values_with_which_nothing_could_be_stored_are_told_and_what_runs_goes_on(
    world: World, backup: Backup, words: str
) -> None:
    namespace = await _made(world)
    before = await world.host.get(DEPLOYMENTS, "backup", namespace)
    world.values = replace(VALUES, backup=backup)
    await world.settle()
    told = await world.condition("BackupConfigured")
    assert (told["status"], told["reason"]) == ("False", "BackupNotConfigured")
    assert words in told["message"]
    assert (await world.condition("Ready"))["status"] == "True"
    assert (await world.host.get(DEPLOYMENTS, "backup", namespace))["spec"] == before["spec"]
    world.values = VALUES
    await world.settle()
    assert await world.condition("BackupConfigured") is None


async def _stored(world: World, at: str) -> None:
    status = {"backup": {"snapshot": "x/20261122T120000Z-7", "takenAt": at, "bytes": 4}}
    own = await world.plane()
    world.host.put(CONTROLPLANES, {**own, "status": {**own["status"], **status}})


@pytest.mark.parametrize(("at", "told"), [("2026-11-22T11:00:00Z", True), ("2027-01-01T00:00:00Z", False), ("", True)])
async def test_it_ends_after_the_others_and_a_last_snapshot_that_is_missing_is_told(
    world: World, at: str, told: bool
) -> None:
    await _made(world)
    if at:
        await _stored(world, at)
    gone: list[str] = []
    before = world.host.before

    def note(request) -> None:
        *_, plural, name = request.path.split("/")
        if request.method == "DELETE" and plural in {"deployments", "statefulsets"}:
            gone.append(name)
        before(request)

    world.host.before = note
    await world.host.delete(CONTROLPLANES, "ctp1", "default")
    await world.settle()
    order = list(dict.fromkeys(gone))
    assert order.index("backup") > max(order.index("vector"), order.index("external-secrets"))
    assert order.index("control-plane") > order.index("backup")
    events = [each for each in world._objects(EVENTS) if each["reason"] == "SnapshotNotStored"]
    assert bool(events) == told
    if events:
        assert ("x/20261122T120000Z-7" if at else "there is none") in events[0]["message"]


async def test_an_operator_killed_at_any_write_brings_the_same_in_the_end() -> None:
    world = World(VALUES)
    await _made(world)
    whole = set(world.snapshot())
    await world.tenants.aclose()
    number, made = 0, False
    while not made:
        world = World(VALUES)
        world.create()
        world.fail_at(number)
        try:
            await world.settle()
            made = True
        except Interrupted:
            await world.tenants.aclose()
            world.fail_at(None)
            world.start()
            await world.settle()
        assert set(world.snapshot()) == whole, f"killed at write {number}"
        await world.tenants.aclose()
        number += 11  # some of each kind: a file's tests stay quick
    assert number > 30
