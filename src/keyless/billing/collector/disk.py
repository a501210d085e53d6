"""The spool's folder: every operation is on the disk when it returns, and whole or not done at all.

The four primitives at the end are all that touches the file system, so that a test can end the process, or fill the
disk, at each of them.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import IO

NEW = ".new"


class Disk:
    """One folder. Raises ``OSError``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._handles: dict[str, int] = {}

    def prepare(self) -> None:
        """Make the folder, and remove what a crash left half written."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in self.names():
            if name.endswith(NEW):
                self._unlink(name)

    def lock(self) -> bool:
        """Whether the folder is ours alone; held until the process ends."""
        self.folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            return False
        self._handles["lock"] = handle
        return True

    def release(self) -> None:
        """Let go of every file."""
        for handle in self._handles.values():
            os.close(handle)
        self._handles.clear()

    def names(self) -> list[str]:
        """The files that are there."""
        return sorted(entry.name for entry in os.scandir(self.folder))

    def open(self, name: str) -> IO[bytes]:
        """Read a file."""
        return (self.folder / name).open("rb")

    def size(self, name: str) -> int:
        """A file's size in bytes."""
        return (self.folder / name).stat().st_size

    def put(self, name: str, data: bytes) -> None:
        """Write a whole file, new or in place of another."""
        try:
            self._write(name + NEW, data, 0)
            self._replace(name + NEW, name)
        except OSError:
            # Half a file on a full disk would keep the room that others wait for.
            with contextlib.suppress(OSError):
                self._unlink(name + NEW)
            raise

    def append(self, name: str, data: bytes, at: int) -> None:
        """Write at an offset: what a write that failed left behind there goes."""
        self._write(name, data, at)

    def rename(self, name: str, other: str) -> None:
        """Give a file another name."""
        self.finish(name)
        self._replace(name, other)

    def remove(self, name: str) -> None:
        """Remove a file; one that is gone already is fine."""
        self.finish(name)
        with contextlib.suppress(FileNotFoundError):
            self._unlink(name)

    def finish(self, name: str) -> None:
        """Close a file that was appended to."""
        if (handle := self._handles.pop(name, None)) is not None:
            os.close(handle)

    def _write(self, name: str, data: bytes, at: int) -> None:
        handle = self._handles.get(name)
        if handle is None:
            handle = self._handles[name] = os.open(self.folder / name, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.ftruncate(handle, at)
            done = 0
            while done < len(data):
                done += os.pwrite(handle, data[done:], at + done)
            self._sync(handle)
        finally:
            if name.endswith(NEW):
                self.finish(name)

    def _replace(self, name: str, other: str) -> None:
        os.replace(self.folder / name, self.folder / other)
        self._sync_folder()

    def _unlink(self, name: str) -> None:
        os.unlink(self.folder / name)
        self._sync_folder()

    def _sync_folder(self) -> None:
        handle = os.open(self.folder, os.O_RDONLY)
        try:
            self._sync(handle)
        finally:
            os.close(handle)

    def _sync(self, handle: int) -> None:
        os.fsync(handle)
