"""Buckets and objects in the state's database: plain functions over tables, durable before they return.

Bodies are blobs: what a Space stores is small, and one file that survives ``kill -9`` is worth more here than speed on
gigabytes.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from keyless.local.cloud.database import Database

STEPS = (
    """
    CREATE TABLE s3_bucket (
        name TEXT PRIMARY KEY, created REAL NOT NULL, region TEXT NOT NULL, policy TEXT
    ) WITHOUT ROWID;
    CREATE TABLE s3_object (
        bucket TEXT NOT NULL, key TEXT NOT NULL, modified REAL NOT NULL, etag TEXT NOT NULL, size INTEGER NOT NULL,
        described TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (bucket, key)
    );
    CREATE TABLE s3_upload (
        id TEXT PRIMARY KEY, bucket TEXT NOT NULL, key TEXT NOT NULL, started REAL NOT NULL, described TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE s3_part (
        upload TEXT NOT NULL, number INTEGER NOT NULL, modified REAL NOT NULL, etag TEXT NOT NULL, body BLOB NOT NULL,
        PRIMARY KEY (upload, number)
    );
    """,
    """
    ALTER TABLE s3_bucket ADD COLUMN versioning TEXT NOT NULL DEFAULT '';
    ALTER TABLE s3_bucket ADD COLUMN tags TEXT NOT NULL DEFAULT '{}';
    ALTER TABLE s3_object ADD COLUMN version TEXT NOT NULL DEFAULT 'null';
    ALTER TABLE s3_object ADD COLUMN tags TEXT NOT NULL DEFAULT '{}';
    CREATE TABLE s3_version (
        number INTEGER PRIMARY KEY AUTOINCREMENT, bucket TEXT NOT NULL, key TEXT NOT NULL, version TEXT NOT NULL,
        marker INTEGER NOT NULL, modified REAL NOT NULL, etag TEXT NOT NULL, size INTEGER NOT NULL,
        described TEXT NOT NULL, body BLOB NOT NULL, tags TEXT NOT NULL, UNIQUE (bucket, key, version)
    );
    """,
    """
    ALTER TABLE s3_bucket ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';
    ALTER TABLE s3_part ADD COLUMN described TEXT NOT NULL DEFAULT '{}';
    """,
    # What is sealed is longer than it was.
    "ALTER TABLE s3_part ADD COLUMN size INTEGER;",
)


@dataclass(frozen=True, slots=True)
class Bucket:
    """One bucket; ``policy`` is its text, empty where it has none."""

    name: str
    created: float
    region: str
    policy: str = ""
    #: empty (never had versions), ``Enabled`` or ``Suspended``
    versioning: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    #: the other settings, each under boto3's name for it (see :mod:`settings`)
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stored:
    """An object without its body; ``described`` holds content type, user metadata and checksums as boto3 names them."""

    key: str
    modified: float
    etag: str
    size: int
    described: dict[str, Any] = field(default_factory=dict)
    version: str = "null"
    tags: dict[str, str] = field(default_factory=dict)


class Storage:
    """The tables of S3."""

    def __init__(self, database: Database) -> None:
        database.migrate("cloud-s3", STEPS)
        self._connection = database.connection

    @property
    def connection(self) -> sqlite3.Connection:
        """For what else keeps tables of S3."""
        return self._connection

    # Buckets

    def bucket(self, name: str) -> Bucket | None:
        row = self._connection.execute(f"SELECT {_BUCKET} FROM s3_bucket WHERE name = ?", (name,)).fetchone()  # noqa: S608 - constant names
        return _bucket(row) if row else None

    def buckets(self) -> list[Bucket]:
        return [_bucket(row) for row in self._connection.execute(f"SELECT {_BUCKET} FROM s3_bucket ORDER BY name")]  # noqa: S608 - constant names

    def add_bucket(self, bucket: Bucket) -> None:
        self._connection.execute(
            "INSERT INTO s3_bucket (name, created, region, policy, versioning, settings) VALUES (?, ?, ?, ?, ?, ?)",
            (bucket.name, bucket.created, bucket.region, bucket.policy, bucket.versioning, text_of(bucket.settings)),
        )

    def set_policy(self, name: str, policy: str) -> None:
        self._connection.execute("UPDATE s3_bucket SET policy = ? WHERE name = ?", (policy, name))

    def keeps_versions(self, name: str) -> bool:
        """Whether the bucket has, or once had, versions."""
        found = self.bucket(name)
        return found is not None and bool(found.versioning)

    def set_versioning(self, name: str, status: str) -> None:
        self._connection.execute("UPDATE s3_bucket SET versioning = ? WHERE name = ?", (status, name))

    def set_bucket_tags(self, name: str, tags: dict[str, str]) -> None:
        self._connection.execute("UPDATE s3_bucket SET tags = ? WHERE name = ?", (text_of(tags), name))

    def set_settings(self, name: str, settings: dict[str, Any]) -> None:
        self._connection.execute("UPDATE s3_bucket SET settings = ? WHERE name = ?", (text_of(settings), name))

    def remove_bucket(self, name: str) -> bool:
        """Remove an empty bucket; False where it is not empty."""
        for table in ("s3_object", "s3_version"):
            query = f"SELECT 1 FROM {table} WHERE bucket = ? LIMIT 1"  # noqa: S608 - constant names
            if self._connection.execute(query, (name,)).fetchone():
                return False
        self._connection.execute(
            "DELETE FROM s3_part WHERE upload IN (SELECT id FROM s3_upload WHERE bucket = ?)", (name,)
        )
        self._connection.execute("DELETE FROM s3_upload WHERE bucket = ?", (name,))
        self._connection.execute("DELETE FROM s3_bucket WHERE name = ?", (name,))
        return True

    # Objects

    def object(self, bucket: str, key: str) -> Stored | None:
        row = self._connection.execute(
            "SELECT key, modified, etag, size, described, version, tags FROM s3_object WHERE bucket = ? AND key = ?",
            (bucket, key),
        ).fetchone()
        return _stored(row) if row else None

    def put(self, bucket: str, stored: Stored, body: bytes, version: str) -> None:
        described, tags = text_of(stored.described), text_of(stored.tags)
        self._connection.execute(
            "INSERT OR REPLACE INTO s3_object (bucket, key, modified, etag, size, described, body, version, tags)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (bucket, stored.key, stored.modified, stored.etag, stored.size, described, body, version, tags),
        )

    def remove(self, bucket: str, key: str) -> None:
        self._connection.execute("DELETE FROM s3_object WHERE bucket = ? AND key = ?", (bucket, key))

    def walk(self, bucket: str, prefix: str, after: str) -> Iterator[Stored]:
        """The objects below ``prefix`` whose key comes after ``after``, in the order of their UTF-8 bytes."""
        # A BINARY comparison of UTF-8 text is the order S3 lists in.
        rows = self._connection.execute(
            "SELECT key, modified, etag, size, described FROM s3_object"
            " WHERE bucket = ? AND key >= ? AND key > ? ORDER BY key",
            (bucket, prefix, after),
        )
        for key, modified, etag, size, described in rows:
            if not key.startswith(prefix):
                return
            yield Stored(key, modified, etag, size, orjson.loads(described))


def etag_of(body: bytes) -> str:
    """The quoted MD5 that S3 calls an ETag; it identifies, it guards nothing."""
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


_BUCKET = "name, created, region, policy, versioning, tags, settings"


def _bucket(row: tuple[Any, ...]) -> Bucket:
    return Bucket(row[0], row[1], row[2], row[3] or "", row[4], orjson.loads(row[5]), orjson.loads(row[6]))


def _stored(row: tuple[Any, ...]) -> Stored:
    return Stored(row[0], row[1], row[2], row[3], orjson.loads(row[4]), row[5], orjson.loads(row[6]))


def text_of(value: object) -> str:
    """JSON for a column."""
    return orjson.dumps(value).decode()
