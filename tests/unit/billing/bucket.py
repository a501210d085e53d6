"""A bucket in memory, what a collector leaves in it, and S3 over HTTP on loopback in front of it."""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from xml.sax.saxutils import escape

from keyless.billing.ledger.objects import EVENT_NAME

DAY = datetime(2026, 10, 31, tzinfo=UTC)
HOUR = timedelta(hours=1)
PLANE = "706c49fa-5bb8-4a7e-9f41-2fc38ef4b065"
OTHER = "11111111-5bb8-4a7e-9f41-2fc38ef4b065"


def text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def event(value: Any = 3.0, *, plane: str = PLANE, kind: str = "VPC", **changes: Any) -> dict[str, Any]:
    tags = {
        "customresource_group": "ec2.aws.upbound.io",
        "customresource_version": "v1beta1",
        "customresource_kind": kind,
        "upbound_account": "acme",
        "mxp_id": plane,
    }
    return {
        "kind": "absolute",
        "name": EVENT_NAME,
        "tags": tags | changes.pop("tags", {}),
        "timestamp": "2026-10-31T12:00:00Z",
        "timestamp_end": "2026-10-31T12:00:15Z",
        "value": value,
    } | changes


def packed(*events: Any) -> bytes:
    return gzip.compress(json.dumps(list(events), separators=(",", ":")).encode(), mtime=0)


def member(plane: str = PLANE, **more: Any) -> dict[str, Any]:
    return {
        "id": plane,
        "group": "default",
        "name": f"ctp-{plane[:4]}",
        "hostNamespace": f"mxp-{plane}-system",
        "createdAt": "2026-09-01T00:00:00Z",
    } | more


def manifest_document(start: datetime, end: datetime, *, plane: str = PLANE, **changes: Any) -> dict[str, Any]:
    """A manifest as the collector's version 2 writes it, of what an export looks at."""
    return {
        "version": 2,
        "account": "acme",
        "controlPlane": member(plane),
        "collector": "pod-1",
        "sequence": 7,
        "previousManifestSha256": "",
        "from": text(start),
        "to": text(end),
        "intervalSeconds": 15,
        "samples": 240,
        "gaps": [],
        "objects": [],
        "census": [],
    } | changes


def manifest_entry(document: dict[str, Any]) -> tuple[str, bytes]:
    """The key and the bytes of a manifest."""
    body, plane = json.dumps(document, separators=(",", ":")).encode(), document["controlPlane"]
    start = datetime.fromisoformat(document["from"])
    below = f"manifest/account={document['account']}/date={start:%Y-%m-%d}/hour={start:%H}"
    number = document.get("sequence", 0)
    return f"{below}/{plane['hostNamespace']}-{number:010d}-{hashlib.sha256(body).hexdigest()[:16]}.json", body


