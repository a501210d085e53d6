"""Keys of issuers: held, shared, looked for again, never asked for too often."""

from __future__ import annotations

import asyncio
import json

import pytest

from keyless.local.cloud.sts.issuers import IssuerKeys, Mistrusted, Unfetched
from keyless.tokens import KeySet, SigningKey, TokenRefusal, discovery, jwks
from unit.local.cloud.support import Clock, signing_key

ISSUER = "https://issuer.example/id"
FIRST, SECOND = signing_key("first"), signing_key("second")


class Issuer:
    """Serves what it is told; counts how often it was asked."""

    def __init__(self, *keys: SigningKey) -> None:
        self.keys = keys
        self.asked = 0
        self.error: Exception | None = None
        self.gate: asyncio.Event | None = None

    async def __call__(self, url: str, _: tuple[str, ...]) -> bytes:
        if url.endswith("openid-configuration"):
            self.asked += 1
        if self.gate:
            await self.gate.wait()
        if self.error:
            raise self.error
        return json.dumps(discovery(ISSUER) if "well-known" in url else jwks(self.keys)).encode()


def known(answer: KeySet | TokenRefusal, key: SigningKey) -> bool:
    return isinstance(answer, KeySet) and answer.find(key.kid) is not None


async def test_keys_are_held_for_an_hour() -> None:
    issuer, clock = Issuer(FIRST), Clock()
    keys = IssuerKeys(issuer, clock)
    for passed in (0, 1, 3598):
        clock.pass_seconds(passed)
        assert known(await keys.keys(ISSUER, FIRST.kid), FIRST)
    assert issuer.asked == 1
    clock.pass_seconds(1)
    assert known(await keys.keys(ISSUER, FIRST.kid), FIRST)
    assert issuer.asked == 2


async def test_many_calls_at_once_ask_the_issuer_once() -> None:
    issuer = Issuer(FIRST)
    issuer.gate = asyncio.Event()
    keys = IssuerKeys(issuer, Clock())
    calls = [asyncio.ensure_future(keys.keys(ISSUER, FIRST.kid)) for _ in range(20)]
    await asyncio.wait(calls, timeout=0)
    issuer.gate.set()
    assert all(known(answer, FIRST) for answer in await asyncio.gather(*calls))
    assert issuer.asked == 1


async def test_an_issuer_that_is_down_is_asked_once_a_second_at_most() -> None:
    issuer, clock = Issuer(FIRST), Clock()
    issuer.error = Unfetched("refused")
    keys = IssuerKeys(issuer, clock)
    calls = [keys.keys(ISSUER, FIRST.kid) for _ in range(20)]
    assert all(isinstance(answer, TokenRefusal) for answer in await asyncio.gather(*calls))
    assert issuer.asked == 1
    issuer.error = None
    clock.pass_seconds(0.9)
    assert isinstance(await keys.keys(ISSUER, FIRST.kid), TokenRefusal)
    clock.pass_seconds(0.1)
    assert known(await keys.keys(ISSUER, FIRST.kid), FIRST)


async def test_a_rotation_is_seen_when_a_token_brings_an_unknown_key_id() -> None:
    issuer, clock = Issuer(FIRST), Clock()
    keys = IssuerKeys(issuer, clock)
    await keys.keys(ISSUER, FIRST.kid)
    issuer.keys = (FIRST, SECOND)
    assert not known(await keys.keys(ISSUER, SECOND.kid), SECOND)
    clock.pass_seconds(1)
    assert known(await keys.keys(ISSUER, SECOND.kid), SECOND)
    assert issuer.asked == 2


async def test_a_flood_of_made_up_key_ids_asks_once_a_second() -> None:
    issuer, clock = Issuer(FIRST), Clock()
    keys = IssuerKeys(issuer, clock)
    for number in range(100):
        await keys.keys(ISSUER, f"made-up-{number}")
        clock.pass_seconds(0.1)
    assert issuer.asked <= 11


async def test_old_keys_serve_on_while_the_issuer_is_down_and_it_is_tried_once_a_minute() -> None:
    issuer, clock = Issuer(FIRST), Clock()
    keys = IssuerKeys(issuer, clock)
    await keys.keys(ISSUER, FIRST.kid)
    issuer.error = Unfetched("refused")
    clock.pass_seconds(7200)
    for _ in range(60):
        assert known(await keys.keys(ISSUER, FIRST.kid), FIRST)
        clock.pass_seconds(2)
    assert issuer.asked in {3, 4}
    assert isinstance(await keys.keys(ISSUER, SECOND.kid), KeySet)


async def test_other_thumbprints_are_tried_at_once() -> None:
    issuer, clock = Issuer(FIRST), Clock()
    issuer.error = Mistrusted("unknown authority")
    keys = IssuerKeys(issuer, clock)
    refused = await keys.keys(ISSUER, FIRST.kid, ("0" * 40,))
    assert isinstance(refused, TokenRefusal)
    assert refused.message == "OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint"
    issuer.error = None
    assert known(await keys.keys(ISSUER, FIRST.kid, ("1" * 40,)), FIRST)


@pytest.mark.parametrize(
    "document",
    [b"", b"[]", b"null", b'"text"', b"{", b"\xff\xfe", b"[" * 100_000, b'{"issuer":"https://issuer.example/id"}'],
)
async def test_a_document_of_any_other_shape_gives_no_key(document: bytes) -> None:
    async def fetch(_: str, __: tuple[str, ...]) -> bytes:
        return document

    assert isinstance(await IssuerKeys(fetch, Clock()).keys(ISSUER, None), TokenRefusal)
