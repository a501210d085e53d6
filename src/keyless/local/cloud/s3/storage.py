"""Buckets and objects in the state's database: plain functions over tables, durable before they return.

Bodies are blobs: what a Space stores is small, and one file that survives ``kill -9`` is worth more here than speed on
gigabytes.
"""

from __future__ import annotations

import hashlib
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
)


@dataclass(frozen=True, slots=True)
class Bucket:
    """One bucket; ``policy`` is its text, empty where it has none."""

    name: str
    created: float
    region: str
    policy: str = ""


@dataclass(frozen=True, slots=True)
class Stored:
    """An object without its body; ``described`` holds content type, user metadata and checksums as boto3 names them."""

    key: str
    modified: float
    etag: str
    size: int
    described: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Upload:
    """A multipart upload that was started."""

    id: str
    bucket: str
    key: str
    started: float
    described: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an upload."""

    number: int
    modified: float
    etag: str
    body: bytes


class Storage:
    """The tables of S3."""

    def __init__(self, database: Database) -> None:
        database.migrate("cloud-s3", STEPS)
        self._connection = database.connection

    # Buckets

    def bucket(self, name: str) -> Bucket | None:
        row = self._connection.execute("SELECT * FROM s3_bucket WHERE name = ?", (name,)).fetchone()
        return Bucket(row[0], row[1], row[2], row[3] or "") if row else None

    def buckets(self) -> list[Bucket]:
        rows = self._connection.execute("SELECT * FROM s3_bucket ORDER BY name")
        return [Bucket(name, created, region, policy or "") for name, created, region, policy in rows]

    def add_bucket(self, bucket: Bucket) -> None:
        self._connection.execute(
            "INSERT INTO s3_bucket VALUES (?, ?, ?, ?)", (bucket.name, bucket.created, bucket.region, bucket.policy)
        )

    def set_policy(self, name: str, policy: str) -> None:
        self._connection.execute("UPDATE s3_bucket SET policy = ? WHERE name = ?", (policy, name))

    def remove_bucket(self, name: str) -> bool:
        """Remove an empty bucket; False where it is not empty."""
        if self._connection.execute("SELECT 1 FROM s3_object WHERE bucket = ? LIMIT 1", (name,)).fetchone():
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
            "SELECT key, modified, etag, size, described FROM s3_object WHERE bucket = ? AND key = ?", (bucket, key)
        ).fetchone()
        return Stored(row[0], row[1], row[2], row[3], orjson.loads(row[4])) if row else None

    def body(self, bucket: str, key: str) -> bytes:
        row = self._connection.execute(
            "SELECT body FROM s3_object WHERE bucket = ? AND key = ?", (bucket, key)
        ).fetchone()
        return bytes(row[0])

    def put(self, bucket: str, stored: Stored, body: bytes) -> None:
        self._connection.execute(
            "INSERT OR REPLACE INTO s3_object VALUES (?, ?, ?, ?, ?, ?, ?)",
            (bucket, stored.key, stored.modified, stored.etag, stored.size, _text(stored.described), body),
        )

    def remove(self, bucket: str, key: str) -> None:
        self._connection.execute("DELETE FROM s3_object WHERE bucket = ? AND key = ?", (bucket, key))

    def walk(self, bucket: str, prefix: str, after: str) -> Iterator[Stored]:
        """The objects below ``prefix`` whose key comes after ``after``, in the order of their UTF-8 bytes."""
        # A BINARY comparison of UTF-8 text is the order S3 lists in.
        rows = self._connection.execute(
            "SELECT key, modified, etag, size FROM s3_object WHERE bucket = ? AND key >= ? AND key > ? ORDER BY key",
            (bucket, prefix, after),
        )
        for key, modified, etag, size in rows:
            if not key.startswith(prefix):
                return
            yield Stored(key, modified, etag, size)

    # Multipart uploads

    def upload(self, bucket: str, key: str, upload_id: str) -> Upload | None:
        row = self._connection.execute("SELECT * FROM s3_upload WHERE id = ?", (upload_id,)).fetchone()
        if row is None or (row[1], row[2]) != (bucket, key):
            return None
        return _upload(row)

    def uploads(self, bucket: str, prefix: str) -> list[Upload]:
        rows = self._connection.execute("SELECT * FROM s3_upload WHERE bucket = ? ORDER BY key, started", (bucket,))
        return [_upload(row) for row in rows if row[2].startswith(prefix)]

    def add_upload(self, upload: Upload) -> None:
        self._connection.execute(
            "INSERT INTO s3_upload VALUES (?, ?, ?, ?, ?)",
            (upload.id, upload.bucket, upload.key, upload.started, _text(upload.described)),
        )

    def remove_upload(self, upload_id: str) -> None:
        self._connection.execute("DELETE FROM s3_part WHERE upload = ?", (upload_id,))
        self._connection.execute("DELETE FROM s3_upload WHERE id = ?", (upload_id,))

    def put_part(self, upload_id: str, part: Part) -> None:
        self._connection.execute(
            "INSERT OR REPLACE INTO s3_part VALUES (?, ?, ?, ?, ?)",
            (upload_id, part.number, part.modified, part.etag, part.body),
        )

    def parts(self, upload_id: str) -> list[Part]:
        rows = self._connection.execute(
            "SELECT number, modified, etag, body FROM s3_part WHERE upload = ? ORDER BY number", (upload_id,)
        )
        return [Part(number, modified, etag, bytes(body)) for number, modified, etag, body in rows]


def etag_of(body: bytes) -> str:
    """The quoted MD5 that S3 calls an ETag; it identifies, it guards nothing."""
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


def _upload(row: tuple[Any, ...]) -> Upload:
    return Upload(row[0], row[1], row[2], row[3], orjson.loads(row[4]))


def _text(value: dict[str, Any]) -> str:
    return orjson.dumps(value).decode()
