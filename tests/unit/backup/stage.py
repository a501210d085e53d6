"""S3 in memory behind botocore's own requests, and an etcd that answers as the real gateway does."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from botocore.awsrequest import AWSResponse

from keyless.api import KeylessError
from keyless.aws import Keys, Session
from keyless.aws.writing import Writing
from keyless.backup.bucket import Bucket
from keyless.backup.model import State

NOON = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
PLANE = "706c49fa-5bb8-4a7e-9f41-2fc38ef4b065"
NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


class Body:
    def __init__(self, body: bytes) -> None:
        self.body = body

    def stream(self, **_: object):
        yield self.body

    def read(self, *_: object) -> bytes:
        body, self.body = self.body, b""
        return body


class MemoryS3:
    """Objects by key; ``refuse`` is asked before each request and may return a status and a code."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.refuse = lambda operation, key: None

    def bucket(self, **writing: str) -> Bucket:
        session = Session.with_keys(Keys("AKIAEXAMPLE", "secret"), region="us-west-2")
        made = Bucket(session, "snapshots", writing=Writing(**writing))
        service = session.service_blocking("s3", config=made._config)
        service.meta.events.register("before-send.s3", self)
        return made

    def __call__(self, request, **_: object) -> AWSResponse:
        parts = urlsplit(request.url)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        key = unquote(parts.path).lstrip("/").removeprefix("snapshots/")
        operation = _operation(request.method, query)
        self.asked.append(f"{operation} {key}".strip())
        self.headers.append({name.lower(): _text(value) for name, value in request.headers.items()})
        body = request.body.read() if hasattr(request.body, "read") else request.body or b""
        if refused := self.refuse(operation, key):
            status, code = refused
            told = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()
            return AWSResponse(request.url, status, {}, Body(told))
        status, headers, answer = self._answer(operation, key, query, body, self.headers[-1])
        return AWSResponse(request.url, status, headers, Body(answer))

    def _answer(self, operation, key, query, body, headers):
        match operation:
            case "PutObject":
                self.objects[key] = body
            case "CreateMultipartUpload":
                upload = f"u{len(self.asked)}"
                self.uploads[upload] = {}
                return 200, {}, f"<R {NAMESPACE}><UploadId>{upload}</UploadId></R>".encode()
            case "UploadPart":
                self.uploads[query["uploadId"]][int(query["partNumber"])] = body
            case "CompleteMultipartUpload":
                self.objects[key] = b"".join(part for _, part in sorted(self.uploads.pop(query["uploadId"]).items()))
            case "AbortMultipartUpload":
                self.uploads.pop(query["uploadId"])
                return 204, {}, b""
            case "DeleteObject":
                self.objects.pop(key, None)
                return 204, {}, b""
            case "ListObjectsV2":
                found = sorted(each for each in self.objects if each.startswith(query["prefix"]))
                rest = [each for each in found if each > query.get("continuation-token", "")]
                page, more = rest[:3], len(rest) > 3
                items = "".join(f"<Contents><Key>{quote(each)}</Key></Contents>" for each in page)
                token = f"<NextContinuationToken>{page[-1]}</NextContinuationToken>" if more else ""
                truncated = f"<IsTruncated>{str(more).lower()}</IsTruncated>"
                return 200, {}, f"<R {NAMESPACE}><EncodingType>url</EncodingType>{truncated}{token}{items}</R>".encode()
            case "GetObject":
                return self._read(key, headers)
        return 200, {"ETag": f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'}, b""

    def _read(self, key, headers):
        if key not in self.objects:
            return 404, {}, b"<Error><Code>NoSuchKey</Code><Message>no</Message></Error>"
        held = self.objects[key]
        etag = f'"{hashlib.md5(held, usedforsecurity=False).hexdigest()}"'
        if headers.get("if-match", etag) != etag:
            return 412, {}, b"<Error><Code>PreconditionFailed</Code><Message>no</Message></Error>"
        start, _, end = headers["range"].removeprefix("bytes=").partition("-")
        if int(start) >= len(held):
            return 416, {}, b"<Error><Code>InvalidRange</Code><Message>no</Message></Error>"
        part = held[int(start) : int(end) + 1]
        span = f"bytes {start}-{int(start) + len(part) - 1}/{len(held)}"
        return 206, {"ETag": etag, "Content-Range": span, "Content-Length": str(len(part))}, part


def _operation(method: str, query: dict[str, str]) -> str:
    if "list-type" in query:
        return "ListObjectsV2"
    if "uploads" in query:
        return "CreateMultipartUpload"
    if "uploadId" in query:
        names = {"PUT": "UploadPart", "POST": "CompleteMultipartUpload", "DELETE": "AbortMultipartUpload"}
        return names[method]
    return {"PUT": "PutObject", "GET": "GetObject", "DELETE": "DeleteObject"}[method]


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def database(pages: int = 8, fill: bytes = b"k") -> bytes:
    """A snapshot as etcd ends it: whole pages, then their hash."""
    body = fill * (512 * pages)
    return body + hashlib.sha256(body).digest()


def gateway(snapshot: bytes, piece: int = 1000) -> bytes:
    """The lines that the gateway streams."""
    blobs = [base64.b64encode(snapshot[at : at + piece]).decode() for at in range(0, len(snapshot), piece)]
    return b"".join(json.dumps({"result": {"blob": blob, "version": "3.6.0"}}).encode() + b"\n" for blob in blobs)


class MemoryEtcd:
    """Gives what it is told, in pieces."""

    def __init__(self, *snapshots: bytes) -> None:
        self.snapshots = list(snapshots) or [database()]
        self.revision = 41
        self.holds = ""
        self.failure: KeylessError | None = None

    async def state(self) -> State:
        if self.failure:
            raise self.failure
        self.revision += 1
        return State("3.6.8", "13455796455940752355", self.revision, self.holds)

    async def snapshot(self) -> AsyncGenerator[bytes]:
        body = self.snapshots[0] if len(self.snapshots) == 1 else self.snapshots.pop(0)
        for at in range(0, len(body), 32 * 1024):
            yield body[at : at + 32 * 1024]


class Clock:
    def __init__(self) -> None:
        self.at = NOON

    def __call__(self) -> datetime:
        return self.at

    def pass_by(self, **time: float) -> None:
        self.at += timedelta(**time)
