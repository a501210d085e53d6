import asyncio
import socket
import ssl
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from keyless.api import Permanent
from keyless.serving import Tls, bind, listener, serve

app = Starlette(routes=[Route("/", lambda _request: PlainTextResponse("hello"))])


def a_certificate(folder, name):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    (folder / "tls.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "tls.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return Tls(str(folder / "tls.crt"), str(folder / "tls.key"))


async def served(sock):
    async with httpx.AsyncClient(trust_env=False) as http:
        return (await http.get(f"http://127.0.0.1:{sock.getsockname()[1]}/")).text


async def common_name(port):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    found = x509.load_der_x509_certificate(writer.get_extra_info("ssl_object").getpeercert(binary_form=True))
    writer.close()
    await writer.wait_closed()
    return found.subject.rfc4514_string()


async def test_it_serves_until_cancelled_and_frees_the_port():
    sock = bind("127.0.0.1", 0)
    port = sock.getsockname()[1]
    task = asyncio.create_task(serve(app, sock))
    assert await served(sock) == "hello"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    bind("127.0.0.1", port).close()


@pytest.mark.parametrize(("host", "at"), [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("[::1]", "::1")])
def test_an_address_of_either_family_is_listened_on(host, at):
    with bind(host, 0) as sock:
        assert sock.getsockname()[0] == at
        with socket.create_connection((at, sock.getsockname()[1]), 5) as made:
            assert made.getpeername()[0] == at


def test_a_taken_port_is_named():
    with bind("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
        with pytest.raises(Permanent, match=f"127.0.0.1:{port}: another process has it"):
            bind("127.0.0.1", port)


async def test_a_new_certificate_is_served_without_a_restart(tmp_path, monkeypatch):
    monkeypatch.setattr(listener, "CERTIFICATE_POLL_SECONDS", 0.01)
    tls = a_certificate(tmp_path, "first")
    sock = bind("127.0.0.1", 0)
    port = sock.getsockname()[1]
    task = asyncio.create_task(serve(app, sock, tls=tls))
    assert await common_name(port) == "CN=first"
    a_certificate(tmp_path, "second")
    async with asyncio.timeout(5):
        while await common_name(port) != "CN=second":
            pass
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_pair_that_does_not_match_leaves_the_old_one_serving(tmp_path, monkeypatch):
    """A rotation writes two files: between them the certificate is of one generation and the key of another."""
    monkeypatch.setattr(listener, "CERTIFICATE_POLL_SECONDS", 0.0)
    tls = a_certificate(tmp_path, "first")
    sock = bind("127.0.0.1", 0)
    port, tried = sock.getsockname()[1], asyncio.Event()
    monkeypatch.setattr(listener.log, "warning", lambda *_args, **_more: tried.set())
    task = asyncio.create_task(serve(app, sock, tls=tls))
    assert await common_name(port) == "CN=first"
    other = tmp_path / "other"
    other.mkdir()
    a_certificate(other, "second")
    (tmp_path / "tls.crt").write_bytes((other / "tls.crt").read_bytes())
    await tried.wait()
    assert await common_name(port) == "CN=first"
    (tmp_path / "tls.key").write_bytes((other / "tls.key").read_bytes())
    async with asyncio.timeout(5):
        while await common_name(port) != "CN=second":
            pass
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_missing_certificate_is_named(tmp_path):
    with bind("127.0.0.1", 0) as sock, pytest.raises(Permanent, match="nowhere"):
        await serve(app, sock, tls=Tls(str(tmp_path / "nowhere"), str(tmp_path / "key")))


async def test_an_idle_tls_connection_in_somebodys_pool_does_not_delay_the_end(tmp_path):
    sock = bind("127.0.0.1", 0)
    task = asyncio.create_task(serve(app, sock, tls=a_certificate(tmp_path, "here")))
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    # A bare peer that keeps the connection and never says goodbye, as a pool does.
    reader, writer = await asyncio.open_connection("127.0.0.1", sock.getsockname()[1], ssl=context)
    writer.write(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n")
    assert b"200 OK" in await reader.readline()
    await reader.readuntil(b"hello")
    writer.transport.pause_reading()
    task.cancel()
    async with asyncio.timeout(2):
        await asyncio.gather(task, return_exceptions=True)
    writer.transport.abort()
