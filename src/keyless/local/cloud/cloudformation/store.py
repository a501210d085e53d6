"""Where stacks, their events and change sets live: tables of CloudFormation's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from keyless.local.cloud.cloudformation.model import ChangeSet, Stack, change_set_of, stack_of
from keyless.local.cloud.cloudformation.plan import IN_PROGRESS
from keyless.local.cloud.database import Database

_STEPS = (
    """
    CREATE TABLE cloudformation_stack (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, status TEXT NOT NULL, body TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX cloudformation_stack_name ON cloudformation_stack (name);
    CREATE TABLE cloudformation_event (
        number INTEGER PRIMARY KEY AUTOINCREMENT, stack TEXT NOT NULL, body TEXT NOT NULL
    );
    CREATE INDEX cloudformation_event_stack ON cloudformation_event (stack, number);
    CREATE TABLE cloudformation_change_set (id TEXT PRIMARY KEY, stack TEXT NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;
    """,
)


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a stack's history, named as the API names its fields."""

    number: int
    body: Mapping[str, Any]


class Store:
    """The tables."""

    def __init__(self, database: Database) -> None:
        database.migrate("cloud_cloudformation", _STEPS)
        self.database = database
        self._connection = database.connection

    def save(self, stack: Stack) -> None:
        """Write a stack."""
        self._connection.execute(
            "INSERT INTO cloudformation_stack VALUES (?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET status = excluded.status, body = excluded.body",
            (stack.id, stack.name, stack.status, orjson.dumps(stack).decode()),
        )

    def stack(self, name_or_id: str) -> Stack | None:
        """The stack of that id, or the one that has the name now."""
        row = self._connection.execute(
            "SELECT body FROM cloudformation_stack WHERE id = ? OR (name = ? AND status != 'DELETE_COMPLETE')",
            (name_or_id, name_or_id),
        ).fetchone()
        return stack_of(orjson.loads(row[0])) if row else None

    def stacks(self) -> list[Stack]:
        """All of them, deleted ones too, newest first."""
        rows = self._connection.execute("SELECT body FROM cloudformation_stack").fetchall()
        return sorted((stack_of(orjson.loads(row[0])) for row in rows), key=lambda one: -one.created_at)

    def unfinished(self) -> list[str]:
        """The ids of the stacks with work left."""
        rows = self._connection.execute("SELECT id, status FROM cloudformation_stack").fetchall()
        return [stack_id for stack_id, status in rows if status in IN_PROGRESS]

    def add_event(self, stack_id: str, body: Mapping[str, Any]) -> None:
        """Append to a stack's history."""
        self._connection.execute(
            "INSERT INTO cloudformation_event (stack, body) VALUES (?, ?)", (stack_id, orjson.dumps(body).decode())
        )

    def events(self, stack_id: str) -> list[Event]:
        """A stack's history, newest first."""
        rows = self._connection.execute(
            "SELECT number, body FROM cloudformation_event WHERE stack = ? ORDER BY number DESC", (stack_id,)
        )
        return [Event(row[0], orjson.loads(row[1])) for row in rows]

    def save_change_set(self, change_set: ChangeSet) -> None:
        """Write a change set."""
        self._connection.execute(
            "INSERT OR REPLACE INTO cloudformation_change_set VALUES (?, ?, ?)",
            (change_set.id, change_set.stack_id, orjson.dumps(change_set).decode()),
        )

    def change_sets(self, stack_id: str) -> list[ChangeSet]:
        """The change sets of a stack, oldest first."""
        rows = self._connection.execute("SELECT body FROM cloudformation_change_set WHERE stack = ?", (stack_id,))
        return sorted((change_set_of(orjson.loads(row[0])) for row in rows), key=lambda one: one.created_at)

    def change_set(self, change_set_id: str) -> ChangeSet | None:
        """The change set of an ARN."""
        query = "SELECT body FROM cloudformation_change_set WHERE id = ?"
        row = self._connection.execute(query, (change_set_id,)).fetchone()
        return change_set_of(orjson.loads(row[0])) if row else None

    def remove_change_sets(self, *ids: str) -> None:
        """Forget change sets."""
        for one in ids:
            self._connection.execute("DELETE FROM cloudformation_change_set WHERE id = ?", (one,))
