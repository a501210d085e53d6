"""What etcd's gateway may answer, and that it is a snapshot or a failure that can be told."""

from __future__ import annotations

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


async def test_its_state_is_read(folder: Path) -> None:
    asked: list[httpx.Request] = []
    etcd = etcd_that(folder, lambda request: (asked.append(request), httpx.Response(200, content=STATUS))[1])
    assert await etcd.state() == State("3.6.8", "1345", 42)
    assert str(asked[0].url) == "https://10.0.0.7:2381/v3/maintenance/status"


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
