"""Attacks on the wire, over sockets: heads of any size and pace, two lengths, packed bodies, hosts, web pages."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from importlib import import_module

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from keyless.local.cloud.serve import serve
from keyless.local.heads import BoundedHeads
from unit.local.cloud.support import World, ask

HOST = "http://127.0.0.1:4566"
START = b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n"
BOUND_SECONDS = 20.0  # well below the thirty that a head may take; a busy machine may take some of it


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """The gateway on a socket."""
    world = World()
    try:
        async with serve(world.cloud.app) as serving:
            yield int(serving.url.rpartition(":")[2])
    finally:
        world.close()


async def sent(port: int, *pieces: bytes) -> bytes:
    """What comes back until the connection ends; empty for one that is cut."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    with suppress(ConnectionError):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        async with asyncio.timeout(5):
            answer = await reader.read()
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()
    return answer


def status(answer: bytes) -> str:
    return answer.partition(b"\r\n")[0].decode().partition(" ")[2][:3]


@pytest.mark.parametrize(
    "head",
    [
        [START, b"x-a: ", *[b"a" * 2**20] * 8, b"\r\n\r\n"],
        [START, *[b"x-a: b\r\n" * 1000] * 200, b"\r\n"],
        [b"GET /", *[b"a" * 2**20] * 4, b" HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"],
    ],
    ids=["one header", "many headers", "path"],
)
async def test_a_head_of_any_size_ends_at_the_limit(port: int, head: list[bytes]) -> None:
    began = time.perf_counter()
    assert status(await sent(port, *head)) in {"", "400"}
    assert time.perf_counter() - began < BOUND_SECONDS


async def test_a_head_below_the_limit_is_read(port: int) -> None:
    assert status(await sent(port, START, b"x-a: ", b"a" * (BoundedHeads.most_head_bytes - 2000), b"\r\n\r\n")) == "403"


async def test_a_body_larger_than_a_head_may_be_is_read(port: int) -> None:
    body = b'"' + b"a" * 4 * BoundedHeads.most_head_bytes + b'"'
    head = START.replace(b"GET", b"POST") + b"x-amz-target: secretsmanager.ListSecrets\r\ncontent-length: "
    answer = await sent(port, head + str(len(body)).encode() + b"\r\n\r\n", body)
    assert b"MissingAuthenticationToken" in answer  # judged, hence read


async def test_a_second_request_that_never_ends_is_given_up_too(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("keyless.local.heads"), "HEAD_SECONDS", 0.05)
    began = time.perf_counter()
    first = b"GET /latest HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
    answer = await sent(port, first, b"GET / HT")
    assert answer.count(b"HTTP/1.1") <= 1
    assert time.perf_counter() - began < BOUND_SECONDS


@pytest.mark.parametrize(
    "rest",
    [
        b"content-length: 6\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nG",
        b"transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n",
        b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        b"content-length : 5\r\n\r\nhello",
        b"content-length: -1\r\n\r\n",
        b"content-length: +5\r\n\r\nhello",
        b"x: a\r\n b\r\n\r\n",
        b"x: a\n\n",
        b"transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    ],
    ids=["both", "two codings", "no coding", "two", "space", "negative", "plus", "folded", "bare", "overflow"],
)
async def test_a_request_whose_end_could_be_read_two_ways_is_refused(port: int, rest: bytes) -> None:
    assert status(await sent(port, b"POST / HTTP/1.1\r\nhost: 127.0.0.1\r\n" + rest)) == "400"


async def test_a_line_break_in_a_path_makes_no_header(port: int) -> None:
    answer = await sent(port, START.replace(b"/ ", b"/bucket/%0d%0aset-cookie:%20x?a=%0d%0ab:%20c ") + b"\r\n")
    assert status(answer) == "403"
    head = answer.partition(b"\r\n\r\n")[0].lower()
    assert b"set-cookie" not in head
    assert b"\r\nb:" not in head


@pytest.mark.parametrize("service", ["secretsmanager", "sts", "eks"])
def test_a_packed_body_is_never_unpacked(world: World, service: str) -> None:
    """A gigabyte of zeros in a megabyte: read as what it is, no document."""
    body = gzip.compress(b"\0" * 2**24, 9)
    headers = {"host": "127.0.0.1:4566", "content-encoding": "gzip", "content-type": "application/x-amz-json-1.1"}
    path = "/clusters/keyless/pod-identity-associations" if service == "eks" else "/"
    if service == "secretsmanager":
        headers["x-amz-target"] = "secretsmanager.ListSecrets"
    if service == "sts":
        headers["content-type"] = "application/x-www-form-urlencoded"
    request = AWSRequest("POST", HOST + path, data=body, headers=headers)
    admin = world.cloud.admin_credentials()
    SigV4Auth(Credentials(admin.access_key_id, admin.secret_access_key), service, "us-west-2").add_auth(request)
    named = {name.lower(): value for name, value in request.headers.items()}
    began = time.perf_counter()
    code, _, _ = world.loop.run(ask(world.cloud.app, "POST", path, headers=named, body=body))
    assert code == 400
    assert time.perf_counter() - began < BOUND_SECONDS


def test_a_packed_object_stays_packed(world: World) -> None:
    s3 = world.aws("s3")
    s3.create_bucket(Bucket="packed", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    body = gzip.compress(b"\0" * 2**24, 9)
    s3.put_object(Bucket="packed", Key="k", Body=body, ContentEncoding="gzip")
    found = s3.get_object(Bucket="packed", Key="k")
    assert (found["ContentLength"], found["ContentEncoding"]) == (len(body), "gzip")
    assert world.connection.execute("SELECT sum(length(line)) FROM cloud_audit").fetchone()[0] < 10_000


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "rebound.example.org"},
        {"host": "169.254.169.254"},
        {"host": "127.0.0.1.example.org"},
        {"host": "127.0.0.1", "x-forwarded-for": "10.0.0.1"},
    ],
)
def test_metadata_is_for_nobody_who_came_by_a_name_or_a_proxy(world: World, headers: dict[str, str]) -> None:
    asked = {**headers, "x-aws-ec2-metadata-token-ttl-seconds": "60"}
    answer = world.loop.run(ask(world.cloud.imds_app, "PUT", "/latest/api/token", headers=asked))
    assert answer[0] == 403


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_a_page_that_asks_for_metadata_as_a_page_can_gets_none(world: World, method: str) -> None:
    """What a page may send without asking first has no such headers; the question itself (OPTIONS) is not answered."""
    origin = {"host": "127.0.0.1", "origin": "https://evil.example", "access-control-request-method": "PUT"}
    place = "/latest/meta-data/iam/security-credentials/keyless-node"
    for path in (place, "/latest/api/token"):
        code, named, body = world.loop.run(ask(world.cloud.imds_app, method, path, headers=origin))
        assert code in {401, 405}
        assert not {name for name in named if name.startswith("access-control-")}
        assert b"SecretAccessKey" not in body


@pytest.mark.parametrize(
    "path", ["/../latest/meta-data/", "/latest/meta-data/../../etc/passwd", "/latest//meta-data/%2e%2e/"]
)
def test_metadata_has_the_paths_it_has_and_no_way_around(world: World, path: str) -> None:
    asked = {"x-aws-ec2-metadata-token-ttl-seconds": "60"}
    token = world.loop.run(ask(world.cloud.imds_app, "PUT", "/latest/api/token", headers=asked))[2].decode()
    answer = world.loop.run(ask(world.cloud.imds_app, "GET", path, headers={"x-aws-ec2-metadata-token": token}))
    assert answer[0] == 404
