"""The audit's table: numbers outlive migrations and pruning."""

from __future__ import annotations

import sqlite3

from keyless.local.cloud.audit import Audit, read_audit
from keyless.local.cloud.database import STEPS, Database


def test_an_older_states_lines_keep_their_numbers() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(STEPS[0])
    connection.execute("CREATE TABLE cloud_part (name TEXT PRIMARY KEY, version INTEGER)")
    connection.execute("INSERT INTO cloud_part VALUES ('cloud', 1)")
    connection.execute("INSERT INTO cloud_audit VALUES (41, 0, '{}'), (42, 1, '{\"old\":1}')")
    Audit(Database(connection)).write({"code": "Success"})
    assert [(line.number, line.text) for line in read_audit(connection)] == [
        (41, "{}"),
        (42, '{"old":1}'),
        (43, '{"code":"Success"}'),
    ]


def test_a_line_and_the_write_it_tells_of_are_both_there_or_neither() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    database = Database(connection)
    audit = Audit(database)
    try:
        with database.transaction():
            database.put("kind", "key", {})
            audit.write({"code": "Success"})
            raise RuntimeError("killed")
    except RuntimeError:
        pass
    assert (list(read_audit(connection)), database.get("kind", "key")) == ([], None)
