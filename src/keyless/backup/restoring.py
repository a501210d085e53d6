"""``keyless run backup --restore``: a snapshot back onto an empty volume, in three steps of one pod.

``fetch`` downloads and checks it, etcd's own ``etcdutl`` makes a data folder of it, ``place`` puts that where etcd
looks. Each may be ended and begun again. A volume that holds data is never written over. The keys of the snapshot's
Secrets go into a Secret of the host namespace, from which the operator makes the new control plane's.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
from pathlib import Path

from keyless.api import KeylessError, Permanent, Reason, Refusal
from keyless.api.sealed_by import sealers_of
from keyless.backup import plan
from keyless.backup.bucket import Bucket
from keyless.backup.checking import Checker
from keyless.backup.host import RESTORED, Host, Said
from keyless.backup.model import (
    ENCRYPTION,
    MANIFEST,
    SNAPSHOT,
    Manifest,
    Refused,
    Wanted,
    home,
    wanted_of,
)
from keyless.backup.settings import Settings
from keyless.kube import Kube
from keyless.kube.resources import SECRETS

DATA, WORK, MADE, MARK = "data", "restore", "made", "restored.json"
"""In the volume: etcd's folder, ours while it is made, what ``etcdutl`` makes in it, and of which snapshot data is."""
NAME = "wanted.json"


class Restoring:
    """One control plane's volume."""

    def __init__(self, settings: Settings, bucket: Bucket, host: Host, kube: Kube) -> None:
        self._settings = settings
        self._bucket, self._host, self._kube = bucket, host, kube
        self._volume = Path(settings.restore_dir)
        self._work = self._volume / WORK

    async def run(self) -> None:
        """Do the step that the settings name; raises what was told."""
        step = {"fetch": self.fetch, "place": self.place}.get(self._settings.restore_step)
        if step is None:
            raise Permanent(f"restore step: expected fetch or place, found {self._settings.restore_step!r}")
        try:
            await step()
        except KeylessError as error:
            code = str(getattr(error, "code", "") or Reason.SNAPSHOT_NOT_RESTORED)
            await self._host.report(Said(False, code, f"{self._settings.restore}: {error}", RESTORED), None)
            raise
        except OSError as error:
            told = f"{self._settings.restore}: {error.filename or self._volume}: {error.strerror}"
            await self._host.report(Said(False, str(Reason.SNAPSHOT_NOT_RESTORED), told, RESTORED), None)
            raise

    async def fetch(self) -> None:
        """The snapshot, checked, into the volume; its keys into the Secret."""
        wanted = wanted_of(self._settings.restore)
        if wanted is None:
            raise Permanent(f"restore: expected ID or ID/SNAPSHOT, found {self._settings.restore!r}")
        self._refuse_data("")
        # Begun again after it was placed: the newest may be another one by now.
        wanted = wanted_of(self._placed()) or wanted
        folder = _held(plan.choose(wanted, await self._bucket.keys(self._home(wanted)), self._settings.prefix))
        key = folder + MANIFEST
        etcd = self._settings.etcd_version
        manifest = plan.read_manifest(await self._bucket.get(key), wanted, key, etcd=etcd)
        if isinstance(manifest, Refusal):
            raise Refused(manifest)
        shutil.rmtree(self._work, ignore_errors=True)
        self._work.mkdir()
        await self._download(folder + SNAPSHOT, manifest)
        keys = await self._bucket.get(folder + ENCRYPTION)
        if not sealers_of(keys):
            raise Refused(Refusal(Reason.SNAPSHOT_BROKEN, f"{folder}{ENCRYPTION}: expected an EncryptionConfiguration"))
        _write(self._work / NAME, {"snapshot": f"{manifest.source.id}/{manifest.folder}"})
        await self._note(ENCRYPTION, keys)

    async def place(self) -> None:
        """What ``etcdutl`` made becomes etcd's folder, at once or not at all."""
        snapshot = json.loads((self._work / NAME).read_bytes())["snapshot"]
        self._refuse_data(snapshot)
        data = self._volume / DATA
        if not data.exists():
            # Before the data: what is there without a mark is somebody's, and stays.
            _write(self._volume / MARK, {"snapshot": snapshot})
            (self._work / MADE).rename(data)
            _sync(self._volume)
        message = f"it began as snapshot {snapshot}; tokens and certificates of that control plane are void here"
        await self._host.report(Said(True, str(Reason.SNAPSHOT_RESTORED), message, RESTORED), None)
        shutil.rmtree(self._work, ignore_errors=True)
        # At last: on this word the operator makes keys and ends this pod.
        await self._note("placed", snapshot.encode())

    async def _download(self, key: str, manifest: Manifest) -> None:
        checker = Checker()
        with (self._work / SNAPSHOT).open("wb") as file:
            async for part in self._bucket.download(key):
                checker.feed(part)
                await asyncio.to_thread(file.write, part)
        refusal = plan.broken(manifest, checker.size, checker.sha256, key)
        if refusal is None and checker.fault:
            refusal = Refusal(Reason.SNAPSHOT_BROKEN, f"{key}: {checker.fault}; restore an older one")
        if refusal is not None:
            raise Refused(refusal)

    def _placed(self) -> str:
        """Which snapshot the data is of; empty: of none, or there is no data."""
        try:
            found = json.loads((self._volume / MARK).read_bytes())["snapshot"]
        except (OSError, ValueError, KeyError, TypeError):
            return ""
        return str(found) if (self._volume / DATA).exists() else ""

    def _refuse_data(self, snapshot: str) -> None:
        """Data that is there came of this very restore, or is somebody's."""
        if not (self._volume / DATA).exists():
            return
        placed, asked = wanted_of(self._placed()), wanted_of(self._settings.restore)
        same = placed is not None and asked is not None and placed.control_plane_id == asked.control_plane_id
        fits = same and placed is not None and asked is not None and asked.folder in ("", placed.folder)
        if not fits or snapshot not in ("", str(placed)):
            raise Refused(
                Refusal(
                    Reason.VOLUME_NOT_EMPTY,
                    "the volume: expected an empty one, found etcd's data; nothing is written over: restore into a "
                    "new control plane, or remove the claim data-control-plane-0 if what it holds is to be given up",
                )
            )

    def _home(self, wanted: Wanted) -> str:
        return home(self._settings.prefix, wanted.control_plane_id)

    async def _note(self, name: str, body: bytes) -> None:
        patch = {"data": {name: base64.b64encode(body).decode()}}
        await self._kube.patch(SECRETS, self._settings.restore_secret, patch, self._settings.host_namespace)


def _held(chosen: str | Refusal) -> str:
    if isinstance(chosen, Refusal):
        raise Refused(chosen)
    return chosen


def _write(path: Path, document: dict[str, str]) -> None:
    partial = path.with_suffix(".partial")
    with partial.open("w") as file:
        json.dump(document, file)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
