"""What etcd's gateway may answer, and that it is a snapshot or a failure that can be told."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from keyless.backup.etcd import Etcd, EtcdFailure
from keyless.backup.model import State
from keyless.space.kubernetes.certificates import Wanted, make_keys, sign
from unit.backup.stage import database, gateway

STATUS = b'{"header":{"cluster_id":"1345","revision":"42"},"version":"3.6.8","dbSize":"20480"}'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made, now = tmp_path_factory.mktemp("etcd"), datetime.now(UTC)
    keys = make_keys("test", now)
    pair = sign(keys, Wanted("backup"), now)
    files = {"server": "https://10.0.0.7:2381\n", "ca.crt": keys["ca.crt"], "tls.crt": pair.certificate}
    for name, text in (files | {"tls.key": pair.key}).items():
        (made / name).write_text(text)
    return made


def etcd_that(folder: Path, answer: Callable[[httpx.Request], httpx.Response]) -> Etcd:
    return Etcd(folder, httpx.MockTransport(answer))


async def everything(etcd: Etcd) -> bytes:
    return b"".join([piece async for piece in etcd.snapshot()])


UID = "8d9a29e8-0a0d-4d5a-9f25-4a3f0a36f0d1"
NAMESPACE = (
    b"k8s\x00\x0a\x0f\x0a\x02v1\x12\x09Namespace\x12\x56\x0a\x54\x0a\x0bkube-system\x12\x00\x1a\x00\x22\x00"
    b"\x2a\x24" + UID.encode() + b"\x32\x008\x00B\x08\x08\x80\x80\xa8\xc9\x06\x10\x00"
)
"""As kube-apiserver 1.36 writes it: the protobuf of ``Namespace`` behind its magic."""


def range_of(value: bytes) -> bytes:
    kv = {"key": "", "create_revision": "9", "value": base64.b64encode(value).decode()}
    return json.dumps({"header": {"revision": "42"}, "kvs": [kv], "count": "1"}).encode()


@pytest.mark.parametrize(
    ("found", "holds"), [(range_of(NAMESPACE), UID), (b'{"header":{"revision":"1"}}', ""), (range_of(b"else"), "")]
)
async def test_its_state_is_read_with_what_it_holds(folder: Path, found: bytes, holds: str) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, content=STATUS if request.url.path.endswith("/status") else found)

    assert await etcd_that(folder, answer).state() == State("3.6.8", "1345", 42, holds)
    assert [each.url.path for each in asked] == ["/v3/maintenance/status", "/v3/kv/range"]
    assert asked[0].url.host == "10.0.0.7"


@pytest.mark.parametrize(
    "found", [b'{"kvs":7}', b'{"kvs":[]}', b'{"kvs":[7]}', b'{"kvs":[{"value":7}]}', b'{"kvs":[{}]}', b"[]", b"x"]
)
async def test_whatever_is_answered_for_what_it_holds_is_nothing_or_told(folder: Path, found: bytes) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=STATUS if request.url.path.endswith("/status") else found)

    with contextlib.suppress(EtcdFailure):
        assert (await etcd_that(folder, answer).state()).holds == ""


@pytest.mark.parametrize("piece", [1, 7, 512, 5000])
async def test_a_snapshot_comes_whole_whatever_its_pieces(folder: Path, piece: int) -> None:
    body = database(2)
    assert await everything(etcd_that(folder, lambda _: httpx.Response(200, content=gateway(body, piece)))) == body


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, gateway(database()) + b'{"error":{"code":14,"message":"the server is stopping"}}\n'),
        (503, b'{"error":"etcdserver: not capable","code":12,"message":"etcdserver: not capable"}'),
        (200, b"<html>a proxy</html>\n"),
        (200, b'{"result":{"blob":"not base64!"}}\n'),
        (200, b'{"result":{"blob":7}}\n'),
        (200, b"[" * 100_000),
        (200, b"x" * (2 << 20)),
        (404, b"404 page not found"),
    ],
)
async def test_an_answer_that_is_no_snapshot_is_told(folder: Path, status: int, body: bytes) -> None:
    with pytest.raises(EtcdFailure) as raised:
        await everything(etcd_that(folder, lambda _: httpx.Response(status, content=body)))
    assert 10 < len(str(raised.value)) < 500


@pytest.mark.parametrize("result", [b'"text"', b"[1]", b"7", b"true", b"null"])
async def test_a_message_without_a_piece_is_nothing_whatever_it_holds(folder: Path, result: bytes) -> None:
    body = b'{"result":' + result + b"}\n"
    assert await everything(etcd_that(folder, lambda _: httpx.Response(200, content=body))) == b""


@pytest.mark.parametrize(
    "body",
    [
        *(b"{}", b"[]", b"", b'{"version":"3.6.8","header":{"revision":"x"}}'),
        *(b'{"version":"3.6.8","header":' + header + b"}" for header in (b'"x"', b"[1]", b"7", b'{"revision":1e999}')),
    ],
)
async def test_a_status_that_is_none_is_told(folder: Path, body: bytes) -> None:
    with pytest.raises(EtcdFailure):
        await etcd_that(folder, lambda _: httpx.Response(200, content=body)).state()


async def test_an_etcd_that_does_not_answer_is_told(folder: Path) -> None:
    def refused(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused")

    with pytest.raises(EtcdFailure, match="connection refused"):
        await etcd_that(folder, refused).state()


async def test_a_certificate_that_is_not_there_yet_is_told(tmp_path: Path) -> None:
    with pytest.raises(EtcdFailure, match="certificate for etcd"):
        await Etcd(tmp_path).state()
