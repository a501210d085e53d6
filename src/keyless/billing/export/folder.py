"""A copy of the billing bucket in a folder (``aws s3 sync``), read as the bucket is."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from keyless.api import Permanent, os_failure
from keyless.billing.export.reading import Readers


@dataclass(frozen=True, slots=True)
class _File:
    key: str
    size: int


class FolderBucket:
    """Implements ``Bucket``; a key is a file's path below the folder. A link is no object, and not there."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise Permanent(f"{folder}: expected a folder with a copy of the bucket, found none")
        self._folder = folder

    def list(self, prefix: str) -> Iterator[_File]:
        """Every file whose key begins with ``prefix``, in order."""
        yield from sorted(self._below(prefix), key=lambda found: found.key)

    def groups(self, prefix: str) -> Iterator[str]:
        """The names directly below ``prefix``, up to and with their slash."""
        folder, _, begin = prefix.rpartition("/")
        try:
            names = sorted(e.name for e in os.scandir(self._folder / folder) if e.is_dir(follow_symlinks=False))
        except FileNotFoundError:
            return
        except OSError as error:
            raise os_failure(error) from None
        yield from (f"{folder}/{name}/".lstrip("/") for name in names if name.startswith(begin))

    def get(self, key: str) -> bytes:
        """A file's bytes."""
        try:
            return (self._folder / key).read_bytes()
        except OSError as error:
            raise os_failure(error) from None

    def bodies(self, keys: Iterator[str], readers: Readers) -> Iterator[bytes]:
        """The files' bytes in the order of ``keys``: a disk gains nothing from many readers."""
        del readers
        return map(self.get, keys)

    def _below(self, prefix: str) -> Iterator[_File]:
        top = self._folder
        for part in Path(prefix.rpartition("/")[0]).parts:
            top /= part
            # A copy comes from somebody: a link in it would lead the reading wherever they like.
            if top.is_symlink():
                return
        for folder, _, names in os.walk(top, onerror=_raise):
            below = Path(folder).relative_to(self._folder).as_posix()
            for name in names:
                key = name if below == "." else f"{below}/{name}"
                found = (Path(folder) / name).lstat()
                # Nor is a device or a pipe an object: it would be read without end.
                if key.startswith(prefix) and stat.S_ISREG(found.st_mode):
                    yield _File(key, found.st_size)


def _raise(error: OSError) -> None:
    # A day without usage has no folder.
    if not isinstance(error, FileNotFoundError):
        raise os_failure(error) from None
