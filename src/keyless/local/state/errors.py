"""What can be wrong with a state folder. All of them need someone to act, so all are ``Permanent``."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from keyless.api import Permanent


class StateInUse(Permanent):
    """Another ``keyless up`` holds the folder."""


class StateTooNew(Permanent):
    """A newer version of keyless wrote the folder."""


class StateUnsafe(Permanent):
    """The folder belongs to somebody else, or others may read it, or it is no folder."""


class PortBusy(Permanent):
    """A port that tokens and trust policies already name is taken by somebody else."""


class StateFull(Permanent):
    """The disk under the folder is full, or a quota is reached."""


@contextmanager
def named_failures(path: Path) -> Iterator[None]:
    """Turn the failures of the disk below ``path`` into errors that say what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StateFull(_full(path)) from error
        if error.errno == errno.EROFS:
            raise StateUnsafe(read_only(path)) from error
        if error.errno in {errno.EACCES, errno.EPERM}:
            raise StateUnsafe(
                f"state folder {path}: expected to read and write {error.filename or path}, "
                f"found {error.strerror!r}; make it yours, or choose another folder with --state"
            ) from error
        raise
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_READONLY:
            # Also the database of a Space that runs, where the system mounted a failing disk anew without writing.
            raise StateUnsafe(
                read_only(path)
                if is_read_only(path)
                else f"state folder {path}: expected to write state.db, found {str(error)!r}; make it yours, or choose "
                "another folder with --state"
            ) from error
        if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
            raise StateFull(_full(path)) from error
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_IOERR:
            # A disk without room for SQLite's own index file says this, and so does one that fails.
            raise Permanent(
                f"state folder {path}: state.db cannot be used ({error}); is the disk full, or failing? Free some "
                "space there, or choose another folder with --state"
            ) from error
        raise
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode in {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}:
            raise Permanent(
                f"state folder {path}: state.db is no readable database ({error}); restore a copy of the folder, "
                "or choose another folder with --state"
            ) from error
        raise


def is_read_only(path: Path) -> bool:
    """Whether the file system that holds ``path`` is mounted without writing."""
    try:
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def read_only(path: Path) -> str:
    """What is said of a folder on a file system without writing: no mode and no owner helps there."""
    return (
        f"state folder {path}: expected to write there, found a read-only file system; mount it for writing, or "
        "choose another folder with --state"
    )


def _full(path: Path) -> str:
    return (
        f"state folder {path}: the disk is full; nothing that was answered is lost. Free some space there and run "
        "the command again"
    )