@dataclass
class MemoryBucket:
    """Implements the export's ``Bucket``, and writing."""

    objects: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def list(self, prefix: str) -> Iterator[Any]:
        self.asked.append(("list", prefix))
        for key in sorted(self.objects):
            if key.startswith(prefix):
                yield _Listed(key, len(self.objects[key]))

    def groups(self, prefix: str) -> Iterator[str]:
        below = {key[len(prefix) :] for key in self.objects if key.startswith(prefix)}
        yield from sorted({prefix + rest.partition("/")[0] + "/" for rest in below if "/" in rest})

    def get(self, key: str) -> bytes:
        self.asked.append(("get", key))
        return self.objects[key]

    def bodies(self, keys: Iterator[str], readers: Any) -> Iterator[bytes]:
        return (self.get(key) for key in keys)

    def put_new(self, key: str, body: bytes) -> None:
        self.objects.setdefault(key, body)

    def store_hour(
        self, hour: datetime, *events: Any, plane: str = PLANE, account: str = "acme", **changes: Any
    ) -> str:
        """One hour of a control plane, as its collector stores it; the usage object's key."""
        body = packed(*events)
        below = f"account={account}/date={hour:%Y-%m-%d}/hour={hour:%H}/mxp-{plane}-system-0000000007"
        key = f"{below}-{hashlib.sha256(body).hexdigest()[:16]}.json.gz"
        named = {"key": key, "sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body), "events": len(events)}
        document = manifest_document(
            hour, hour + HOUR, plane=plane, **{"objects": [named], "account": account} | changes
        )
        self.objects[key] = body
        self.store_manifest(document)
        return key

    def store_manifest(self, document: dict[str, Any]) -> str:
        """A manifest under the key that its collector gives it; the key."""
        key, body = manifest_entry(document)
        self.objects[key] = body
        return key


@dataclass(frozen=True)
class _Listed:
    key: str
    size: int


def full_day(**changes: Any) -> MemoryBucket:
    """A complete day of one control plane, with a count that differs from hour to hour."""
    bucket = MemoryBucket()
    for number in range(24):
        bucket.store_hour(DAY + number * HOUR, event(number + 1.0), **changes)
    return bucket


class _Server(ThreadingHTTPServer):
    # Many connect at once; a full queue would make them wait a second for their next try.
    request_queue_size = 128


@contextmanager
def s3_over_http(bucket: MemoryBucket, *, page: int = 1000, region: str = "", failing: tuple[int, bytes] | None = None):
    """S3 as far as an export asks it; yields the URL and the list of requests. ``failing`` answers every request so."""
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            requests.append(f"GET {self.path}")
            parts = urlsplit(self.path)
            if not self._served():
                return
            if "list-type=2" in parts.query:
                self._answer(200, _listing(bucket, dict(parse_qsl(parts.query, keep_blank_values=True)), page))
            elif (body := bucket.objects.get(unquote(parts.path).split("/", 2)[2])) is not None:
                self._answer(200, body)
            else:
                self._answer(404, _error("NoSuchKey"))

        def do_PUT(self) -> None:
            requests.append(f"PUT {self.path}")
            body = self.rfile.read(int(self.headers["Content-Length"]))
            key = unquote(urlsplit(self.path).path).split("/", 2)[2]
            if not self._served():
                return
            if key in bucket.objects and self.headers["If-None-Match"] == "*":
                self._answer(412, _error("PreconditionFailed"))
                return
            if (expected := self.headers["If-Match"]) and expected != _etag(bucket.objects.get(key, b"")):
                self._answer(412, _error("PreconditionFailed"))
                return
            bucket.objects[key] = body
            self._answer(200, b"")

        def _served(self) -> bool:
            if failing:
                self._answer(*failing)
                return False
            if region and f"/{region}/s3/" not in self.headers["Authorization"]:
                self._answer(400, _error("AuthorizationHeaderMalformed"), {"x-amz-bucket-region": region})
                return False
            return True

        def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            fixed = {"Content-Length": str(len(body)), "ETag": '"x"', "Last-Modified": "Wed, 21 Oct 2026 07:28:00 GMT"}
            for name, value in (fixed | (headers or {})).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = _Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", requests
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _etag(body: bytes) -> str:
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


def _error(code: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>as S3 says it</Message><RequestId>r1</RequestId></Error>".encode()


def _listing(bucket: MemoryBucket, query: dict[str, str], page: int) -> bytes:
    prefix, after = query["prefix"], query.get("continuation-token", "")
    if query.get("delimiter"):
        groups = "".join(
            f"<CommonPrefixes><Prefix>{escape(quote(name))}</Prefix></CommonPrefixes>" for name in bucket.groups(prefix)
        )
        return f"<ListBucketResult><EncodingType>url</EncodingType>{groups}</ListBucketResult>".encode()
    keys = [key for key in sorted(bucket.objects) if key.startswith(prefix) and key > after]
    items = "".join(
        f"<Contents><Key>{escape(quote(key))}</Key><Size>{len(bucket.objects[key])}</Size>"
        f"<ETag>{_etag(bucket.objects[key])}</ETag></Contents>"
        for key in keys[:page]
    )
    more = len(keys) > page
    token = f"<NextContinuationToken>{escape(keys[page - 1])}</NextContinuationToken>" if more else ""
    return (
        '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><EncodingType>url</EncodingType>'
        f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}{items}</ListBucketResult>"
    ).encode()
