"""The loop: what is stored, what is said, and what a failure at any step leaves."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from keyless.aws import AwsTransient
from keyless.aws.errors import Said
from keyless.backup import bucket as bucket_module
from keyless.backup import plan, service
from keyless.backup.etcd import EtcdFailure
from keyless.backup.host import CONDITION, Host
from keyless.backup.model import ENCRYPTION, MANIFEST, SNAPSHOT, Manifest, home, read_untrusted
from keyless.backup.service import Backups, source_of
from keyless.backup.settings import Settings
from keyless.kube import KubeObject, condition_of
from keyless.kube.memory import MemoryKube
from keyless.kube.resources import CONTROLPLANES
from keyless.space.kubernetes.files import encryption
from unit.backup.stage import PLANE, Clock, MemoryEtcd, MemoryS3, database

PLACE = home("b/", PLANE)
KEYS = b'{"kind":"EncryptionConfiguration"}'


class Stage:
    def __init__(self, folder: Path, *, keep: int = 2, snapshots: tuple[bytes, ...] = ()) -> None:
        self.clock, self.s3, self.etcd = Clock(), MemoryS3(), MemoryEtcd(*snapshots)
        self.kube = MemoryKube(now=self.clock)
        self.kube.put(CONTROLPLANES, {"metadata": {"name": "ctp1", "namespace": "default"}})
        (folder / "encryption.json").write_bytes(KEYS)
        self.etcd.holds = "its-own"
        self.settings = Settings(
            control_plane_id=PLANE,
            control_plane_name="ctp1",
            control_plane_group="default",
            host_namespace="mine",
            bucket="snapshots",
            prefix="b/",
            keep=keep,
            encryption_file=str(folder / "encryption.json"),
            holds="its-own",
        )
        self.pods = 0
        self.start()

    def start(self) -> None:
        """A new pod, which remembers nothing."""
        self.pods += 1
        host = Host(self.kube, source_of(self.settings), self.clock, f"backup-{self.pods}")
        bucket = self.s3.bucket()

        async def identity() -> str:
            return "arn:aws:sts::111122223333:assumed-role/backup/pod"

        bucket.identity = identity
        self.backups = Backups(self.settings, self.etcd, bucket, host, self.clock)

    async def own(self) -> KubeObject:
        return await self.kube.get(CONTROLPLANES, "ctp1", "default")

    async def said(self) -> KubeObject:
        found = condition_of((await self.own())["status"]["conditions"], CONDITION)
        assert found is not None
        return found

    def whole(self) -> tuple[str, ...]:
        return plan.complete(plan.folders(list(self.s3.objects), PLACE))

    async def attempt(self) -> float:
        return await self.backups._attempt(self.backups.step, 60)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


async def test_a_snapshot_is_stored_with_its_keys_and_a_manifest_and_told(stage: Stage) -> None:
    assert await stage.attempt() == 3600
    (folder,) = stage.whole()
    assert stage.s3.objects[f"{PLACE}{folder}/{SNAPSHOT}"] == database()
    assert stage.s3.objects[f"{PLACE}{folder}/{ENCRYPTION}"] == KEYS
    manifest = read_untrusted(stage.s3.objects[f"{PLACE}{folder}/{MANIFEST}"])
    assert (manifest.source.id, manifest.state.revision, manifest.size) == (PLANE, 42, len(database()))
    said = await stage.said()
    assert (said["status"], said["reason"]) == ("True", "SnapshotStored")
    assert "assumed-role/backup/pod" in said["message"]
    assert (await stage.own())["status"]["backup"]["snapshot"] == f"{PLANE}/{folder}"


async def test_nothing_of_the_keys_is_said(stage: Stage) -> None:
    stage.s3.refuse = lambda operation, key: (403, "AccessDenied") if key.endswith(ENCRYPTION) else None
    await stage.attempt()
    assert "EncryptionConfiguration" not in json.dumps(await stage.own())


async def test_a_snapshot_of_a_newer_key_than_the_pod_was_told_of_is_taken_again(tmp_path: Path) -> None:
    new, old = (f"of-{PLANE}.{number}" for number in (3, 2))
    stage = Stage(tmp_path, snapshots=(database(fill=f"k8s:enc:secretbox:v1:{new}:".encode().ljust(128)),))
    beside = Path(stage.settings.encryption_file)
    beside.write_text(encryption([(old, "b2xk")]))
    await stage.attempt()
    assert not stage.whole()
    assert (await stage.said())["reason"] == "SnapshotBroken"
    assert "newer key, number 3" in (await stage.said())["message"]
    beside.write_text(encryption([(new, "bmV3")]))
    await stage.attempt()
    (folder,) = stage.whole()
    assert b"bmV3" in stage.s3.objects[f"{PLACE}{folder}/{ENCRYPTION}"]


async def test_the_newest_stay_and_older_ones_go(stage: Stage) -> None:
    for _ in range(4):
        await stage.attempt()
        stage.clock.pass_by(hours=1)
    assert len(stage.whole()) == 2
    assert len(stage.s3.objects) == 6


async def test_a_pod_that_starts_again_takes_none_before_it_is_due(stage: Stage) -> None:
    await stage.attempt()
    stage.clock.pass_by(minutes=50)
    stage.start()
    assert await stage.attempt() == 600
    assert len(stage.whole()) == 1


async def test_old_ones_that_may_not_be_removed_are_told_beside_the_success(stage: Stage) -> None:
    stage.s3.refuse = lambda operation, key: (403, "AccessDenied") if operation == "DeleteObject" else None
    for _ in range(3):
        await stage.attempt()
        stage.clock.pass_by(hours=1)
    said = await stage.said()
    assert (said["status"], len(stage.whole())) == ("True", 3)
    assert "older ones than the newest 2 are still there: DeleteObject: AccessDenied" in said["message"]


@pytest.mark.parametrize("fault", ["cut off", "changed"])
@pytest.mark.parametrize("pages", [8, 400])
async def test_a_snapshot_that_is_not_whole_is_not_stored_and_taken_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pages: int, fault: str
) -> None:
    monkeypatch.setattr(bucket_module, "PART_BYTES", 64 * 1024)
    good = database(pages)
    bad = good[:-600] if fault == "cut off" else good[:600] + b"x" + good[601:]
    stage = Stage(tmp_path, snapshots=(bad, good))
    assert await stage.attempt() < 3600
    assert (stage.s3.objects, stage.s3.uploads) == ({}, {})
    said = await stage.said()
    assert (said["status"], said["reason"]) == ("False", "SnapshotBroken")
    await stage.attempt()
    assert (await stage.said())["status"] == "True"
    assert len(stage.whole()) == 1


async def test_whatever_step_fails_the_last_whole_snapshot_stays_and_the_next_one_is_stored(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket_module, "PART_BYTES", 2048)
    await stage.attempt()
    stage.clock.pass_by(hours=1)
    before = len(stage.s3.asked)
    await stage.attempt()
    requests = len(stage.s3.asked) - before
    assert requests > 8
    for number in range(requests):
        stage.clock.pass_by(hours=1)
        last, begun = stage.whole()[-1], len(stage.s3.asked)
        stage.s3.refuse = lambda *_, at=begun + number + 1: (403, "AccessDenied") if len(stage.s3.asked) == at else None
        await stage.attempt()
        stage.s3.refuse = lambda *_: None
        assert last in stage.whole()
        stage.clock.pass_by(minutes=10)
        stage.start()
        await stage.attempt()
        assert stage.whole()
        assert (await stage.said())["reason"] in ("SnapshotStored", "IdentityProven", "AccessDenied")
        stage.clock.pass_by(hours=1)
        await stage.attempt()
        assert (await stage.said())["status"] == "True"


async def test_a_new_pod_says_as_whom_it_found_the_last_snapshot_and_when_the_next_is_due(stage: Stage) -> None:
    await stage.attempt()
    assert (await stage.said())["pod"] == "backup-1"
    stage.clock.pass_by(minutes=10)
    stage.start()
    await stage.attempt()
    said = await stage.said()
    assert (said["status"], said["reason"], said["pod"]) == ("True", "IdentityProven", "backup-2")
    assert "assumed-role/backup/pod" in said["message"]
    assert "the next one is due at 2026-11-29T13:00:00Z" in said["message"]
    assert (await stage.own())["status"]["backup"]["takenAt"] == "2026-11-29T12:00:00Z"
    again = await stage.own()
    await stage.attempt()
    assert await stage.own() == again


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (EtcdFailure("etcd did not answer: ConnectError"), "EtcdUnreachable"),
        (AwsTransient(Said("PutObject", "SlowDown", "slower")), "SlowDown"),
        (AwsTransient(Said("PutObject", "HTTP 503", "no")), "SnapshotNotStored"),
    ],
)
async def test_what_is_wrong_is_told_with_the_last_one_that_is_right(
    stage: Stage, failure: object, reason: str
) -> None:
    await stage.attempt()
    stage.clock.pass_by(hours=2)
    stage.etcd.failure = failure
    assert 0 < await stage.attempt() <= 10
    said = await stage.said()
    assert (said["status"], said["reason"]) == ("False", reason)
    assert "the last one is of 2026-11-29T12:00:00Z" in said["message"]
    assert (await stage.own())["status"]["backup"]["takenAt"] == "2026-11-29T12:00:00Z"


async def test_keys_that_are_not_mounted_are_told_and_nothing_is_stored(stage: Stage) -> None:
    Path(stage.settings.encryption_file).unlink()
    await stage.attempt()
    assert "encryption.json" in (await stage.said())["message"]
    assert stage.s3.objects == {}


@pytest.mark.parametrize("when", ["before it is read", "while it is read"])
async def test_one_that_was_emptied_is_not_stored_whoever_noticed_it_first(stage: Stage, when: str) -> None:
    await stage.attempt()
    before = stage.whole()

    def empty(operation: str, key: str) -> None:
        if key.endswith(ENCRYPTION):
            stage.etcd.holds = "another"

    for _ in range(5):
        stage.clock.pass_by(hours=2)
        stage.etcd.holds = "another" if when == "before it is read" else "its-own"
        stage.s3.refuse = empty
        await stage.attempt()
        said = await stage.said()
        assert (said["status"], said["reason"]) == ("False", "DataLost")
        assert stage.whole() == before
        assert (await stage.own())["status"]["backup"]["snapshot"] == f"{PLANE}/{before[0]}"
    stage.s3.refuse = lambda *_: None
    stage.etcd.holds = "its-own"
    await stage.attempt()
    assert (await stage.said())["status"] == "True"
    assert len(stage.whole()) == 2


DELETED = {"metadata": {"deletionTimestamp": "2026-11-29T12:01:00Z"}}
PAUSED = {"spec": {"crossplane": {"state": "Paused"}}}
RUNNING = {"spec": {"crossplane": {"state": "Running"}}}


@pytest.mark.parametrize(("change", "taken"), [(DELETED, 2), (PAUSED, 2), (RUNNING, 1), ({}, 1)])
async def test_one_more_is_taken_when_the_pod_ends_with_its_control_plane_and_not_for_a_rollout(
    stage: Stage, change: dict, taken: int
) -> None:
    running = asyncio.create_task(stage.backups.run())
    while not stage.whole():
        await asyncio.sleep(0)
    while "status" not in await stage.own():
        await asyncio.sleep(0)
    stage.clock.pass_by(minutes=1)
    own = await stage.own()
    stage.kube.put(CONTROLPLANES, {**own, **change, "metadata": {**own["metadata"], **change.get("metadata", {})}})
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert len(stage.whole()) == taken


@pytest.mark.parametrize(
    ("refusals", "reason", "asked"),
    [(2, "SnapshotStored", 3), (99, "EtcdUnreachable", 3), (0, "AccessDenied", 1)],
    ids=["for a while", "to the end", "for good"],
)
async def test_a_last_one_that_is_refused_is_tried_again_where_that_may_help_and_keeps_nothing_waiting_for_ever(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, refusals: int, reason: str, asked: int
) -> None:
    monkeypatch.setattr(service, "LAST_WAITS", (0.0, 0.0))
    await stage.attempt()
    stage.clock.pass_by(minutes=1)
    own = await stage.own()
    stage.kube.put(CONTROLPLANES, {**own, **PAUSED})
    tried: list[int] = []
    take = stage.backups.take

    async def counted() -> Manifest:
        tried.append(len(tried))
        stage.etcd.failure = EtcdFailure("etcd did not answer") if len(tried) <= refusals else None
        return await take()

    monkeypatch.setattr(stage.backups, "take", counted)
    stage.s3.refuse = lambda *_: (403, "AccessDenied") if reason == "AccessDenied" else None
    await stage.backups._attempt(stage.backups._last_one, 60)
    assert len(tried) == asked
    assert (await stage.said())["reason"] == reason
    assert len(stage.whole()) == (2 if reason == "SnapshotStored" else 1)
