"""A month of many control planes with dimensions, as our collectors store it, on a stand-in.

``python -m tests.bench.month HOURS PLANES KINDS`` prints its URL, and ends with its stdin.

A manifest of a hundred control planes is mostly its census, the same in all of them: it is put in when it is asked for,
or the stand-in would be gigabytes.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import json
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote, urlsplit

import uvloop

from keyless.billing.ledger.meter_file import METER_VERSION, NUMBERS
from keyless.billing.ledger.metered import COLUMNS
from tests.bench.static_s3 import START, Answers, Connection, _member, answer, plane_id

CENSUS = b'"@census"'
TEAMS = ("payments", "search", "batch", None)


def month(hours: int, planes: int, kinds: int) -> tuple[dict[str, bytes], bytes]:
    """Key to body, with :data:`CENSUS` for what takes its place."""
    census = json.dumps([_member(number) for number in range(planes)], separators=(",", ":")).encode()
    found: dict[str, bytes] = {}
    heads = [""] * planes
    for hour in range(hours):
        start = START + timedelta(hours=hour)
        for plane in range(planes):
            (key, body), (name, record, head) = _hour(start, plane, hour, kinds, heads[plane], census)
            heads[plane] = head
            found |= {key: body, name: record}
    return found, census


def _hour(start: datetime, plane: int, count: int, kinds: int, previous: str, census: bytes) -> Any:
    ident, end = plane_id(plane), start + timedelta(hours=1)
    span = (f"{start:%Y-%m-%dT%H:%M:%SZ}", f"{end:%Y-%m-%dT%H:%M:%SZ}")
    numbers = [count % 50 + kind + 1 for kind in range(kinds)]
    body = gzip.compress(json.dumps([*_events(ident, span, numbers)], separators=(",", ":")).encode(), 1, mtime=0)
    digest = hashlib.sha256(body).hexdigest()
    below = f"account=acme/date={start:%Y-%m-%d}/hour={start:%H}/mxp-{ident}-system-{count:010}-"
    key = f"{below}{digest[:16]}.json.gz"
    record = json.dumps(
        {
            "version": 3,
            "account": "acme",
            "controlPlane": _member(plane),
            "collector": "pod",
            "spool": f"spool-{plane}",
            "sequence": count,
            "chain": "Continued" if previous else "First",
            "previousManifestSha256": previous,
            "skipped": [],
            "hour": span[0],
            "from": span[0],
            "to": span[1],
            "intervalSeconds": 15,
            "samples": 240,
            "gaps": [],
            "objects": [{"key": key, "sha256": digest, "bytes": len(body), "events": kinds}],
            "meters": [{"gzip": _meter(ident, count, span, numbers), "rows": kinds}],
            "census": "@census",
            "heads": [],
        },
        separators=(",", ":"),
    ).encode()
    head = hashlib.sha256(record.replace(CENSUS, census)).hexdigest()
    return (key, body), (f"manifest/{below}{head[:16]}.json", record, head)


def _events(ident: str, span: tuple[str, str], numbers: list[int]) -> Iterator[dict[str, Any]]:
    for kind, number in enumerate(numbers):
        tags = {
            "customresource_group": f"group{kind}.aws.upbound.io",
            "customresource_version": "v1beta1",
            "customresource_kind": f"Kind{kind}",
            "upbound_account": "acme",
            "mxp_id": ident,
        }
        yield {
            "kind": "absolute",
            "name": "kube_managedresource_uid",
            "tags": tags,
            "timestamp": span[0],
            "timestamp_end": span[1],
            "value": float(number),
        }


def _meter(ident: str, count: int, span: tuple[str, str], numbers: list[int]) -> str:
    rows = []
    for kind, number in enumerate(numbers):
        told = {
            "meter": "managed",
            "group": f"group{kind}.aws.upbound.io",
            "version": "v1beta1",
            "kind": f"Kind{kind}",
            "provider": "provider-aws",
            "labels": [TEAMS[kind % len(TEAMS)]],
            "limited": 0,
        }
        rows.append([*(told.get(name) for name in COLUMNS), number, number, number * 3_600_000, 0])
    document = {
        "version": METER_VERSION,
        "account": "acme",
        "controlPlane": ident,
        "group": "default",
        "name": "ctp",
        "planeLabels": {"env": "prod"},
        "sequence": count,
        "from": span[0],
        "to": span[1],
        "labels": ["team"],
        "limited": 0,
        "unmeasured": [],
        "columns": [*COLUMNS, *NUMBERS],
        "rows": rows,
    }
    return base64.b64encode(gzip.compress(json.dumps(document, separators=(",", ":")).encode(), 1, mtime=0)).decode()


class Lazily(Answers):
    """Manifests get their census when they are asked for."""

    def __init__(self, objects: dict[str, bytes], census: bytes) -> None:
        self._census = census
        super().__init__({})
        self._keys = sorted(objects)
        more = len(census) - len(CENSUS)
        self._sizes = {key: len(body) + (more if key.startswith("manifest/") else 0) for key, body in objects.items()}
        self._bodies = objects

    def of(self, target: bytes) -> bytes:
        key = unquote(urlsplit(target.decode()).path).split("/", 2)[2:]
        body = self._bodies.get(key[0]) if key else None
        return self._other(target.decode()) if body is None else answer(self._whole(body), "application/json")

    def _whole(self, body: bytes) -> bytes:
        return body.replace(CENSUS, self._census) if body.startswith(b"{") else body


async def main(hours: int, planes: int, kinds: int) -> None:
    """Serve until stdin ends."""
    answers = Lazily(*month(hours, planes, kinds))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(answers, 0), "127.0.0.1", 0, backlog=256)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
