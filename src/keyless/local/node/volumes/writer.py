"""Write the files of a volume so that a reader sees the old set or the new one, never a mixture.

Files live in a folder of their own generation; ``..data`` is a symbolic link to it that is replaced by rename, and
every top-level name is a link through ``..data``: the layout of Kubernetes' own atomic writer, which watchers of
mounted volumes know.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from keyless.api import Permanent
from keyless.local.node.volumes.payload import File, Payload

DATA = "..data"


def write(folder: Path, files: Payload) -> bool:
    """Make ``folder`` hold exactly ``files``; returns whether anything changed."""
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    if _current(folder) == files and (folder / DATA).is_symlink():
        return False
    generation = Path(tempfile.mkdtemp(prefix="..", dir=folder))
    generation.chmod(0o755)
    for name, file in files.items():
        target = generation / _safe(name)
        target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            out.write(file.content)
            os.fchmod(descriptor, file.mode)
    old = folder / os.readlink(folder / DATA) if (folder / DATA).is_symlink() else None
    _link(folder, DATA, generation.name)
    tops = {PurePosixPath(name).parts[0] for name in files}
    for name in tops:
        if not (folder / name).is_symlink():
            _link(folder, name, f"{DATA}/{name}")
    for entry in list(_visible(folder)):
        if entry.name not in tops:
            entry.unlink()
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)
    return True


def _current(folder: Path) -> Payload:
    data = folder / DATA
    if not data.is_dir():
        return {}
    found = [path for path in data.rglob("*") if path.is_file()]
    return {str(path.relative_to(data)): File(path.read_bytes(), path.stat().st_mode & 0o777) for path in found}


def _link(folder: Path, name: str, target: str) -> None:
    partial = folder / f"..{name.lstrip('.')}_partial"
    partial.unlink(missing_ok=True)
    partial.symlink_to(target)
    partial.replace(folder / name)


def _visible(folder: Path) -> Iterator[Path]:
    return (entry for entry in folder.iterdir() if not entry.name.startswith(".."))


def _safe(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise Permanent(f"volume path {name!r}: expected a relative path without ..")
    return path
