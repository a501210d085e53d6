"""The report's file: shown to be writable before anything is read, there whole or not at all, never overwritten."""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from keyless.api import Permanent


def must_be_writable(out: Path) -> None:
    """Raise ``Permanent`` for a file that exists or could not be written; a month is not read in vain."""
    if str(out) == "-":
        raise Permanent("-o -: expected the name of a file: the report is an archive and is not written to a terminal")
    if os.path.lexists(out):
        raise Permanent(f'file "{out}" already exists')
    try:
        with suppress(FileNotFoundError):
            os.lstat(out)  # a name that is too long is not there, and cannot be made
        # Beside it, not in its place: a run that is killed here would leave an empty report.
        with partial(out):
            pass
    except (OSError, ValueError) as error:
        raise _unwritable(out, error) from error


def write_new(out: Path, pieces: Iterable[bytes], *, before_named: Callable[[], None] = lambda: None) -> None:
    """Write the report beside its name, then give it the name; on any failure nothing is left.

    ``before_named`` is called when it is written and nobody can see it yet.
    """
    try:
        with partial(out) as (path, file):
            _fill(file, pieces)
            path.chmod(0o666 & ~umask())
            before_named()
            _name(path, out)
    except FileExistsError:
        raise Permanent(f'file "{out}" already exists') from None
    except OSError as error:
        raise _unwritable(out, error) from error


def write_over(out: Path, pieces: Iterable[bytes]) -> None:
    """Write beside the file, then put it in its place: the rename is the one step. Raises ``OSError``."""
    with partial(out) as (path, file):
        mode = out.stat().st_mode & 0o777 if out.exists() else 0o666 & ~umask()
        _fill(file, pieces)
        path.chmod(mode)
        path.replace(out)


def _fill(file: BinaryIO, pieces: Iterable[bytes]) -> None:
    for piece in pieces:
        file.write(piece)
    file.flush()
    os.fsync(file.fileno())


@contextmanager
def partial(out: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """A new file in the same folder, for a name can be given within one file system only; gone when it is done with.

    What a killed run left of the same ``out`` goes, too: who writes holds a lock, which ends with the process.
    """
    # By a hash, for a name may be as long as a name can be.
    prefix = f".keyless-report-{hashlib.sha256(out.name.encode(errors='surrogateescape')).hexdigest()[:12]}-"
    for left in out.parent.glob(f"{prefix}*"):
        _clear(left)
    path, file = _locked(prefix, out.parent)
    try:
        with file:
            yield path, file
    finally:
        path.unlink(missing_ok=True)


def _locked(prefix: str, folder: Path) -> tuple[Path, BinaryIO]:
    while True:
        handle, name = tempfile.mkstemp(prefix=prefix, dir=folder)
        with suppress(OSError):
            # A file system without locks: there nothing that was left is taken away, either.
            fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:
            return Path(name), os.fdopen(handle, "wb")
        # Another run took it for one that was left, before it was locked.
        os.close(handle)


def _clear(left: Path) -> None:
    """Remove what a process that is gone was writing; of another's, or a stranger's, nothing."""
    with suppress(OSError):
        handle = os.open(left, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            found = os.fstat(handle)
            if stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid():
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                left.unlink()
        finally:
            os.close(handle)


def _name(partial: Path, out: Path) -> None:
    try:
        os.link(partial, out)
    except FileExistsError:
        raise
    except OSError:
        # A file system without links: the name is free as far as anyone can tell.
        if os.path.lexists(out):
            raise FileExistsError from None
        partial.rename(out)


def umask() -> int:
    """Which permissions this process's files do not get."""
    # There is no way to read it but to set it.
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _unwritable(out: Path, error: Exception) -> Permanent:
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return Permanent(f"{out}: the report could not be written: {said}")
