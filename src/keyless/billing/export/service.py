"""``keyless billing export``: reads a period's usage from the bucket and writes the peer's report."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from keyless.api import Permanent, Refusal
from keyless.aws import Session
from keyless.billing.export.plan import Request, hours, refusal
from keyless.billing.ledger.aggregate import Row, rows, window_end
from keyless.billing.ledger.completeness import Covered, Missing, manifest_untrusted, missing
from keyless.billing.ledger.objects import hour_prefix, manifest_prefix
from keyless.billing.ledger.report_file import report


class Bucket(Protocol):
    """What an export reads."""

    def objects(self, prefix: str) -> AsyncIterator[tuple[str, bytes]]:
        """Every object below ``prefix``, in the order of the listing."""


@dataclass(frozen=True, slots=True)
class Export:
    """A finished export: the report's bytes, and what it lacks."""

    archive: bytes
    rows: tuple[Row, ...]
    missing: tuple[Missing, ...]


class S3Bucket:
    """A bucket in S3, with the caller's credentials."""

    def __init__(self, session: Session, bucket: str, endpoint: str) -> None:
        self._session = session
        self._bucket = bucket
        self._endpoint = endpoint
        self._service: Any = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], bucket: str, endpoint: str) -> S3Bucket:
        return cls(Session.from_environment(environ), bucket, endpoint)

    async def objects(self, prefix: str) -> AsyncIterator[tuple[str, bytes]]:
        """List and read; raises ``AwsTransient`` or ``AwsPermanent``."""
        token: dict[str, str] = {}
        while True:
            page = await self._session.call("s3", "ListObjectsV2", Bucket=self._bucket, Prefix=prefix, **token)
            for item in page.get("Contents", ()):
                answer = await self._session.call("s3", "GetObject", Bucket=self._bucket, Key=item["Key"])
                yield item["Key"], answer["Body"].read()
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}


async def export(bucket: Bucket, request: Request, *, now: datetime) -> Export | Refusal:
    """Read the period and build the report, unless something is missing and that is not asked for."""
    found: list[Row] = []
    covered: list[Covered] = []
    for hour in hours(request.period, now):
        bodies = [item async for item in bucket.objects(hour_prefix(request.account, hour))]
        found += rows(hour, window_end(hour, request.period[1]), bodies)
        manifests = bucket.objects(manifest_prefix(request.account, hour))
        covered += [manifest_untrusted(key, body) async for key, body in manifests]
    lacking = missing((request.period[0], min(request.period[1], now)), covered)
    if (refused := refusal(request, lacking, now)) is not None:
        return refused
    archive = report(request.account, request.period, found, collected_at=now)
    return Export(archive, tuple(found), tuple(lacking))


def must_be_new(out: Path) -> None:
    """Refuse an existing file before anything is read: a report is never overwritten."""
    if out.exists():
        raise Permanent(f'file "{out}" already exists')


def write_new(out: Path, archive: bytes) -> None:
    """Write the report; a file that could not be written whole is removed."""
    must_be_new(out)
    try:
        with out.open("xb") as file:
            file.write(archive)
    except OSError as error:
        out.unlink(missing_ok=True)
        raise Permanent(f"{out}: the report could not be written: {error.strerror}") from error
