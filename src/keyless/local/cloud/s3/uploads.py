"""Multipart uploads under way and their parts, in the state's database.

A part's body is read only when the parts become an object: listings of parts cost nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from keyless.local.cloud.s3.storage import Storage, text_of


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload that was started; ``described`` is what the object will be described by."""

    id: str
    bucket: str
    key: str
    started: float
    described: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Part:
    """A part without its body; ``checksums`` by boto3's names."""

    number: int
    modified: float
    etag: str
    size: int
    checksums: dict[str, str] = field(default_factory=dict)


class Uploads:
    """The tables of uploads and parts."""

    def __init__(self, storage: Storage) -> None:
        self._connection = storage.connection

    def find(self, bucket: str, key: str, upload_id: str) -> Upload | None:
        """The upload, where it is one of this key."""
        row = self._connection.execute("SELECT * FROM s3_upload WHERE id = ?", (upload_id,)).fetchone()
        return _upload(row) if row and (row[1], row[2]) == (bucket, key) else None

    def of_bucket(self, bucket: str, prefix: str) -> list[Upload]:
        """The uploads below ``prefix``: by key, oldest first."""
        rows = self._connection.execute("SELECT * FROM s3_upload WHERE bucket = ? ORDER BY key, started, id", (bucket,))
        return [_upload(row) for row in rows if row[2].startswith(prefix)]

    def add(self, upload: Upload) -> None:
        self._connection.execute(
            "INSERT INTO s3_upload VALUES (?, ?, ?, ?, ?)",
            (upload.id, upload.bucket, upload.key, upload.started, text_of(upload.described)),
        )

    def remove(self, upload_id: str) -> None:
        self._connection.execute("DELETE FROM s3_part WHERE upload = ?", (upload_id,))
        self._connection.execute("DELETE FROM s3_upload WHERE id = ?", (upload_id,))

    def put_part(self, upload_id: str, part: Part, body: bytes) -> None:
        self._connection.execute(
            "INSERT OR REPLACE INTO s3_part (upload, number, modified, etag, body, described, size)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (upload_id, part.number, part.modified, part.etag, body, text_of(part.checksums), part.size),
        )

    def parts(self, upload_id: str) -> list[Part]:
        """The parts that have arrived, by number."""
        rows = self._connection.execute(
            "SELECT number, modified, etag, coalesce(size, length(body)), described FROM s3_part"
            " WHERE upload = ? ORDER BY number",
            (upload_id,),
        )
        return [Part(number, modified, etag, size, orjson.loads(found)) for number, modified, etag, size, found in rows]

    def bodies(self, upload_id: str, numbers: Sequence[int]) -> Iterator[bytes]:
        """The bodies of these parts as they were kept, one after the other."""
        query = "SELECT body FROM s3_part WHERE upload = ? AND number = ?"
        for number in numbers:
            yield self._connection.execute(query, (upload_id, number)).fetchone()[0]


def _upload(row: tuple[Any, ...]) -> Upload:
    return Upload(row[0], row[1], row[2], row[3], orjson.loads(row[4]))
