"""Issuers' documents over real TLS: whom we trust, and what a hostile or broken issuer can cost."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import Any

import pytest

from keyless.local.cloud.sts.fetching import HttpsFetcher
from keyless.local.cloud.sts.issuers import Mistrusted, Unfetched
from unit.local.cloud.sts.tls import Certified, certified, https, ok, server_context

ROOT = certified("root", authority=True)
MIDDLE = certified("middle", ROOT, authority=True)
LEAF = certified("leaf", MIDDLE)
OTHER_ROOT = certified("other root", authority=True)


def plain(_: str, __: str) -> bytes:
    return ok(b"document")


async def fetched(
    chain: tuple[Certified, ...], *, thumbprints: tuple[str, ...] = (), trusted: Certified | None = None
) -> bytes:
    fetcher = HttpsFetcher(trusted.pem.decode() if trusted else "")
    try:
        async with https(plain, *chain) as url:
            return await fetcher(url, thumbprints)
    finally:
        await fetcher.aclose()


async def test_the_space_s_own_authority_needs_no_thumbprint() -> None:
    assert await fetched((LEAF, MIDDLE), trusted=ROOT) == b"document"


async def test_a_trusted_authority_is_enough_whatever_the_thumbprints_say() -> None:
    assert await fetched((LEAF, MIDDLE, ROOT), trusted=ROOT, thumbprints=("0" * 40,)) == b"document"


@pytest.mark.parametrize("chain", [(LEAF, MIDDLE), (LEAF, MIDDLE, ROOT)], ids=["intermediate", "root"])
async def test_the_last_certificate_of_the_served_chain_may_be_pinned(chain: tuple[Certified, ...]) -> None:
    assert await fetched(chain, thumbprints=("0" * 40, chain[-1].thumbprint)) == b"document"


async def test_a_server_s_own_certificate_may_be_the_last() -> None:
    alone = certified("alone")
    assert await fetched((alone,), thumbprints=(alone.thumbprint,)) == b"document"


@pytest.mark.parametrize(
    ("chain", "thumbprints"),
    [
        ((LEAF, MIDDLE), ()),
        ((LEAF, MIDDLE), ("0" * 40,)),
        ((LEAF, MIDDLE), (LEAF.thumbprint,)),
        ((LEAF, MIDDLE), (ROOT.thumbprint,)),
        ((LEAF, MIDDLE, ROOT), (MIDDLE.thumbprint,)),
        ((certified("expired", ROOT, days=-1), ROOT), (ROOT.thumbprint,)),
        ((certified("elsewhere", ROOT, host="127.0.0.2"), ROOT), (ROOT.thumbprint,)),
    ],
    ids=["none", "another", "not the last", "not served", "not the last of three", "expired", "another host"],
)
async def test_any_other_certificate_is_mistrusted(chain: tuple[Certified, ...], thumbprints: tuple[str, ...]) -> None:
    with pytest.raises(Mistrusted):
        await fetched(chain, thumbprints=thumbprints)


async def test_showing_a_pinned_certificate_without_being_signed_by_it_gains_nothing() -> None:
    forger = certified("forger")
    with pytest.raises(Mistrusted):
        await fetched((forger, OTHER_ROOT), thumbprints=(OTHER_ROOT.thumbprint,))


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (lambda *_: ok(b"", status="302 Found", headers="location: /elsewhere"), "answered 302"),
        (lambda *_: ok(b"", status="500 Oops"), "answered 500"),
        (lambda *_: ok(b"x" * (2 << 20)), "is larger than 1048576 bytes"),
        (lambda *_: b"nonsense\r\n\r\n", "RemoteProtocolError"),
        (lambda *_: b"", "RemoteProtocolError"),
        (lambda *_: None, "did not answer within 0.3 s"),
        (lambda *_: b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", "RemoteProtocolError"),
    ],
    ids=["redirect", "error", "huge", "no http", "nothing", "silent", "half"],
)
async def test_a_document_that_cannot_be_had_says_why(answer: Any, why: str) -> None:
    # A busy machine needs longer than a third of a second for a handshake: only silence is waited for so shortly.
    fetcher = HttpsFetcher(ROOT.pem.decode(), timeout_seconds=0.3 if "0.3 s" in why else 20)
    try:
        async with https(answer, LEAF, MIDDLE) as url:
            with pytest.raises(Unfetched, match=why) as caught:
                await fetcher(url)
    finally:
        await fetcher.aclose()
    assert not isinstance(caught.value, Mistrusted)


async def test_a_byte_now_and_then_does_not_hold_a_call_for_ever() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
        with suppress(ConnectionError, ssl.SSLError):
            while not reader.at_eof():
                writer.write(b" ")
                await writer.drain()
                with suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(1), 0.02)
        writer.close()

    fetcher = HttpsFetcher(ROOT.pem.decode(), timeout_seconds=0.3)
    server = await asyncio.start_server(drip, "127.0.0.1", 0, ssl=server_context(LEAF, MIDDLE))
    try:
        with pytest.raises(Unfetched, match=r"did not answer within 0\.3 s"):
            await fetcher(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/x")
    finally:
        await fetcher.aclose()
        server.close()


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1:1/x", "https:///x", "https://127.0.0.1:99999/x", "http://[::1", "x"]
)
async def test_a_place_that_cannot_be_reached_says_so(url: str) -> None:
    with pytest.raises(Unfetched):
        await HttpsFetcher("")(url)


@pytest.mark.parametrize("served", ["application/jwk-set+json", "application/json"])
async def test_a_document_is_asked_for_by_each_name_that_issuers_serve_it_under(served: str) -> None:
    # kube-apiserver serves its discovery document as the second and its keys as the first, and 406 to anything else.
    async def negotiate(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        (accepted,) = [line.partition(":")[2] for line in head.splitlines() if line.startswith("accept:")]
        taken = served in [one.strip() for one in accepted.split(",")]
        answer = ok(b"document", headers=f"content-type: {served}") if taken else ok(b"", status="406 Not Acceptable")
        writer.write(answer)
        await writer.drain()
        writer.close()

    fetcher = HttpsFetcher(ROOT.pem.decode(), timeout_seconds=20)
    server = await asyncio.start_server(negotiate, "127.0.0.1", 0, ssl=server_context(LEAF, MIDDLE))
    try:
        assert await fetcher(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/x") == b"document"
    finally:
        await fetcher.aclose()
        server.close()
