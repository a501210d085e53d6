"""A connection of our own: TLS is proven, answers are whole or none, nothing of a server's making grows for ever."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from contextlib import asynccontextmanager

import pytest

from keyless.kube import Unreachable, direct, http, wire
from keyless.kube.direct import Direct
from keyless.kube.http import HttpTransport
from keyless.kube.proxied import Proxied
from keyless.kube.source import Endpoint, Fixed
from keyless.kube.transport import Request
from unit.local.cloud.sts.tls import certified, server_context

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
STREAM = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
PODS = Request("GET", "/api/v1/pods", {"fieldSelector": "a=b c&d"})
AUTHORITY = certified("ca", authority=True)
SERVER = certified("server", AUTHORITY)


class Server:
    """Answers with what ``answer(head)`` yields, in pieces; then waits for the next request, or ends."""

    def __init__(self, answer, *, stay=True):
        self.answer, self.stay = answer, stay
        self.heads = []
        self.accepted = 0
        self.sent = 0
        self.writers = {}

    async def talk(self, reader, writer):
        self.accepted += 1
        self.writers[asyncio.current_task()] = writer
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.heads.append(head)
                for piece in self.answer(head):
                    writer.write(piece)
                    await writer.drain()
                    self.sent += len(piece)
                if not self.stay:
                    break
        writer.close()


@asynccontextmanager
async def asking(answer, *, tls=True, by=SERVER, trusts=AUTHORITY, stay=True, token="token", **endpoint):
    server = Server(answer, stay=stay)
    context = server_context(by) if tls else None
    listener = await asyncio.start_server(server.talk, "127.0.0.1", 0, ssl=context)
    url = f"{'https' if tls else 'http'}://127.0.0.1:{listener.sockets[0].getsockname()[1]}/clusters/a"
    transport = HttpTransport(Fixed(Endpoint(url, trusts.pem.decode(), **endpoint), token))
    try:
        yield transport, server
    finally:
        await transport.aclose()
        listener.close()
        for writer in server.writers.values():
            writer.close()
        await asyncio.gather(*server.writers, return_exceptions=True)


async def read_to_end(transport):
    async with transport.stream(PODS) as stream:
        return [line async for line in stream.lines]


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


@pytest.mark.parametrize("tls", [True, False])
async def test_calls_one_after_the_other_share_a_connection_and_say_who_asks(tls):
    async with asking(lambda head: [OK], tls=tls) as (transport, server):
        for _ in range(3):
            assert (await transport.send(PODS)).body == b"{}"
        assert server.accepted == 1
        line, *rest = server.heads[0].strip().split("\r\n")
        assert line == "GET /clusters/a/api/v1/pods?fieldSelector=a%3Db%20c%26d HTTP/1.1"
        assert "authorization: Bearer token" in rest


async def test_calls_at_once_have_a_connection_each_up_to_a_bound(monkeypatch):
    monkeypatch.setattr(direct, "MAX_CALLS", 3)
    async with asking(lambda head: [OK]) as (transport, server):
        answers = await asyncio.gather(*(transport.send(PODS) for _ in range(12)))
        assert [each.status for each in answers] == [200] * 12
        assert server.accepted <= 3


async def test_a_server_that_is_asked_nothing_more_keeps_no_connection(monkeypatch):
    monkeypatch.setattr(direct, "IDLE_SECONDS", 0.01)
    async with asking(lambda head: [OK]) as (transport, server):
        await asyncio.gather(*(transport.send(PODS) for _ in range(4)))
        # Nothing is sent that could notice them: they end by themselves.
        await asyncio.wait_for(asyncio.gather(*server.writers), 5)
        assert (await transport.send(PODS)).body == b"{}"


@pytest.mark.parametrize(
    ("by", "trusts", "text"),
    [
        (certified("server"), AUTHORITY, "CERTIFICATE_VERIFY_FAILED"),
        (certified("server", AUTHORITY, host="127.0.0.2"), AUTHORITY, "IP address mismatch"),
        (certified("server", AUTHORITY, days=-1), AUTHORITY, "certificate has expired"),
    ],
    ids=["another authority", "another name", "expired"],
)
async def test_a_server_that_is_not_who_it_should_be_is_told_nothing(by, trusts, text):
    async with asking(lambda head: [OK], by=by, trusts=trusts) as (transport, server):
        with pytest.raises(Unreachable, match=text):
            await transport.send(PODS)
        with pytest.raises(Unreachable, match=text):
            async with transport.stream(PODS):
                pass
        assert server.heads == []


async def test_a_name_of_its_own_for_tls_is_the_one_that_is_proven():
    async with asking(lambda head: [OK], tls_server_name="127.0.0.2") as (transport, _):
        with pytest.raises(Unreachable, match="IP address mismatch"):
            await transport.send(PODS)
    other = certified("server", AUTHORITY, host="127.0.0.2")
    async with asking(lambda head: [OK], by=other, tls_server_name="127.0.0.2") as (transport, _):
        assert (await transport.send(PODS)).status == 200
    async with asking(lambda head: [OK], by=certified("server"), insecure=True) as (transport, _):
        assert (await transport.send(PODS)).status == 200


@pytest.mark.parametrize("tls", [True, False])
@pytest.mark.parametrize(
    "broken",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{",
        STREAM + b"5\r\n{",
        STREAM + b"zz\r\n{",
        b"HTTP/1.1 2",
        b"",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 40_000,
    ],
    ids=["half a body", "half a chunk", "no chunk", "half a head", "nothing", "another protocol", "an endless head"],
)
async def test_half_an_answer_is_none(tls, broken):
    async with asking(lambda head: [broken], tls=tls, stay=False) as (transport, _):
        with pytest.raises(Unreachable, match="no answer"):
            await transport.send(PODS)
        with pytest.raises(Unreachable, match="no answer"):
            await read_to_end(transport)


async def test_a_kept_connection_that_the_server_ended_is_replaced_for_what_only_reads():
    async with asking(lambda head: [OK]) as (transport, server):
        await transport.send(PODS)
        for writer in list(server.writers.values()):
            writer.close()
        assert (await transport.send(PODS)).status == 200
        assert server.accepted == 2


async def test_an_answer_that_nobody_asked_for_ends_the_connection():
    async with asking(lambda head: [OK + OK]) as (transport, server):
        await transport.send(PODS)
        assert (await transport.send(PODS)).body == b"{}"
        assert server.accepted == 2


@pytest.mark.parametrize("tls", [True, False])
async def test_lines_come_whole_however_they_are_cut(tls):
    lines = [b'{"n": %d, "text": "%s"}' % (n, b"x" * (n * 997 % 40_000)) for n in range(60)]
    text = b"\n".join(lines) + b"\n"
    pieces = [STREAM, *(chunk(text[at : at + 7919]) for at in range(0, len(text), 7919)), b"0\r\n\r\n"]
    async with asking(lambda head: pieces, tls=tls) as (transport, _), transport.stream(PODS) as stream:
        assert [line async for line in stream.lines] == lines


async def test_a_reader_that_is_slow_holds_the_server_up():
    endless = (chunk(b"x" * 65_000 + b"\n") for _ in range(1000))
    async with asking(lambda head: (STREAM, *endless)) as (transport, server), transport.stream(PODS) as stream:
        await anext(stream.lines)
        before = -1
        while server.sent != before:
            before = server.sent
            await asyncio.sleep(0.1)
        assert server.sent < 20_000_000
        assert len(await anext(stream.lines)) == 65_000


async def test_a_line_has_a_bound(monkeypatch):
    monkeypatch.setattr(http, "LINE_BYTES", 1000)
    pieces = [STREAM, *[chunk(b"x" * 100)] * 20]
    async with asking(lambda head: pieces) as (transport, _), transport.stream(PODS) as stream:
        with pytest.raises(Unreachable, match="a line of more than 1000 bytes"):
            await anext(stream.lines)


async def test_silence_ends_calls_and_streams(monkeypatch):
    monkeypatch.setattr(direct, "CALL_SECONDS", 0.05)
    monkeypatch.setattr(direct, "SILENCE_SECONDS", 0.05)
    for said in (b"", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{"):
        async with asking(lambda head, said=said: [said]) as (transport, _):
            with pytest.raises(Unreachable, match="silence for"):
                await transport.send(PODS)
    async with asking(lambda head: [STREAM, chunk(b"1\n")]) as (transport, _), transport.stream(PODS) as stream:
        assert await anext(stream.lines) == b"1"
        with pytest.raises(Unreachable, match="silence for"):
            await anext(stream.lines)


async def test_a_port_that_accepts_and_says_nothing_ends_the_handshake(monkeypatch):
    monkeypatch.setattr(direct, "CONNECT_SECONDS", 0.05)
    async with asking(lambda head: [OK], tls=False) as (plain, _):
        url = plain._source.endpoint().server.replace("http:", "https:")
        transport = HttpTransport(Fixed(Endpoint(url, AUTHORITY.pem.decode()), "token"))
        with pytest.raises(Unreachable, match="no connection within"):
            await transport.send(PODS)
        await transport.aclose()


@pytest.mark.parametrize("token", ["new\nline", "ümlaut", "nul\x00"])
async def test_a_token_that_no_header_may_hold_is_not_quoted(token):
    async with asking(lambda head: [OK], tls=False, token=token) as (transport, server):
        with pytest.raises(Unreachable, match="characters that no header may") as told:
            await transport.send(PODS)
        assert token not in str(told.value)
        assert server.heads == []


@pytest.mark.parametrize("server", ["", "127.0.0.1:1", "https://", "https://a:port", "ftp://a", "https://[::1"])
async def test_an_address_that_is_none_is_unreachable(server):
    transport = HttpTransport(Fixed(Endpoint(server), "token"))
    with pytest.raises(Unreachable, match="no address of a server"):
        await transport.send(PODS)


@pytest.mark.parametrize(
    ("environ", "server", "carrier"),
    [
        ({}, "https://api.example", Direct),
        ({"HTTPS_PROXY": "http://proxy:1"}, "https://api.example", Proxied),
        ({"ALL_PROXY": "http://proxy:1"}, "https://api.example", Proxied),
        ({"HTTP_PROXY": "http://proxy:1"}, "https://api.example", Direct),
        ({"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": "example"}, "https://api.example", Direct),
        ({"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": "10.0.0.1"}, "https://10.0.0.1:443", Direct),
        ({"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": "10.0.0.1"}, "https://10.0.0.2:443", Proxied),
        ({"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": "*"}, "https://api.example", Direct),
        ({"HTTPS_PROXY": "proxy:1"}, "https://api.example", Proxied),
        ({"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": "fd00::1"}, "https://[fd00::1]:443", Direct),
        ({"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": "[fd00::1]"}, "https://[fd00::1]:443", Direct),
        ({"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": "[fd00:ec2::23]"}, "https://api.example", Proxied),
        ({"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": "$(KUBERNETES_SERVICE_HOST)"}, "https://[::1]:1", Proxied),
    ],
)
def test_the_environment_says_whether_a_proxy_stands_between(monkeypatch, environ, server, carrier):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert isinstance(http._carrier(Endpoint(server)), carrier)


async def test_a_proxy_that_has_no_address_is_named_and_tried_again(monkeypatch):
    monkeypatch.setenv("https_proxy", "http://proxy:port")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    transport = HttpTransport(Fixed(Endpoint("https://api.example"), "token"))
    with pytest.raises(Unreachable, match="the proxy that the environment names"):
        await transport.send(PODS)


async def test_through_a_proxy_answers_and_failures_are_the_same(monkeypatch):
    # A plain proxy is asked with the whole URL: one that answers by itself shows that it was asked.
    async with asking(lambda head: [OK], tls=False) as (plain, server):
        monkeypatch.setenv("http_proxy", plain._source.endpoint().server)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        transport = HttpTransport(Fixed(Endpoint("http://api.example"), "token"))
        assert (await transport.send(PODS)).body == b"{}"
        async with transport.stream(PODS) as stream:
            assert [line async for line in stream.lines] == [b"{}"]
        assert all(head.startswith("GET http://api.example/api/v1/pods?") for head in server.heads)
        await transport.aclose()
        bad = HttpTransport(Fixed(Endpoint("http://api.example"), "new\nline"))
        with pytest.raises(Unreachable, match="characters that no header may"):
            await bad.send(PODS)
        await bad.aclose()


async def test_the_silence_of_a_reader_is_not_the_servers(monkeypatch):
    monkeypatch.setattr(direct, "SILENCE_SECONDS", 0.5)
    monkeypatch.setattr(wire, "HIGH_BYTES", 1000)
    pieces = [STREAM, *[chunk(b"x" * 6000 + b"\n")] * 400, b"0\r\n\r\n"]
    async with asking(lambda head: pieces) as (transport, _), transport.stream(PODS) as stream:
        await anext(stream.lines)
        await asyncio.sleep(0.7)
        assert len([line async for line in stream.lines]) == 399
