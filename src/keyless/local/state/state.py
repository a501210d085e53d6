"""The open state of one local Space. See the package's docstring."""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import IO

from keyless.local.state import database, lock, ports
from keyless.local.state.authority import Authority
from keyless.local.state.errors import named_failures

TABLES = (
    "CREATE TABLE port (name TEXT PRIMARY KEY, number INTEGER NOT NULL UNIQUE) STRICT",
    "CREATE TABLE secret (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT",
)


class State:
    """Folder, database, ports, authority and stored secrets; one holder at a time."""

    def __init__(self, path: Path, held: IO[str], connection: sqlite3.Connection) -> None:
        self.path = path
        self.database = connection
        self._lock = held

    @classmethod
    def open(cls, path: Path) -> State:
        """Make or open the folder and hold its lock. Raises the errors of this package."""
        path = Path(path).expanduser().absolute()
        with named_failures(path):
            lock.prepare(path)
            held = lock.acquire(path)
            try:
                connection = database.connect(path)
            except BaseException:
                held.close()
                raise
            state = cls(path, held, connection)
            try:
                state.migrate("state", TABLES)
            except BaseException:
                state.close()
                raise
            return state

    def migrate(self, part: str, steps: Sequence[str]) -> None:
        """Run the SQL of ``part`` that this state has not seen; each step once, in order, for ever."""
        with named_failures(self.path):
            database.migrate(self.database, part, steps)

    def folder(self, name: str) -> Path:
        """A folder of that name inside, mode 0700."""
        made = self.path / name
        with named_failures(self.path):
            made.mkdir(mode=0o700, exist_ok=True)
        return made

    def port(self, name: str) -> int:
        """The port of that name: chosen when first asked for, then the same for ever."""
        row = self.database.execute("SELECT number FROM port WHERE name = ?", (name,)).fetchone()
        if row:
            return int(row[0])
        taken = [int(number) for (number,) in self.database.execute("SELECT number FROM port")]
        chosen = ports.choose(taken)
        with named_failures(self.path):
            self.database.execute("INSERT INTO port VALUES (?, ?)", (name, chosen))
        return chosen

    def listen(self, name: str) -> socket.socket:
        """A listening socket on the port of that name; raises ``PortBusy``, never takes another one."""
        return ports.listen(name, self.port(name), self.path)

    def require_free(self, name: str) -> int:
        """The port of that name, for somebody else to listen on; raises ``PortBusy``."""
        port = self.port(name)
        if not ports.is_free(port):
            raise ports.busy(name, port, self.path)
        return port

    def has_secret(self, name: str) -> bool:
        """Whether a value of that name was ever stored."""
        return self.database.execute("SELECT 1 FROM secret WHERE name = ?", (name,)).fetchone() is not None

    def secret(self, name: str, make: Callable[[], str]) -> str:
        """The stored value of that name; ``make`` is called once, when there is none."""
        row = self.database.execute("SELECT value FROM secret WHERE name = ?", (name,)).fetchone()
        if row:
            return str(row[0])
        value = make()
        with named_failures(self.path):
            self.database.execute("INSERT INTO secret VALUES (?, ?)", (name, value))
        return value

    @cached_property
    def authority(self) -> Authority:
        """The certificate authority, made when first asked for."""
        with named_failures(self.path):
            return Authority(self.folder("authority"))

    def close(self) -> None:
        """Release everything; the folder can be opened again at once."""
        self.database.close()
        self._lock.close()
