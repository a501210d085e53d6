"""Principals in stored policies: users and roles of the account are kept by unique id (facts/identity.md#principals).

So a user or role that is made again under the same name is somebody else: the old policy shows ``AIDA…`` or ``AROA…``
and does not let it in. An account's bare number becomes its ARN; everything else a policy names stays as it was
written, and so does the policy's whole text where nothing changes.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
"""

from __future__ import annotations

import re
from collections.abc import Callable
from sqlite3 import Connection
from typing import Any

import orjson

_NAMED = re.compile(r"arn:aws[a-z0-9-]*:iam::(?P<account>[0-9]{12}):(user|role)/.+")
_UNIQUE_ID = re.compile(r"A(ROA|IDA)[A-Z0-9]{12,28}")
_ACCOUNT = re.compile(r"[0-9]{12}")


class UnknownPrincipal(Exception):
    """A policy names a user or role that is not there; each service words it its own way."""

    def __init__(self, entry: str) -> None:
        super().__init__(entry)
        self.entry = entry


def stored(connection: Connection, text: str, *, account: str) -> str:
    """The valid policy ``text`` as it is kept; raises :class:`UnknownPrincipal`."""

    return _mapped(text, lambda entry: stored_entry(connection, entry, account=account))


def shown(connection: Connection, text: str) -> str:
    """A kept policy as it is read: ids of users and roles that are there are their ARNs again."""
    if not _UNIQUE_ID.search(text):
        return text
    return _mapped(text, lambda entry: shown_entry(connection, entry))


def stored_entry(connection: Connection, entry: str, *, account: str) -> str:
    """One principal as it is kept; raises :class:`UnknownPrincipal`."""
    if _ACCOUNT.fullmatch(entry):
        return f"arn:aws:iam::{entry}:root"
    if _UNIQUE_ID.fullmatch(entry):
        if not _arn_of(connection, entry):
            raise UnknownPrincipal(entry)
        return entry
    named = _NAMED.fullmatch(entry)
    if named is None or named["account"] != account:
        return entry
    return _id_of(connection, entry)


def shown_entry(connection: Connection, entry: str) -> str:
    """One kept principal as it is read."""
    return _arn_of(connection, entry) or entry


def _arn_of(connection: Connection, unique_id: str) -> str:
    row = connection.execute("SELECT arn FROM iam_unique_id WHERE id = ?", (unique_id,)).fetchone()
    return str(row[0]) if row else ""


def _id_of(connection: Connection, arn: str) -> str:
    kind, _, path = arn.split(":", 5)[5].partition("/")
    row = connection.execute(
        "SELECT json_extract(body, '$.id'), json_extract(body, '$.arn') FROM cloud_document WHERE kind = ? AND key = ?",
        (f"iam-{kind}", path.rpartition("/")[2]),
    ).fetchone()
    if row is None or row[1] != arn:
        raise UnknownPrincipal(arn)
    return str(row[0])


def _mapped(text: str, change: Callable[[str], str]) -> str:
    """``text`` with the AWS principals changed; the very same text where none is."""
    policy = orjson.loads(text)
    statements = policy.get("Statement", [])
    changed = False
    for statement in statements if isinstance(statements, list) else [statements]:
        for element in ("Principal", "NotPrincipal"):
            principal = statement.get(element)
            if isinstance(principal, dict) and "AWS" in principal:
                before = principal["AWS"]
                principal["AWS"] = _each(before, change)
                changed = changed or principal["AWS"] != before
    return orjson.dumps(policy).decode() if changed else text


def _each(entries: Any, change: Callable[[str], str]) -> Any:
    return [change(entry) for entry in entries] if isinstance(entries, list) else change(entries)
