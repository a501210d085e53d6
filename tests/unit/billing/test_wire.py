"""Objects over kept connections: whatever the other side does, every body arrives or S3's own failure does."""

from __future__ import annotations

import socketserver
import ssl
import threading
from collections.abc import Callable
from contextlib import contextmanager
from datetime import UTC, datetime
from urllib.parse import unquote

import botocore.auth
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from keyless.aws import AwsPermanent, AwsTransient, Keys, Session
from keyless.billing.export import wire
from keyless.billing.export.reading import BODY_LIMIT, readers
from keyless.billing.export.s3 import S3Bucket
from keyless.billing.export.signing import Signer
from unit.local.cloud.sts.tls import certified, server_context

KEYS = [f"account=acme/{number:02}" for number in range(40)]
Answer = Callable[[str, int, int], bytes | None]


def plain(key: str, head: str = "") -> bytes:
    body = f"body of {key}".encode() * 5
    return f"HTTP/1.1 200 OK\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def body_of(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


def refusal(status: int, code: str) -> bytes:
    body = f"<Error><Code>{code}</Code><Message>said</Message></Error>".encode()
    return f"HTTP/1.1 {status} No\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


class _Server(socketserver.ThreadingTCPServer):
    request_queue_size = 256
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Whoever asks may go at any time."""


@contextmanager
def serving(answer: Answer, context: ssl.SSLContext | None = None):
    """Raw answers to (key, how often it was asked for before, answers on this connection); None ends the connection.

    Yields the port and the keys that were asked for.
    """
    asked: list[str] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            count = 0
            while line := self.rfile.readline():
                while self.rfile.readline().strip():
                    pass
                key = unquote(line.decode().split(" ")[1]).removeprefix("/usage/")
                before = asked.count(key)
                asked.append(key)
                found = answer(key, before, count)
                if found is None:
                    return
                self.wfile.write(found)
                count += 1
                if b"Connection: close" in found or b"Content-Length: 9999" in found:
                    return

    with _Server(("127.0.0.1", 0), Handler) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1], asked
        finally:
            server.shutdown()
            thread.join()


def read(url: str, keys: list[str] = KEYS) -> list[bytes]:
    session = Session.with_keys(Keys("AKIA", "secret"), region="us-east-1")
    bucket = S3Bucket(session, "usage", endpoint=url, sleep=lambda _: None)
    with readers(8) as pool:
        return list(bucket.bodies(iter(keys), pool))


def test_every_body_arrives_in_order_and_each_is_asked_for_once():
    with serving(lambda key, *_: plain(key)) as (port, asked):
        assert read(f"http://127.0.0.1:{port}") == [body_of(plain(key)) for key in KEYS]
    assert sorted(asked) == KEYS


@pytest.mark.parametrize(
    "first",
    [
        refusal(503, "SlowDown"),
        refusal(500, "InternalError"),
        b"HTTP/1.1 206 Partial\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\ncut short",
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (BODY_LIMIT + 1, bytes(BODY_LIMIT + 1)),
        b"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nabc",
        b"SSH-2.0-OpenSSH_9\r\nConnection: close\r\n",
        None,
    ],
    ids=str,
)
@pytest.mark.parametrize("at", [KEYS[0], KEYS[23]])
def test_what_is_not_plain_is_asked_again_another_way(first, at):
    def answer(key, before, _):
        return first if key == at and not before else plain(key)

    with serving(answer) as (port, asked):
        assert read(f"http://127.0.0.1:{port}") == [body_of(plain(key)) for key in KEYS]
    assert asked.count(at) == 2


@pytest.mark.parametrize("answers", [1, 2, 3])
@pytest.mark.parametrize("told", ["Connection: close\r\n", ""])
def test_connections_that_end_after_some_answers_lose_nothing(answers, told):
    def answer(key, _, count):
        if told and count == answers - 1:
            return plain(key, told)
        return plain(key) if count < answers else None

    with serving(answer) as (port, _):
        assert read(f"http://127.0.0.1:{port}") == [body_of(plain(key)) for key in KEYS]


@pytest.mark.parametrize(
    ("said", "kind"),
    [(refusal(403, "AccessDenied"), AwsPermanent), (refusal(503, "SlowDown"), AwsTransient), (None, AwsTransient)],
)
def test_what_lasts_is_told_as_what_it_is(said, kind):
    with serving(lambda *_: said) as (port, _), pytest.raises(kind):
        read(f"http://127.0.0.1:{port}")


def test_nobody_listening_is_told_before_anything_is_given():
    with serving(lambda *_: None) as (port, _):
        pass
    with pytest.raises(AwsTransient):
        read(f"http://127.0.0.1:{port}")


def test_a_server_that_says_nothing_is_left_after_a_while(monkeypatch):
    monkeypatch.setattr(wire, "_SILENCE_SECONDS", 0.05)

    def answer(key, before, _):
        return b"HTTP/1.1 200" if key == KEYS[3] and not before else plain(key)

    with serving(answer) as (port, _):
        assert read(f"http://127.0.0.1:{port}") == [body_of(plain(key)) for key in KEYS]


def test_more_connections_are_opened_where_answers_are_slow(monkeypatch):
    monkeypatch.setattr(wire, "SLOW_SECONDS", 0.0)
    together = threading.Barrier(40)

    def answer(key, _, count):
        if key not in KEYS[:16]:
            together.wait(10)
        return plain(key)

    keys = [*KEYS[:16], *(f"more/{number}" for number in range(40))]
    with serving(answer) as (port, _):
        assert len(read(f"http://127.0.0.1:{port}", keys)) == len(keys)


def test_a_consumer_that_stops_ends_the_asking(monkeypatch):
    monkeypatch.setattr(wire, "SLOW_SECONDS", 60.0)
    session = Session.with_keys(Keys("AKIA", "secret"), region="us-east-1")
    with serving(lambda key, *_: plain(key)) as (port, asked), readers(8) as pool:
        bodies = S3Bucket(session, "usage", endpoint=f"http://127.0.0.1:{port}").bodies(iter(KEYS * 10), pool)
        next(bodies)
        bodies.close()
    assert len(asked) <= 2 * wire.FEW_CONNECTIONS


def test_over_tls_a_trusted_certificate_is_taken_and_another_is_not(monkeypatch, tmp_path):
    own, other = certified("one"), certified("two")
    for name, certificate in (("own", own), ("other", other)):
        (tmp_path / name).write_bytes(certificate.pem)
    monkeypatch.setattr(wire, "get_cert_path", lambda _: str(tmp_path / "own"))
    with serving(lambda key, *_: plain(key), server_context(own)) as (port, asked):
        assert read(f"https://127.0.0.1:{port}") == [body_of(plain(key)) for key in KEYS]
        assert len(asked) == len(KEYS)
        monkeypatch.setattr(wire, "get_cert_path", lambda _: str(tmp_path / "other"))
        # Nor does botocore trust it, which says so.
        with pytest.raises((AwsPermanent, AwsTransient)):
            read(f"https://127.0.0.1:{port}")
    assert len(asked) == len(KEYS)


def test_the_authorities_that_the_sdk_is_told_of_are_trusted_on_every_way(monkeypatch, tmp_path):
    own = certified("one")
    (tmp_path / "own").write_bytes(own.pem)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "own"))
    with serving(lambda key, *_: plain(key), server_context(own)) as (port, asked):
        url = f"https://127.0.0.1:{port}"
        assert read(url) == [body_of(plain(key)) for key in KEYS]
        # The connections of our own took it: none was asked again another way.
        assert len(asked) == len(KEYS)
        bucket = S3Bucket(Session.with_keys(Keys("AKIA", "secret"), region="us-east-1"), "usage", endpoint=url)
        assert bucket.get(KEYS[0]) == body_of(plain(KEYS[0]))


def test_behind_a_proxy_no_connection_is_our_own(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setattr(wire.Wire, "bodies", lambda *_: pytest.fail("asked"))
    with serving(lambda key, *_: plain(key)) as (port, _), pytest.raises(AwsTransient):
        read(f"http://127.0.0.1:{port}", KEYS[:1])


@given(st.text(min_size=1), st.sampled_from(["", "token/+="]), st.integers(1, 4 * 10**9))
def test_the_signature_is_botocores(key, token, seconds):
    now = datetime.fromtimestamp(seconds, UTC)
    key = key.encode("utf-8", "replace").decode()
    signer = Signer(Keys("AKIA", "secret", token), region="eu-west-1", host="h:1", bucket="b", now=now)
    line, *headers = signer.get(key).decode().removesuffix("\r\n\r\n").split("\r\n")
    sent = dict(header.split(": ", 1) for header in headers)
    request = AWSRequest("GET", f"http://h:1{line.split(' ')[1]}")
    before, botocore.auth.get_current_datetime = botocore.auth.get_current_datetime, lambda: now
    try:
        S3SigV4Auth(Credentials("AKIA", "secret", token or None), "s3", "eu-west-1").add_auth(request)
    finally:
        botocore.auth.get_current_datetime = before
    assert sent["authorization"] == request.headers["Authorization"]
    assert sent["x-amz-date"] == request.headers["X-Amz-Date"]
