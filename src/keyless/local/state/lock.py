"""The folder itself: made with mode 0700, checked, and locked for one process."""

from __future__ import annotations

import fcntl
import os
import shlex
import stat
from pathlib import Path
from typing import IO

from keyless.local.state.errors import StateInUse, StateUnsafe, is_read_only, read_only

OWNERS = 0o700
"""What the owner needs of the folder: list, write, enter."""


def prepare(path: Path) -> None:
    """Make the folder if it is missing; raises ``StateUnsafe`` where others could read or write it."""
    if not path.exists() and not path.is_symlink():
        path.mkdir(mode=0o700, parents=True)
    facts = path.stat()
    if not stat.S_ISDIR(facts.st_mode):
        raise StateUnsafe(f"state folder {path}: expected a folder, found a file; choose another one with --state")
    # Before owner and mode: nothing can be put right where nothing can be written, so a chmod would only fail.
    if is_read_only(path):
        raise StateUnsafe(read_only(path))
    if facts.st_uid != os.geteuid():
        raise StateUnsafe(
            f"state folder {path}: expected owner {os.geteuid()} (you), found {facts.st_uid}; run as that user, "
            "or choose another folder with --state"
        )
    mode = stat.S_IMODE(facts.st_mode)
    if mode & 0o077 or mode & OWNERS != OWNERS:
        raise StateUnsafe(
            f"state folder {path}: expected mode 0700 because it holds private keys, found {mode:04o}; "
            f"run: chmod 700 {shlex.quote(str(path))}"
        )


def acquire(path: Path) -> IO[str]:
    """Hold ``path/lock`` until the returned file is closed or the process ends, however it ends."""
    file = open(path / "lock", "a+", encoding="utf-8", opener=private)  # noqa: SIM115 - held as long as the state
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise StateInUse(
            f"state folder {path} is in use by process {holder}: see `keyless status`, stop it with `keyless down`, "
            "or choose another folder with --state"
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def is_held(path: Path) -> bool:
    """Whether some process holds the folder now; what is no folder of ours nobody holds (``prepare`` says why)."""
    try:
        with open(path / "lock", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return False
    except BlockingIOError:
        return True
    return False


def private(path: str | Path, flags: int) -> int:
    """An ``opener`` for files that hold secrets: mode 0600 whatever the umask is."""
    return os.open(path, flags, 0o600)
