"""Putting a snapshot back: what is refused, and that every step may be ended and begun again."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from keyless.api import KeylessError
from keyless.backup.host import Host
from keyless.backup.model import ENCRYPTION, MANIFEST, SNAPSHOT, Manifest, Source, State, home, to_bytes
from keyless.backup.restoring import Restoring
from keyless.backup.service import source_of
from keyless.backup.settings import Settings
from keyless.kube import KubeObject, condition_of
from keyless.kube.memory import MemoryKube
from keyless.kube.resources import CONTROLPLANES, SECRETS
from keyless.space.kubernetes.files import encryption
from unit.backup.stage import NOON, PLANE, Clock, MemoryS3, database

KEYS = encryption([("first", "c2VjcmV0")]).encode()
OLD = Manifest(Source(PLANE), NOON, State("3.6.8", "7", 42), len(database()), "")


class Stage:
    def __init__(self, volume: Path, restore: str = PLANE) -> None:
        self.volume, self.s3, self.clock = volume, MemoryS3(), Clock()
        self.kube = MemoryKube(now=self.clock)
        self.kube.put(CONTROLPLANES, {"metadata": {"name": "new", "namespace": "default"}})
        self.kube.put(SECRETS, {"metadata": {"name": "control-plane-restored", "namespace": "mine"}})
        self.settings = Settings(
            control_plane_id="new-id",
            control_plane_name="new",
            control_plane_group="default",
            host_namespace="mine",
            bucket="snapshots",
            restore=restore,
            restore_dir=str(volume),
            etcd_version="3.6.5-0",
        )

    def store(self, manifest: Manifest = OLD, body: bytes = b"", keys: bytes = KEYS) -> str:
        """A snapshot in the bucket; the name by which it is restored."""
        body = body or database()
        whole = replace(manifest, sha256=manifest.sha256 or hashlib.sha256(body).hexdigest())
        folder = home("", PLANE) + whole.folder
        parts = {SNAPSHOT: body, ENCRYPTION: keys, MANIFEST: to_bytes(whole)}
        self.s3.objects |= {f"{folder}/{name}": part for name, part in parts.items()}
        return f"{PLANE}/{whole.folder}"

    async def step(self, name: str) -> None:
        settings = replace(self.settings, restore_step=name)
        host = Host(self.kube, source_of(settings), self.clock)
        await Restoring(settings, self.s3.bucket(), host, self.kube).run()

    def etcdutl(self) -> None:
        """What etcd's own tool leaves."""
        made = self.volume / "restore" / "made"
        assert not made.exists(), "etcdutl refuses a folder that is there"
        shutil.copytree(self.volume / "restore", made)

    async def whole(self) -> None:
        await self.step("fetch")
        self.etcdutl()
        await self.step("place")

    async def secret(self) -> dict[str, bytes]:
        found = await self.kube.get(SECRETS, "control-plane-restored", "mine")
        return {name: base64.b64decode(value) for name, value in (found.get("data") or {}).items()}

    async def said(self) -> KubeObject:
        status = (await self.kube.get(CONTROLPLANES, "new", "default"))["status"]
        found = condition_of(status["conditions"], "Restored")
        assert found is not None
        return found


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


async def test_a_snapshot_comes_back_with_its_keys_and_is_told(stage: Stage) -> None:
    name = stage.store()
    await stage.whole()
    assert (stage.volume / "data" / SNAPSHOT).read_bytes() == database()
    assert await stage.secret() == {ENCRYPTION: KEYS, "placed": name.encode()}
    said = await stage.said()
    assert (said["status"], said["reason"]) == ("True", "SnapshotRestored")
    assert name in said["message"]
    assert not (stage.volume / "restore").exists()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, "SnapshotMissing"),
        ({"body": database()[:-600]}, "SnapshotBroken"),
        ({"body": database(9)}, "SnapshotBroken"),
        ({"body": database(fill=b"x"), "manifest": replace(OLD, sha256="a" * 64)}, "SnapshotBroken"),
        ({"body": b"y" * len(database())}, "SnapshotBroken"),
        ({"keys": b"{}"}, "SnapshotBroken"),
        ({"manifest": replace(OLD, source=Source("other"))}, "SnapshotOfAnother"),
        ({"manifest": replace(OLD, state=State("3.7.0", "7", 42))}, "SnapshotTooNew"),
    ],
)
async def test_what_cannot_be_taken_back_is_refused_and_told(stage: Stage, change: dict, reason: str) -> None:
    if change:
        stage.store(**change)
    with pytest.raises(KeylessError):
        await stage.step("fetch")
    said = await stage.said()
    assert (said["status"], said["reason"]) == ("False", reason)
    assert "placed" not in await stage.secret()
    assert "c2VjcmV0" not in json.dumps(said)


async def test_a_volume_that_holds_data_is_never_written_over(stage: Stage) -> None:
    stage.store()
    (stage.volume / "data").mkdir()
    (stage.volume / "data" / "member").write_text("somebody's")
    with pytest.raises(KeylessError):
        await stage.step("fetch")
    assert (await stage.said())["reason"] == "VolumeNotEmpty"
    assert (stage.volume / "data" / "member").read_text() == "somebody's"


async def test_what_s3_refuses_is_told_in_its_own_word(stage: Stage) -> None:
    stage.store()
    stage.s3.refuse = lambda operation, key: (403, "AccessDenied") if key.endswith(ENCRYPTION) else None
    with pytest.raises(KeylessError):
        await stage.step("fetch")
    assert (await stage.said())["reason"] == "AccessDenied"
    stage.s3.refuse = lambda *_: None
    await stage.whole()
    assert (await stage.said())["status"] == "True"


async def test_ended_at_any_request_and_begun_again_it_comes_to_the_same_end(tmp_path: Path) -> None:
    first = Stage(tmp_path / "0")
    first.volume.mkdir()
    first.store()
    await first.whole()
    for number in range(1, len(first.s3.asked) + 1):
        stage = Stage(tmp_path / str(number))
        stage.volume.mkdir()
        stage.store()
        stage.s3.refuse = lambda *_, stage=stage, at=number: (
            (403, "AccessDenied") if len(stage.s3.asked) == at else None
        )
        with pytest.raises(KeylessError):
            await stage.step("fetch")
        await stage.whole()
        assert await stage.secret() == await first.secret()


async def test_ended_after_the_data_was_placed_it_goes_on_with_the_same_snapshot(stage: Stage) -> None:
    """The pod was ended between the renaming and its word; meanwhile a newer snapshot was stored."""
    name = stage.store()
    await stage.whole()
    stage.kube.put(SECRETS, {"metadata": {"name": "control-plane-restored", "namespace": "mine"}})
    stage.store(replace(OLD, state=State("3.6.8", "7", 99)))
    await stage.whole()
    assert (await stage.secret())["placed"] == name.encode()


async def test_the_last_word_is_the_one_on_which_the_operator_ends_the_pod(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.store()
    await stage.step("fetch")
    stage.etcdutl()
    patch, seen = stage.kube.patch, []

    async def noted(*words: object) -> KubeObject:
        seen.append(((await stage.said())["status"], (stage.volume / "restore").exists()))
        return await patch(*words)

    monkeypatch.setattr(stage.kube, "patch", noted)
    await stage.step("place")
    assert seen == [("True", False)]


async def test_a_volume_that_is_full_is_told(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.store()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("keyless.backup.restoring.Path.mkdir", full)
    with pytest.raises(OSError, match="No space"):
        await stage.step("fetch")
    assert "No space left on device" in (await stage.said())["message"]
