"""Authorities, certificates and an HTTPS server on loopback for tests that must see real TLS."""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

NOW = datetime.now(UTC)


@dataclass(frozen=True)
class Certified:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def thumbprint(self) -> str:
        der = self.certificate.public_bytes(Encoding.DER)
        return hashlib.sha1(der, usedforsecurity=False).hexdigest()


def certified(
    name: str,
    by: Certified | None = None,
    *,
    authority: bool = False,
    host: str = "127.0.0.1",
    days: int = 30,
) -> Certified:
    """Sign a certificate, by itself unless ``by`` another one; ``days`` below zero: it has expired."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=60))
        .not_valid_after(NOW + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if not authority:
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))])
        builder = builder.add_extension(names, critical=False)
    return Certified(builder.sign(by.key if by else key, SHA256()), key)


def server_context(*chain: Certified) -> ssl.SSLContext:
    """Serve ``chain``, the server's own certificate first."""
    own = chain[0]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chain.pem"
        key = own.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.write_bytes(key + b"".join(one.pem for one in chain))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
    return context


Answer = Callable[[str, str], bytes | None]
"""Path and own URL to the raw HTTP answer; None: never answer."""


@asynccontextmanager
async def https(answer: Answer, *chain: Certified) -> AsyncIterator[str]:
    """An HTTPS server; gives its URL."""
    url = ""
    talking: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        own = asyncio.current_task()
        assert own is not None
        talking.add(own)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            said = answer(head.split()[1], url)
            if said is None:
                await reader.read()
            else:
                writer.write(said)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()
            talking.discard(own)

    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=server_context(*chain))
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield url
    finally:
        server.close()
        # A client that went away in the middle leaves a conversation open, which a later test would be blamed for.
        for one in list(talking):
            one.cancel()
        await asyncio.gather(*talking, return_exceptions=True)


def ok(body: bytes, *, status: str = "200 OK", headers: str = "content-type: application/json") -> bytes:
    """A raw HTTP answer."""
    return f"HTTP/1.1 {status}\r\n{headers}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
