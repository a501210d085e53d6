"""Issuers on loopback over real TLS, through STS's door: trust, thumbprints, and issuers that misbehave (S5, Q1)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import orjson
import pytest

from conformance.tokens.stage import Answer, jwk, matrix, private_key, read_answer, trust
from keyless.local.cloud import Cloud, CloudSettings
from keyless.local.cloud.sts.fetching import HttpsFetcher
from unit.local.cloud.sts.tls import Certified, certified, https, ok
from unit.local.cloud.support import ACCOUNT, SERVER, World, ask
from unit.tokens.forge import token_of

TEXTS = matrix("keysets").texts
NO_KEY, NOT_VALIDATED = tuple(TEXTS["NO_KEY"]), tuple(TEXTS["NOT_VALIDATED"])
MISTRUSTED = (
    "InvalidIdentityToken",
    "OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint",
)
OURS = certified("the Space's authority", authority=True)
THEIRS = certified("another authority", authority=True)
MIDDLE = certified("their intermediate", THEIRS, authority=True)
Serve = Callable[[str, str], bytes | None]


class TlsWorld(World):
    """Fetches issuers' documents over the network, as the product does."""

    patience_seconds = 10.0

    def _start(self, delay_seconds: float) -> Cloud:
        settings = CloudSettings(
            database=self.connection,
            kubernetes=self.kube,
            server_url=SERVER,
            ca_pem="",
            propagation_delay_seconds=delay_seconds,
            now=self.clock,
        )
        return Cloud(settings, fetch=HttpsFetcher(OURS.pem.decode(), timeout_seconds=self.patience_seconds))


def issuer(path: str, url: str) -> bytes:
    """An honest issuer."""
    if path.startswith("/id/.well-known/"):
        return ok(orjson.dumps({"issuer": f"{url}/id", "jwks_uri": f"{url}/id/keys"}))
    return ok(orjson.dumps({"keys": [jwk("rsa")]}))


def keys_answer(answer: bytes | None) -> Serve:
    """An issuer whose key document is answered so."""
    return lambda path, url: issuer(path, url) if "well-known" in path else answer


class HastyWorld(TlsWorld):
    """Waits for half a second, for the issuers that never answer; a busy machine takes that long for an honest one."""

    patience_seconds = 0.5


@pytest.fixture
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    made = HastyWorld() if getattr(request, "param", "") == "hasty" else TlsWorld()
    yield made
    made.close()


@asynccontextmanager
async def served(answer: Serve, *chain: Certified) -> AsyncIterator[str]:
    async with https(answer, *chain) as url:
        yield url


def asked(world: World, answer: Serve, *chain: Certified, thumbprints: tuple[str, ...] = ()) -> Answer:
    """Register the issuer, and take a token of it to STS."""
    serving: AbstractAsyncContextManager[str] = served(answer, *chain)
    url = world.loop.run(serving.__aenter__())
    try:
        iam = world.aws("iam")
        named: dict[str, Any] = {"ThumbprintList": list(thumbprints)} if thumbprints else {}
        iam.create_open_id_connect_provider(Url=f"{url}/id", ClientIDList=["sts.amazonaws.com"], **named)
        text = trust().replace("127.0.0.1/clusters/keyless", "127.0.0.1/id")
        iam.create_role(RoleName="billing", AssumeRolePolicyDocument=text)
        now = int(world.clock())
        claims = {"iss": f"{url}/id", "sub": "pod", "aud": "sts.amazonaws.com", "iat": now, "exp": now + 60}
        token = token_of({"alg": "RS256", "kid": "rsa"}, claims, private_key("rsa"))
        body = (
            "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleSessionName=pod"
            f"&RoleArn=arn:aws:iam::{ACCOUNT}:role/billing&WebIdentityToken={token}"
        ).encode()
        headers = {"content-type": "application/x-www-form-urlencoded"}
        status, _, said = world.loop.run(ask(world.cloud.app, "POST", "/", headers=headers, body=body))
        return read_answer(status, said)
    finally:
        world.loop.run(serving.__aexit__(None, None, None))


def test_an_issuer_under_the_space_s_authority_is_trusted_whatever_its_thumbprint(world: World) -> None:
    assert asked(world, issuer, certified("ours", OURS), thumbprints=("0" * 40,)).status == 200


def test_an_issuer_of_an_unknown_authority_is_trusted_by_its_thumbprint(world: World) -> None:
    chain = (certified("theirs", MIDDLE), MIDDLE)
    assert asked(world, issuer, *chain, thumbprints=("0" * 40, MIDDLE.thumbprint)).status == 200


@pytest.mark.parametrize("thumbprint", [(), ("0" * 40,), (OURS.thumbprint,), (THEIRS.thumbprint,)])
def test_an_issuer_that_no_thumbprint_names_is_mistrusted(world: World, thumbprint: tuple[str, ...]) -> None:
    """S5: the last certificate that is served counts, not one above it."""
    answer = asked(world, issuer, certified("theirs", MIDDLE), MIDDLE, thumbprints=thumbprint)
    assert (answer.code, answer.message, answer.status) == (*MISTRUSTED, 400)
    assert "chain ends in" in world.audit()[-1]["notes"]["refused"]


def test_a_forger_who_shows_the_pinned_certificate_is_mistrusted(world: World) -> None:
    answer = asked(world, issuer, certified("forger"), THEIRS, thumbprints=(THEIRS.thumbprint,))
    assert (answer.code, answer.message) == MISTRUSTED


@pytest.mark.parametrize(
    ("serve", "expected"),
    [
        (keys_answer(ok(b"", status="302 Found", headers="location: /id/.well-known/x")), NO_KEY),
        (keys_answer(ok(b"", status="404 Not Found")), NO_KEY),
        (keys_answer(ok(b"", status="503 Busy")), NO_KEY),
        (keys_answer(ok(b"<html></html>", headers="content-type: text/html")), NO_KEY),
        (keys_answer(ok(b'{"keys":[' + b" " * (1 << 20) + b"]}")), NO_KEY),
        (keys_answer(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"), NO_KEY),
        (keys_answer(ok(orjson.dumps({"keys": [jwk("other", kid="rsa")]}))), NOT_VALIDATED),
        (keys_answer(ok(orjson.dumps({"keys": [jwk("rsa")]}), headers="content-type: text/plain")), None),
        (keys_answer(ok(orjson.dumps({"keys": [jwk("rsa")]}), headers="x: y")), None),
        (lambda *_: ok(b"[]"), NO_KEY),
    ],
    ids=[
        "redirect",
        "not found",
        "busy",
        "HTML",
        "huge",
        "half",
        "another key",
        "text",
        "no type",
        "no discovery",
    ],
)
def test_an_issuer_that_misbehaves(world: World, serve: Serve, expected: tuple[str, str] | None) -> None:
    answer = asked(world, serve, certified("ours", OURS))
    if expected:
        assert (answer.code, answer.message, answer.status) == (*expected, 400)
    else:
        assert answer.status == 200


@pytest.mark.parametrize("world", ["hasty"], indirect=True)
@pytest.mark.parametrize("serve", [keys_answer(None), lambda *_: None], ids=["keys", "discovery"])
def test_an_issuer_that_never_answers_is_not_waited_for(world: World, serve: Serve) -> None:
    answer = asked(world, serve, certified("ours", OURS))
    assert (answer.code, answer.message, answer.status) == (*NO_KEY, 400)
