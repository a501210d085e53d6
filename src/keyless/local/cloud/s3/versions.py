"""The versions of objects: what a write or a delete leaves behind where a bucket keeps them.

The newest version of a key is a row of ``s3_object``, as in buckets without versions; older ones, and delete markers,
are rows of ``s3_version``. A key without a row in ``s3_object`` is deleted: its newest row there is then a marker.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/versioning-workflows.html
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from keyless.local.cloud.s3.storage import Bucket, Storage, Stored, text_of

NULL = "null"
_COLUMNS = "bucket, key, version, modified, etag, size, described, body, tags"


@dataclass(frozen=True, slots=True)
class Removed:
    """What a delete did; ``version`` is empty where the bucket never had versions."""

    version: str = ""
    marker: bool = False


@dataclass(frozen=True, slots=True)
class Listed:
    """One version in a listing."""

    stored: Stored
    marker: bool
    latest: bool

    @property
    def key(self) -> str:
        """The object's key."""
        return self.stored.key


class Versions:
    """Writes, deletes and reads that know of versions."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    @property
    def _connection(self) -> sqlite3.Connection:
        return self._storage.connection

    def put(self, bucket: Bucket, stored: Stored, body: bytes) -> str:
        """Make ``stored`` the newest version; returns its id, empty where the bucket never had versions."""
        version = self._make_room(bucket, stored.key)
        self._storage.put(bucket.name, stored, body, version or NULL)
        return version

    def delete(self, bucket: Bucket, key: str, now: float) -> Removed:
        """Delete without naming a version: where there are versions, a marker becomes the newest."""
        if not bucket.versioning:
            self._storage.remove(bucket.name, key)
            return Removed()
        version = self._make_room(bucket, key)
        self._storage.remove(bucket.name, key)
        self._connection.execute(
            f"INSERT INTO s3_version ({_COLUMNS}, marker) VALUES (?, ?, ?, ?, '', 0, '{{}}', x'', '{{}}', 1)",  # noqa: S608 - constant names
            (bucket.name, key, version, now),
        )
        return Removed(version, marker=True)

    def delete_version(self, bucket: str, key: str, version: str) -> Removed:
        """Delete one version for good; what came before it becomes the newest again."""
        current = self._storage.object(bucket, key)
        marker = False
        if current and current.version == version:
            self._storage.remove(bucket, key)
        else:
            where, at = "bucket = ? AND key = ? AND version = ?", (bucket, key, version)
            row = self._connection.execute(f"SELECT marker FROM s3_version WHERE {where}", at).fetchone()  # noqa: S608 - constant text
            marker = bool(row and row[0])
            self._connection.execute(f"DELETE FROM s3_version WHERE {where}", at)  # noqa: S608 - constant text
        if self._storage.object(bucket, key) is None:
            self._promote(bucket, key)
        return Removed(version, marker)

    def find(self, bucket: str, key: str, version: str) -> tuple[Stored, bool] | None:
        """A version, and whether it is a delete marker."""
        current = self._storage.object(bucket, key)
        if current and current.version == version:
            return current, False
        row = self._connection.execute(
            "SELECT key, modified, etag, size, described, version, tags, marker FROM s3_version"
            " WHERE bucket = ? AND key = ? AND version = ?",
            (bucket, key, version),
        ).fetchone()
        return (_stored(row), bool(row[7])) if row else None

    def body(self, bucket: str, stored: Stored) -> bytes:
        """The body of a version that was found."""
        for table in ("s3_object", "s3_version"):
            row = self._connection.execute(
                f"SELECT body FROM {table} WHERE bucket = ? AND key = ? AND version = ?",  # noqa: S608 - constant names
                (bucket, stored.key, stored.version),
            ).fetchone()
            if row:
                return bytes(row[0])
        raise LookupError(f"{stored.key}: its version has no body")

    def set_tags(self, bucket: str, stored: Stored, tags: dict[str, str]) -> None:
        """Replace the tags of a version that was found."""
        self._set("tags", bucket, stored, tags)

    def set_described(self, bucket: str, stored: Stored, described: dict[str, Any]) -> None:
        """Replace what is kept with a version that was found."""
        self._set("described", bucket, stored, described)

    def _set(self, column: str, bucket: str, stored: Stored, value: dict[str, Any]) -> None:
        for table in ("s3_object", "s3_version"):
            self._connection.execute(
                f"UPDATE {table} SET {column} = ? WHERE bucket = ? AND key = ? AND version = ?",  # noqa: S608 - constant names
                (text_of(value), bucket, stored.key, stored.version),
            )

    def newest_marker(self, bucket: str, key: str) -> str:
        """The version of the delete marker that hides ``key``, which has no object; empty where none does."""
        row = self._connection.execute(
            "SELECT version FROM s3_version WHERE bucket = ? AND key = ? AND marker = 1 ORDER BY number DESC LIMIT 1",
            (bucket, key),
        ).fetchone()
        return str(row[0]) if row else ""

    def walk(self, bucket: str, prefix: str, start: str) -> Iterator[Listed]:
        """Every version below ``prefix`` from key ``start`` on: by key, newest first."""
        rows = self._connection.execute(
            "SELECT key, modified, etag, size, described, version, '{}', 0 AS marker, 9e18 AS number"
            " FROM s3_object WHERE bucket = ?1 AND key >= ?2 AND key >= ?3"
            " UNION ALL SELECT key, modified, etag, size, described, version, '{}', marker, number"
            " FROM s3_version WHERE bucket = ?1 AND key >= ?2 AND key >= ?3 ORDER BY 1, 9 DESC",
            (bucket, prefix, start),
        )
        previous = None
        for row in rows:
            if not row[0].startswith(prefix):
                return
            yield Listed(_stored(row), bool(row[7]), latest=row[0] != previous)
            previous = row[0]

    def _make_room(self, bucket: Bucket, key: str) -> str:
        """Put the newest version aside, and return the id of the one that comes."""
        if not bucket.versioning:
            return ""
        current = self._storage.object(bucket.name, key)
        if bucket.versioning == "Enabled":
            if current:
                self._archive(bucket.name, key)
            return secrets.token_urlsafe(24)
        # Suspended: the null version is replaced wherever it is, all others stay.
        if current and current.version != NULL:
            self._archive(bucket.name, key)
        self._connection.execute(
            "DELETE FROM s3_version WHERE bucket = ? AND key = ? AND version = ?", (bucket.name, key, NULL)
        )
        return NULL

    def _archive(self, bucket: str, key: str) -> None:
        self._connection.execute(
            f"INSERT INTO s3_version ({_COLUMNS}, marker) SELECT {_COLUMNS}, 0 FROM s3_object"  # noqa: S608 - constant names
            " WHERE bucket = ? AND key = ?",
            (bucket, key),
        )

    def _promote(self, bucket: str, key: str) -> None:
        row = self._connection.execute(
            "SELECT number, marker FROM s3_version WHERE bucket = ? AND key = ? ORDER BY number DESC LIMIT 1",
            (bucket, key),
        ).fetchone()
        if row is None or row[1]:
            return
        self._connection.execute(
            f"INSERT INTO s3_object ({_COLUMNS}) SELECT {_COLUMNS} FROM s3_version WHERE number = ?",  # noqa: S608 - constant names
            (row[0],),
        )
        self._connection.execute("DELETE FROM s3_version WHERE number = ?", (row[0],))


def _stored(row: tuple[object, ...]) -> Stored:
    key, modified, etag, size, described, version, tags, *_ = row
    assert isinstance(modified, float) and isinstance(size, int)  # noqa: PT018 - for the reader of types
    return Stored(
        str(key), modified, str(etag), size, orjson.loads(str(described)), str(version), orjson.loads(str(tags))
    )
