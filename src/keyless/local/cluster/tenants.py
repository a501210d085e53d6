"""Which clusters exist, and who of the host is admin in each: kept in SQLite beside the objects."""

from __future__ import annotations

import sqlite3

MIGRATIONS = ("CREATE TABLE IF NOT EXISTS cluster_names (name TEXT PRIMARY KEY, owner TEXT)",)


class Tenants:
    """The names of all clusters and their owners."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        for statement in MIGRATIONS:
            database.execute(statement)
        self._owners: dict[str, str | None] = dict(database.execute("SELECT name, owner FROM cluster_names"))

    def __contains__(self, name: str) -> bool:
        return name in self._owners

    def names(self) -> list[str]:
        """All clusters."""
        return sorted(self._owners)

    def owner(self, name: str) -> str | None:
        """The user of the host that is admin in the cluster."""
        return self._owners.get(name)

    def put(self, name: str, owner: str | None) -> None:
        """Record a cluster, or a new owner."""
        if name not in self._owners or self._owners[name] != owner:
            self._database.execute("REPLACE INTO cluster_names VALUES (?, ?)", (name, owner))
            self._owners[name] = owner

    def remove(self, name: str) -> None:
        """Forget a cluster."""
        self._database.execute("DELETE FROM cluster_names WHERE name = ?", (name,))
        self._owners.pop(name, None)
