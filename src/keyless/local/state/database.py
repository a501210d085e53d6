"""The SQLite file: WAL with ``synchronous=NORMAL`` (survives ``kill -9``), and forward migrations for each part.

https://www.sqlite.org/pragma.html#pragma_synchronous
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from keyless.api import Permanent
from keyless.local.state.errors import StateTooNew
from keyless.local.state.lock import private

_PART_NAME = re.compile(r"(?=.*[A-Za-z0-9])[A-Za-z0-9_-]+")


def connect(path: Path) -> sqlite3.Connection:
    """Open the database below the folder ``path``; autocommit, so each part says BEGIN where it needs it."""
    file = path / "state.db"
    os.close(private(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC))  # SQLite gives -wal and -shm the same mode
    connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        # 16 MiB of log: pages that are written again and again (the audit's last, an object put twice) are copied into
        # the database once. A put of 64 KiB costs 140 µs instead of 175.
        connection.execute("PRAGMA wal_autocheckpoint=4000")
        connection.execute("PRAGMA busy_timeout=5000")
        connection.execute("CREATE TABLE IF NOT EXISTS part (name TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT")
    except BaseException:
        connection.close()
        raise
    return connection


def migrate(connection: sqlite3.Connection, part: str, steps: Sequence[str]) -> None:
    """Bring ``part`` from the version it has to ``len(steps)``: each step is one transaction with its version."""
    row = connection.execute("SELECT version FROM part WHERE name = ?", (part,)).fetchone()
    version = int(row[0]) if row else 0
    if version > len(steps):
        raise StateTooNew(
            f"the state's part {part!r}: expected version {len(steps)} or older, found {version}; it was written by a "
            "newer keyless: use that one, or choose another folder with --state"
        )
    if not _PART_NAME.fullmatch(part):
        raise Permanent(f"part name {part!r}: expected letters, digits, _ and -")
    for number, step in enumerate(steps[version:], start=version + 1):
        _run_step(connection, part, number, step)


def _run_step(connection: sqlite3.Connection, part: str, number: int, step: str) -> None:
    # The name is checked above and the number is ours: executescript takes no parameters.
    record = (
        f"INSERT INTO part VALUES ('{part}', {number}) "  # noqa: S608 - see above
        f"ON CONFLICT (name) DO UPDATE SET version = {number}"
    )
    try:
        connection.executescript(f"BEGIN IMMEDIATE;\n{step};\n{record};\nCOMMIT;")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def open_for_reading(path: Path) -> sqlite3.Connection | None:
    """Open the database that another process may be writing, without any right to change it; None where none is."""
    file = path / "state.db"
    if not file.exists():
        return None
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
