"""``python -m tests.bench.exporting ours|compat|peer|verify|read|report URL DAYS``: one, timed in a process of its own.

The peer is a sequential reader of the peer's requests, as lean as Python makes it: one connection, one signature by
hand a request, a listing for each hour, objects one after another. Prints seconds, processor seconds, rows, MiB.
"""

from __future__ import annotations

import gzip
import hashlib
import hmac
import http.client
import json
import resource
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote, unquote_plus, urlsplit
from zoneinfo import ZoneInfo

from keyless.aws import Keys, Session
from keyless.billing.export.plan import Request
from keyless.billing.export.reading import readers
from keyless.billing.export.s3 import S3Bucket
from keyless.billing.export.service import READERS, export
from keyless.billing.export.verifying import Check, verify
from keyless.billing.ledger.aggregate import Row
from keyless.billing.ledger.model import Gvk
from keyless.billing.ledger.report_file import report
from keyless.billing.report.service import Asked, report_of
from keyless.billing.report.teams import DEFAULT
from tests.bench.static_s3 import START

KEY, SECRET, REGION = "AKIAIOSFODNN7EXAMPLE", "example", "us-west-2"
NOW = datetime(2026, 11, 20, tzinfo=UTC)
_EMPTY = hashlib.sha256(b"").hexdigest()


def ours(url: str, period: tuple[datetime, datetime], *, compat: bool) -> int:
    """The export as the command runs it."""
    bucket = S3Bucket(Session.with_keys(Keys(KEY, SECRET), region=REGION), "bench", endpoint=url)
    made = export(bucket, Request("acme", period, force_incomplete=False, compat=compat), now=NOW)
    assert hasattr(made, "archive"), made
    with Path("/dev/null").open("wb") as out:
        for piece in made.archive:
            out.write(piece)
    return made.rows


def verified(url: str, period: tuple[datetime, datetime]) -> int:
    """The verification as the command runs it: how many objects and manifests it read."""
    bucket = S3Bucket(Session.with_keys(Keys(KEY, SECRET), region=REGION), "bench", endpoint=url)
    made = verify(bucket, Check("acme", period), now=NOW)
    assert not made.faults, made.faults[:3]
    return made.objects + made.manifests


def read_only(url: str, period: tuple[datetime, datetime]) -> int:
    """The same objects, read as fast as they come and dropped."""
    bucket = S3Bucket(Session.with_keys(Keys(KEY, SECRET), region=REGION), "bench", endpoint=url)
    count, day = 0, period[0]
    with readers(READERS) as pool:
        while day < period[1]:
            for below in ("manifest/", ""):
                keys = [item.key for item in bucket.list(f"{below}account=acme/date={day:%Y-%m-%d}/")]
                count += sum(1 for _ in bucket.bodies(iter(keys), pool))
            day += timedelta(days=1)
    return count


def reported(url: str, period: tuple[datetime, datetime]) -> int:
    """The report by team as the command runs it: how many resource-hours it tells."""
    bucket = S3Bucket(Session.with_keys(Keys(KEY, SECRET), region=REGION), "bench", endpoint=url)
    asked = Asked(("acme",), period, ZoneInfo("UTC"), ("team",), "managed", DEFAULT)
    made = report_of(bucket, asked, "json", now=NOW, wrap=dict)
    assert isinstance(made, str), made
    told = json.loads(made)
    assert not told["missing"], told["missing"][:3]
    return len(told["lines"])


def peer(url: str, period: tuple[datetime, datetime]) -> int:
    """List by hour prefix, get one after another, gunzip, decode, aggregate."""
    reader = Sequential(url)
    rows = []
    hour = period[0]
    while hour < period[1]:
        largest: dict[tuple[str, str, str, str], int] = {}
        for key in reader.list(f"account=acme/date={hour:%Y-%m-%d}/hour={hour:%H}/"):
            for event in json.loads(gzip.decompress(reader.get(f"/bench/{quote(key, safe='/')}"))):
                tags = event["tags"]
                names = ("mxp_id", "customresource_group", "customresource_version", "customresource_kind")
                mxp, group, version, kind = (tags[name] for name in names)
                found = (mxp, group, version, kind)
                largest[found] = max(largest.get(found, 0), int(event["value"]))
        end = hour + timedelta(hours=1)
        rows += [Row(hour, k[0], Gvk(*k[1:]), end, value) for k, value in largest.items() if value > 0]
        hour = end
    report("acme", period, rows, collected_at=NOW)
    return len(rows)


class Sequential:
    """One connection, kept as long as the server keeps it."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host = parts.netloc
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
        self._day, self._signing_key = "", b""

    def list(self, prefix: str) -> Iterator[str]:
        """Every key below ``prefix``."""
        token = ""
        while True:
            more = f"continuation-token={quote(token, safe='')}&" if token else ""
            page = ET.fromstring(
                self.get("/bench", f"{more}encoding-type=url&list-type=2&prefix={quote(prefix, safe='')}")
            )
            yield from (unquote_plus(item.text or "") for item in page.iterfind("{*}Contents/{*}Key"))
            token = page.findtext("{*}NextContinuationToken") or ""
            if not token:
                return

    def get(self, path: str, query: str = "") -> bytes:
        """The body; anything but 200 is an error."""
        path = path.replace("=", "%3D")
        self._connection.request("GET", f"{path}?{query}" if query else path, headers=self._signed(path, query))
        answer = self._connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body
        return body

    def _signed(self, path: str, query: str) -> dict[str, str]:
        now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        if now[:8] != self._day:
            self._day, self._signing_key = now[:8], f"AWS4{SECRET}".encode()
            for part in (self._day, REGION, "s3", "aws4_request"):
                self._signing_key = hmac.digest(self._signing_key, part.encode(), "sha256")
        names = "host;x-amz-content-sha256;x-amz-date"
        headers = f"host:{self._host}\nx-amz-content-sha256:{_EMPTY}\nx-amz-date:{now}\n"
        asked = hashlib.sha256(f"GET\n{path}\n{query}\n{headers}\n{names}\n{_EMPTY}".encode()).hexdigest()
        scope = f"{self._day}/{REGION}/s3/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{asked}".encode()
        signature = hmac.digest(self._signing_key, text, "sha256").hex()
        said = f"AWS4-HMAC-SHA256 Credential={KEY}/{scope}, SignedHeaders={names}, Signature={signature}"
        return {"x-amz-content-sha256": _EMPTY, "x-amz-date": now, "Authorization": said}


def main(which: str, url: str, days: int) -> None:
    """Run one, and say how it went."""
    period = (START, START + timedelta(days=days))
    start, busy = time.perf_counter(), time.process_time()
    others = {"peer": peer, "verify": verified, "read": read_only, "report": reported}
    rows = others[which](url, period) if which in others else ours(url, period, compat=which == "compat")
    seconds, cpu = time.perf_counter() - start, time.process_time() - busy
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "cpu": cpu, "rows": rows, "mebibytes": memory}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
