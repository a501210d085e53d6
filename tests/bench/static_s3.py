"""A bucket that answers as fast as Python can: every answer is made before the first request. One process, one core.

``python -m tests.bench.static_s3 HOURS PLANES OWN DELAY_MS``: usage of 20 kinds an object; with OWN=1 as our collectors
store it, manifests included. Prints its URL; ends with its stdin.
"""

from __future__ import annotations

import asyncio
import bisect
import gzip
import hashlib
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import uvloop

START = datetime(2026, 10, 1, tzinfo=UTC)
KINDS = 20
PAGE = 1000


def plane_id(number: int) -> str:
    """A control plane's id."""
    return f"{number:08x}-5bb8-4a7e-9f41-2fc38ef4b065"


def bucket(hours: int, planes: int, *, own: bool) -> dict[str, bytes]:
    """Key to body."""
    found = {}
    heads = [""] * planes
    for hour in range(hours):
        for plane in range(planes):
            start = START + timedelta(hours=hour)
            made = dict(_hour(start, plane, hour, planes=planes, own=own, previous=heads[plane]))
            heads[plane] = hashlib.sha256([*made.values()][-1]).hexdigest()
            found.update(made)
    return found


def _hour(
    start: datetime, plane: int, count: int, *, planes: int, own: bool, previous: str
) -> Iterator[tuple[str, bytes]]:
    end, ident = start + timedelta(hours=1), plane_id(plane)
    events = [
        {
            "kind": "absolute",
            "name": "kube_managedresource_uid",
            "tags": {
                "customresource_group": f"group{kind}.aws.upbound.io",
                "customresource_version": "v1beta1",
                "customresource_kind": f"Kind{kind}",
                "upbound_account": "acme",
                "mxp_id": ident,
            },
            "timestamp": f"{start:%Y-%m-%dT%H:%M:%SZ}",
            "timestamp_end": f"{end:%Y-%m-%dT%H:%M:%SZ}",
            "value": float(count % 50 + kind + 1),
        }
        for kind in range(KINDS)
    ]
    body = gzip.compress(json.dumps(events, separators=(",", ":")).encode(), mtime=0)
    digest = hashlib.sha256(body).hexdigest()
    below = f"account=acme/date={start:%Y-%m-%d}/hour={start:%H}/mxp-{ident}-system-{count:010}-"
    key = f"{below}{digest[:16]}.json.gz"
    yield key, body
    if own:
        census = [_member(number) for number in range(planes)]
        document = {
            "version": 1,
            "account": "acme",
            "controlPlane": _member(plane),
            "collector": "pod",
            "sequence": count,
            "previousManifestSha256": previous,
            "hour": f"{start:%Y-%m-%dT%H:%M:%SZ}",
            "from": f"{start:%Y-%m-%dT%H:%M:%SZ}",
            "to": f"{end:%Y-%m-%dT%H:%M:%SZ}",
            "intervalSeconds": 15,
            "samples": 240,
            "gaps": [],
            "objects": [{"key": key, "sha256": digest, "bytes": len(body), "events": KINDS}],
            "census": census,
        }
        record = json.dumps(document, separators=(",", ":")).encode()
        yield f"manifest/{below}{hashlib.sha256(record).hexdigest()[:16]}.json", record


def _member(number: int) -> dict[str, str]:
    return {
        "id": plane_id(number),
        "group": "default",
        "name": f"ctp{number}",
        "hostNamespace": f"mxp-{plane_id(number)}-system",
        "createdAt": "2026-09-01T00:00:00Z",
    }


def answer(body: bytes, content_type: str) -> bytes:
    """A whole response."""
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
        'ETag: "x"\r\nLast-Modified: Wed, 21 Oct 2026 07:28:00 GMT\r\n\r\n'
    )
    return head.encode() + body


class Answers:
    """The answer to a request's target."""

    def __init__(self, objects: dict[str, bytes]) -> None:
        self._keys = sorted(objects)
        self._sizes = {key: len(body) for key, body in objects.items()}
        # By the target as a signed request has it: nothing is computed for an object while others are timed.
        made = {key: answer(body, "application/gzip") for key, body in objects.items()}
        self._objects = {f"/bench/{quote(key, safe='/~')}".encode(): body for key, body in made.items()}

    def of(self, target: bytes) -> bytes:
        """An object, or a page of a listing."""
        return self._objects.get(target) or self._other(target.decode())

    def _other(self, target: str) -> bytes:
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        if "list-type" not in query:
            return self._objects[f"/bench/{quote(unquote(parts.path).split('/', 2)[2], safe='/~')}".encode()]
        if query.get("delimiter"):
            return self._groups(query["prefix"])
        prefix, after = query["prefix"], query.get("continuation-token", "")
        at = bisect.bisect_left(self._keys, prefix) if not after else bisect.bisect_right(self._keys, after)
        keys = []
        while at < len(self._keys) and self._keys[at].startswith(prefix) and len(keys) < PAGE:
            keys.append(self._keys[at])
            at += 1
        more = at < len(self._keys) and self._keys[at].startswith(prefix)
        items = "".join(
            f"<Contents><Key>{quote(key)}</Key><LastModified>2026-11-01T00:00:00.000Z</LastModified><ETag>x</ETag>"
            f"<Size>{self._sizes[key]}</Size><StorageClass>STANDARD</StorageClass></Contents>"
            for key in keys
        )
        token = f"<NextContinuationToken>{keys[-1]}</NextContinuationToken>" if more else ""
        page = (
            '<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<EncodingType>url</EncodingType><IsTruncated>{str(more).lower()}</IsTruncated>{token}{items}"
            "</ListBucketResult>"
        )
        return answer(page.encode(), "application/xml")

    def _groups(self, prefix: str) -> bytes:
        """The names directly below a prefix; there are never more than a page of them."""
        below = (key[len(prefix) :].partition("/") for key in self._keys if key.startswith(prefix))
        names = sorted({f"{prefix}{name}/" for name, slash, _ in below if slash})
        items = "".join(f"<CommonPrefixes><Prefix>{quote(name)}</Prefix></CommonPrefixes>" for name in names)
        page = f"<ListBucketResult><EncodingType>url</EncodingType>{items}</ListBucketResult>"
        return answer(page.encode(), "application/xml")


class Connection(asyncio.Protocol):
    """GETs without bodies, one after another."""

    def __init__(self, answers: Answers, delay: float) -> None:
        self._answers, self._delay, self._waiting = answers, delay, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        while (end := self._waiting.find(b"\r\n\r\n")) >= 0:
            target = self._waiting[4 : self._waiting.index(b" HTTP/")]  # after "GET "
            self._waiting = self._waiting[end + 4 :]
            if self._delay:
                asyncio.get_running_loop().call_later(self._delay, self._transport.write, self._answers.of(target))
            else:
                self._transport.write(self._answers.of(target))


async def main(hours: int, planes: int, *, own: bool, delay: float) -> None:
    """Serve until stdin ends."""
    answers = Answers(bucket(hours, planes, own=own))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(answers, delay), "127.0.0.1", 0, backlog=256)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2]), own=sys.argv[3] == "1", delay=float(sys.argv[4]) / 1000))
