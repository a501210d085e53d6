"""The volumes of one pod on this machine: folders made, files kept current, everything removed in the end.

Volumes with content (projected, Secret, ConfigMap, downward API) are rewritten whenever their sources change; emptyDir
lives as long as the pod; a claim's folder belongs to its PersistentVolume and outlives it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from keyless.kube import Kube, KubeObject, NotFound
from keyless.kube.resources import PERSISTENTVOLUMECLAIMS
from keyless.local.node.environment import Lookup, Place
from keyless.local.node.volumes.payload import MountFault, Sources, token_wishes, volume_files
from keyless.local.node.volumes.tokens import PodTokens
from keyless.local.node.volumes.writer import write

SHARED = 0o777


class PodVolumes:
    """``folders`` tells the real folder of each volume after ``prepare``."""

    def __init__(self, kube: Kube, folder: Path, persistent: Path, now: Callable[[], datetime]) -> None:
        self.folders: dict[str, str] = {}
        self._kube = kube
        self._folder = folder
        self._persistent = persistent
        self._tokens = PodTokens(kube, now)

    @property
    def renew_at(self) -> datetime | None:
        """When ``prepare`` must be called again at the latest: tokens end."""
        return self._tokens.renew_at

    async def prepare(self, pod: KubeObject, place: Place, lookup: Lookup) -> MountFault | None:
        """Make or refresh every volume; the first fault ends it and is returned."""
        await self._tokens.freshen(pod, token_wishes(pod))
        sources = Sources(pod, place, lookup, self._tokens.token)
        for volume in pod["spec"].get("volumes") or ():
            fault = await self._prepare_one(volume, sources)
            if fault is not None:
                return MountFault(f'MountVolume.SetUp failed for volume "{volume["name"]}" : {fault.message}')
        return None

    def remove(self) -> None:
        """Take the pod's own folders away; persistent ones stay."""
        shutil.rmtree(self._folder, ignore_errors=True)

    async def _prepare_one(self, volume: Mapping[str, Any], sources: Sources) -> MountFault | None:
        name = volume["name"]
        files = volume_files(volume, sources)
        if isinstance(files, MountFault):
            return files
        if files is not None:
            write(self._folder / name, files)
            self.folders[name] = str(self._folder / name)
            return None
        found = await self._folder_of(volume, sources.pod["metadata"]["namespace"])
        if isinstance(found, MountFault):
            return found
        self.folders[name] = str(found)
        return None

    async def _folder_of(self, volume: Mapping[str, Any], namespace: str) -> Path | MountFault:
        if "emptyDir" in volume:
            return _made(self._folder / volume["name"])
        if claim := volume.get("persistentVolumeClaim"):
            return await self._claimed(claim["claimName"], namespace)
        if host_path := volume.get("hostPath"):
            return _host_folder(Path(host_path["path"]), str(host_path.get("type") or ""))
        kinds = sorted(key for key in volume if key != "name")
        return MountFault(
            f"this node has no volumes of kind {', '.join(kinds) or 'none'}: use emptyDir, persistentVolumeClaim, "
            "projected, secret, configMap, downwardAPI or hostPath"
        )

    async def _claimed(self, claim_name: str, namespace: str) -> Path | MountFault:
        try:
            claim = await self._kube.get(PERSISTENTVOLUMECLAIMS, claim_name, namespace)
        except NotFound:
            return MountFault(f'persistentvolumeclaim "{claim_name}" not found')
        volume_name = claim.get("spec", {}).get("volumeName")
        if not volume_name:
            return MountFault(f'persistentvolumeclaim "{claim_name}" is not bound')
        self._persistent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return _made(self._persistent / volume_name)


def _host_folder(path: Path, kind: str) -> Path | MountFault:
    if kind == "DirectoryOrCreate":
        path.mkdir(parents=True, exist_ok=True)
    return path if path.exists() else MountFault(f"hostPath {path} does not exist")


def _made(path: Path) -> Path:
    if not path.exists():
        path.mkdir(parents=True)
        path.chmod(SHARED)
    return path
