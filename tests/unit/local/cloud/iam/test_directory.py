"""What an account that an older version wrote has after the step forward: indexes for all that was there."""

from __future__ import annotations

import sqlite3

import orjson

from keyless.local.cloud.database import Database
from keyless.local.cloud.iam import principals
from keyless.local.cloud.iam.directory import Directory
from unit.local.cloud.support import ACCOUNT, START, document, pods_trust

LIMIT = "arn:aws:iam::aws:policy/AmazonS3FullAccess"


def old_role(name: str, **more: object) -> dict[str, object]:
    arn = f"arn:aws:iam::{ACCOUNT}:role/{name}"
    role = {"name": name, "id": f"AROA{name.upper():A<17}", "arn": arn, "path": "/", "created_at": START}
    return {**role, "trust": pods_trust(), "attached": [], "boundary": "", **more}


def old_account() -> Database:
    """Documents as the first version kept them, without groups, links and indexes."""
    database = Database(sqlite3.connect(":memory:", isolation_level=None))
    database.put("iam-role", "billing", old_role("billing", attached=[LIMIT]))
    database.put("iam-role", "bounded", old_role("bounded", boundary=LIMIT))
    user = {**old_role("ana"), "id": "AIDA" + "A" * 17, "arn": f"arn:aws:iam::{ACCOUNT}:user/ana"}
    del user["trust"]
    database.put("iam-user", "ana", user)
    return database


def shown(database: Database, unique_id: str) -> str:
    """How a stored policy that names an id is read."""
    statement = {"Effect": "Allow", "Principal": {"AWS": unique_id}, "Action": "sts:AssumeRole"}
    read = orjson.loads(principals.shown(database.connection, document(statement)))
    return str(read["Statement"][0]["Principal"]["AWS"])


def test_an_older_account_is_brought_forward() -> None:
    database = old_account()
    directory = Directory(database, account=ACCOUNT, propagation_delay_seconds=0.0, now=lambda: START)
    assert directory.uses(LIMIT, "attached") == [("iam-role", "billing")]
    assert directory.uses(LIMIT, "boundary") == [("iam-role", "bounded")]
    assert shown(database, "AIDA" + "A" * 17) == f"arn:aws:iam::{ACCOUNT}:user/ana"
    assert directory.taken("iam-role", "BILLING")
    ana = directory.user("ana")
    assert ana is not None
    assert ana.groups == ()
    assert [role.name for role in directory.each("iam-role")] == ["billing", "bounded"]


def test_a_second_start_changes_nothing() -> None:
    database = old_account()
    for _ in range(2):
        directory = Directory(database, account=ACCOUNT, propagation_delay_seconds=0.0, now=lambda: START)
    assert directory.count_uses(LIMIT, "attached") == 1


def test_what_is_removed_leaves_no_trace() -> None:
    database = old_account()
    directory = Directory(database, account=ACCOUNT, propagation_delay_seconds=0.0, now=lambda: START)
    role = directory.role("billing")
    assert role is not None
    directory.remove("iam-role", "billing")
    assert directory.uses(LIMIT, "attached") == []
    assert shown(database, role.id) == role.id
    rows = database.connection.execute("SELECT body FROM cloud_document WHERE kind = 'iam-role'").fetchall()
    assert [orjson.loads(row[0])["name"] for row in rows] == ["bounded"]
