"""The cloud's part of the state: transactions, JSON documents by kind and key, and facts that take effect later.

Every write is committed before the answer leaves. Times are stored as absolute seconds, so a restart changes nothing.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import orjson

T = TypeVar("T")
Migrate = Callable[[str, Sequence[str]], None]

STEPS = (
    """
    CREATE TABLE cloud_document (kind TEXT, key TEXT, body TEXT NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID;
    CREATE TABLE cloud_effective (
        number INTEGER PRIMARY KEY, key TEXT NOT NULL, effective_at REAL NOT NULL, body TEXT
    );
    CREATE INDEX cloud_effective_key ON cloud_effective (key, number);
    CREATE TABLE cloud_audit (number INTEGER PRIMARY KEY AUTOINCREMENT, denied INTEGER NOT NULL, line TEXT NOT NULL);
    """,
    # The oldest lines are pruned, never the newest: numbers do not come again without AUTOINCREMENT, which would write
    # a page of its own for each call.
    """
    ALTER TABLE cloud_audit RENAME TO cloud_audit_before;
    CREATE TABLE cloud_audit (number INTEGER PRIMARY KEY, denied INTEGER NOT NULL, line TEXT NOT NULL);
    INSERT INTO cloud_audit SELECT number, denied, line FROM cloud_audit_before;
    DROP TABLE cloud_audit_before;
    """,
    # Names are unique without regard to case, and counted against quotas: neither may read every document.
    "CREATE INDEX cloud_document_folded ON cloud_document (kind, lower(key));",
)


class Database:
    """A thin hand on the connection that the state opened (autocommit; one thread)."""

    def __init__(self, connection: sqlite3.Connection, migrate: Migrate | None = None) -> None:
        self.connection = connection
        self._migrate = migrate or self._migrate_alone
        self.migrate("cloud", STEPS)

    def migrate(self, part: str, steps: Sequence[str]) -> None:
        """Bring the tables of ``part`` forward; called once by each service that has tables of its own."""
        self._migrate(part, steps)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing; a transaction inside another is part of it. Never await inside."""
        if self.connection.in_transaction:
            yield self.connection
            return
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield self.connection
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    @contextmanager
    def rewriting(self) -> Iterator[None]:
        """A transaction that leaves nothing of the bytes it replaces, neither in the file nor in its log."""
        self.connection.execute("PRAGMA secure_delete = ON")
        try:
            with self.transaction():
                yield
            self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            self.connection.execute("PRAGMA secure_delete = OFF")

    def get(self, kind: str, key: str) -> Any | None:
        """The document, decoded, or None."""
        row = self.connection.execute(
            "SELECT body FROM cloud_document WHERE kind = ? AND key = ?", (kind, key)
        ).fetchone()
        return orjson.loads(row[0]) if row else None

    def put(self, kind: str, key: str, document: object) -> None:
        """Write a document (a dataclass or plain JSON values)."""
        self.connection.execute(
            "INSERT INTO cloud_document VALUES (?, ?, ?) ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body",
            (kind, key, orjson.dumps(document).decode()),
        )

    def remove(self, kind: str, key: str) -> None:
        """Forget a document."""
        self.connection.execute("DELETE FROM cloud_document WHERE kind = ? AND key = ?", (kind, key))

    def all(self, kind: str, *, after: str = "", limit: int = -1) -> list[Any]:
        """The documents of a kind in the order of their keys, beginning behind ``after``."""
        rows = self.connection.execute(
            "SELECT body FROM cloud_document WHERE kind = ? AND key > ? ORDER BY key LIMIT ?", (kind, after, limit)
        )
        return [orjson.loads(row[0]) for row in rows]

    def count(self, kind: str, *, mentioning: str = "") -> int:
        """How many documents of a kind there are; with ``mentioning``, how many hold that text."""
        query, values = "SELECT count(*) FROM cloud_document WHERE kind = ?", [kind]
        if mentioning:
            query, values = f"{query} AND instr(body, ?) > 0", [kind, mentioning]
        return int(self.connection.execute(query, values).fetchone()[0])

    def remembered(self, name: str, make: Callable[[], str] = lambda: secrets.token_hex(32)) -> str:
        """A value that is made once and kept, such as a signing secret."""
        value = self.get("remembered", name)
        if value is None:
            value = make()
            self.put("remembered", name, value)
        return str(value)

    def _migrate_alone(self, part: str, steps: Sequence[str]) -> None:
        """For a bare connection (tests): what the state does, without its record of failures."""
        self.connection.execute("CREATE TABLE IF NOT EXISTS cloud_part (name TEXT PRIMARY KEY, version INTEGER)")
        row = self.connection.execute("SELECT version FROM cloud_part WHERE name = ?", (part,)).fetchone()
        for number, step in enumerate(steps[int(row[0]) if row else 0 :], start=(int(row[0]) if row else 0) + 1):
            self.connection.executescript(step)
            self.connection.execute("INSERT OR REPLACE INTO cloud_part VALUES (?, ?)", (part, number))


class EffectiveFacts:
    """What IAM's *decisions* see: each version of a fact counts from its own time; the older one holds till then."""

    def __init__(self, database: Database) -> None:
        self._connection = database.connection

    def write(self, key: str, body: object | None, *, at: float, now: float) -> None:
        """From ``at`` on, ``key`` is ``body`` (None: gone). Versions that can no longer count are dropped."""
        text = None if body is None else orjson.dumps(body).decode()
        self._connection.execute(
            "INSERT INTO cloud_effective (key, effective_at, body) VALUES (?, ?, ?)", (key, at, text)
        )
        self._connection.execute(
            "DELETE FROM cloud_effective WHERE key = ? AND number <"
            " (SELECT max(number) FROM cloud_effective WHERE key = ? AND effective_at <= ?)",
            (key, key, now),
        )

    def read(self, key: str, now: float) -> tuple[int, Any] | None:
        """The version number and body that count now, or None."""
        row = self._connection.execute(
            "SELECT number, body FROM cloud_effective WHERE key = ? AND effective_at <= ? ORDER BY number DESC LIMIT 1",
            (key, now),
        ).fetchone()
        return (row[0], orjson.loads(row[1])) if row and row[1] is not None else None

    def next_change(self, now: float) -> float | None:
        """When the next pending version begins to count, or None."""
        row = self._connection.execute("SELECT min(effective_at) FROM cloud_effective WHERE effective_at > ?", (now,))
        found = row.fetchone()[0]
        return None if found is None else float(found)
