"""What the public side of an issuer passes on, what it refuses to publish, and what it does while nobody answers."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyless.identity.issuer.app import app
from keyless.identity.issuer.model import DISCOVERY_PATH, KEYS_PATH, Documents, documents_of_untrusted
from keyless.identity.issuer.service import Published, run
from keyless.identity.issuer.settings import Settings
from keyless.kube import Kube
from keyless.kube.transport import Request, Response

ISSUER = "https://oidc.example.org"
DISCOVERY = {"issuer": ISSUER, "jwks_uri": f"{ISSUER}{KEYS_PATH}", "response_types_supported": ["id_token"]}
KEYS = {"keys": [{"kty": "RSA", "kid": "one", "n": "AQAB", "e": "AQAB", "alg": "RS256", "use": "sig"}]}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["issuer", "jwks_uri", "keys", "d"]), inner),
    max_leaves=6,
)


class ApiServer:
    """Answers as a real one: keys are no ``application/json``, and all else is refused."""

    def __init__(self) -> None:
        self.keys: object = KEYS
        self.status = 200
        self.asked: list[str] = []

    async def send(self, request: Request) -> Response:
        self.asked.append(request.path)
        if self.status != 200:
            return Response(self.status, {}, b"")
        if request.path == DISCOVERY_PATH:
            return Response(200, {"content-type": "application/json"}, json.dumps(DISCOVERY).encode())
        assert "*/*" in request.headers["accept"], "406 to whoever takes application/json alone"
        return Response(200, {"content-type": "application/jwk-set+json"}, json.dumps(self.keys).encode())

    async def aclose(self) -> None:
        """Nothing is open."""


async def _ask(documents: Documents | None, path: str, method: str = "GET") -> httpx.Response:
    transport = httpx.ASGITransport(app(lambda: documents, max_age_seconds=30))
    async with httpx.AsyncClient(transport=transport, base_url="http://oidc") as http:
        return await http.request(method, path)


async def test_both_documents_are_passed_on_and_nothing_else_is() -> None:
    server = ApiServer()
    published = Published(Kube(server))
    await published.look()
    discovery = await _ask(published.documents, DISCOVERY_PATH)
    keys = await _ask(published.documents, KEYS_PATH)
    assert (discovery.json(), keys.json()) == (DISCOVERY, KEYS)
    assert keys.headers["content-type"] == "application/jwk-set+json"
    assert keys.headers["cache-control"] == "public, max-age=30"
    for path, method in (
        ("/", "GET"),
        ("/api/v1/secrets", "GET"),
        (KEYS_PATH, "POST"),
        ("/openid/v1/../../api", "GET"),
    ):
        assert (await _ask(published.documents, path, method)).status_code in (404, 405)
    assert server.asked == [DISCOVERY_PATH, KEYS_PATH]


async def test_new_keys_are_seen_at_the_next_look_and_old_ones_stay_while_nobody_answers() -> None:
    server = ApiServer()
    published = Published(Kube(server))
    await published.look()
    first = published.documents
    for status in (500, 401, 403, 302):
        server.status = status
        await published.look()
        assert published.documents == first
        assert published.trouble
    server.status, server.keys = 200, {"keys": [{**KEYS["keys"][0], "kid": "two"}]}
    await published.look()
    assert published.trouble == ""
    assert published.documents is not None
    assert b'"two"' in published.documents.keys


async def test_before_the_first_answer_nobody_is_told_that_there_are_no_keys() -> None:
    assert (await _ask(None, KEYS_PATH)).status_code == 503


@pytest.mark.parametrize(
    ("discovery", "keys", "said"),
    [
        (
            {**DISCOVERY, "issuer": "https://kubernetes.default.svc", "jwks_uri": "http://x/openid/v1/jwks"},
            KEYS,
            "jwks",
        ),
        (
            {**DISCOVERY, "issuer": "kubernetes/serviceaccount"},
            KEYS,
            "issuer is 'kubernetes/serviceaccount': expected an",
        ),
        ({**DISCOVERY, "jwks_uri": f"{ISSUER}/keys"}, KEYS, "--service-account-jwks-uri"),
        ({"jwks_uri": f"{ISSUER}{KEYS_PATH}"}, KEYS, "issuer is None"),
        ([], KEYS, "expected a JSON object, found list"),
        (DISCOVERY, {"keys": []}, "expected keys, found none"),
        (DISCOVERY, None, "expected keys, found none"),
        (DISCOVERY, {"keys": ["x"]}, "expected keys, found none"),
        (DISCOVERY, {"keys": [{**KEYS["keys"][0], "d": "AQAB"}]}, "there is a private key in it"),
        (DISCOVERY, {"keys": [{"kty": "oct", "k": "AQAB"}]}, "there is a private key in it"),
    ],
)
def test_what_aws_could_not_use_is_not_published_and_said(discovery: object, keys: object, said: str) -> None:
    told = documents_of_untrusted(discovery, keys)
    assert isinstance(told, str)
    assert said in told


@given(JSON, JSON)
def test_no_answer_of_an_api_server_breaks_it(discovery: object, keys: object) -> None:
    assert isinstance(documents_of_untrusted(discovery, keys), str | Documents)


async def test_it_serves_over_http_until_it_is_told_to_end(unused_ports, kubeconfig) -> None:
    port, probe = unused_ports
    work = asyncio.create_task(run(Settings("127.0.0.1", port, probe), {"KUBECONFIG": kubeconfig}))
    async with httpx.AsyncClient() as http:
        for _ in range(20):
            await asyncio.sleep(0)  # until it listens; what connects before it serves waits
        answer = await http.get(f"http://127.0.0.1:{probe}/readyz")
        assert answer.status_code == 503, "no API server answers there"
        assert (await http.get(f"http://127.0.0.1:{port}{KEYS_PATH}")).status_code == 503
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
