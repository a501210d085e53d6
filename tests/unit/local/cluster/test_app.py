"""The ASGI shell: hosts, bodies, headers, streams."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import MutableMapping
from typing import Any

import orjson
import pytest

from keyless.local.cluster import Cluster
from keyless.local.cluster.app import is_local
from keyless.local.cluster.bodies import MAX_BODY_BYTES
from unit.local.cluster.support import Kubectl

ADMIN = (b"authorization", b"Bearer the-admin-token")
HOST = (b"host", b"127.0.0.1:6443")


class Caller:
    """One HTTP exchange with the application."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.answered = asyncio.Event()
        self.hang_up = asyncio.Event()

    async def ask(self, method: str, target: str, *headers: tuple[bytes, bytes], body: bytes = b"") -> Caller:
        path, _, query = target.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": list(headers or (HOST, ADMIN)),
        }
        sent = False

        async def receive() -> MutableMapping[str, Any]:
            nonlocal sent
            if not sent:
                sent = True
                return {"type": "http.request", "body": body, "more_body": False}
            await self.hang_up.wait()
            return {"type": "http.disconnect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                self.status = message["status"]
                self.headers = {k.decode(): v.decode() for k, v in message["headers"]}
            else:
                self.body += message.get("body", b"")
                self.answered.set()

        await self._cluster.app(scope, receive, send)
        return self

    @property
    def json(self) -> dict[str, Any]:
        decoded: dict[str, Any] = orjson.loads(self.body)
        return decoded


@pytest.fixture
def caller(cluster: Cluster) -> Caller:
    return Caller(cluster)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:6443", "127.3.2.1:1", "localhost:6443", "[::1]:6443"])
def test_the_names_of_loopback_are_served(host: str) -> None:
    assert is_local(host, "127.0.0.1")


@pytest.mark.parametrize(
    "host", ["", "example.org", "example.org:6443", "10.0.0.1", "127.0.0.1.example.org", "[", "a@b"]
)
def test_other_names_are_not(host: str) -> None:
    assert not is_local(host, "127.0.0.1")


async def test_a_page_of_another_name_is_refused_before_anything_is_read(caller: Caller) -> None:
    await caller.ask("GET", "/version", (b"host", b"rebound.example.org"), ADMIN)
    assert caller.status == 403


async def test_a_bad_token_is_unauthorized_and_none_is_anonymous(cluster: Cluster) -> None:
    bad = await Caller(cluster).ask("GET", "/version", HOST, (b"authorization", b"Bearer nonsense"))
    assert (bad.status, bad.json["reason"]) == (401, "Unauthorized")
    none = await Caller(cluster).ask("GET", "/api/v1/pods", HOST)
    assert none.status == 403
    assert 'User "system:anonymous" cannot list resource "pods"' in none.json["message"]


async def test_keys_are_public_under_the_name_of_their_cluster(cluster: Cluster) -> None:
    keys = await Caller(cluster).ask("GET", "/clusters/keyless/keys", HOST)
    assert keys.status == 200
    assert keys.json["keys"]
    missing = await Caller(cluster).ask("GET", "/clusters/nobody/keys", HOST)
    assert missing.status == 404


async def test_a_body_beyond_the_limit_is_refused(caller: Caller) -> None:
    await caller.ask("POST", "/api/v1/namespaces", body=b"x" * (MAX_BODY_BYTES + 1))
    assert (caller.status, caller.json["reason"]) == (413, "RequestEntityTooLarge")


@pytest.mark.parametrize(
    ("media", "body", "status"),
    [
        (b"application/json", b"{", 400),
        (b"application/json", b"", 400),
        (b"application/yaml", b"a: [", 400),
        (b"application/yaml", b"metadata: {name: y}", 201),
        (b"application/vnd.kubernetes.protobuf", b"k8s\x00\xff\xff", 400),
        (b"application/vnd.kubernetes.protobuf", b"none", 400),
        (b"text/plain", b"{}", 415),
    ],
)
async def test_a_body_is_read_by_its_media_type_or_refused(
    caller: Caller, media: bytes, body: bytes, status: int
) -> None:
    await caller.ask("POST", "/api/v1/namespaces", HOST, ADMIN, (b"content-type", media), body=body)
    assert caller.status == status, caller.body


async def test_warnings_travel_in_headers(caller: Caller) -> None:
    body = orjson.dumps({"metadata": {"name": "n"}, "spec": {"bogus": 1}})
    await caller.ask("POST", "/api/v1/namespaces", body=body)
    assert caller.headers["warning"] == '299 - "unknown field \\"spec.bogus\\""'


async def test_large_answers_are_compressed_for_those_who_can_read_them(kubectl: Kubectl, caller: Caller) -> None:
    path = "/api/v1/namespaces/default/configmaps"
    await kubectl.ok("POST", path, {"metadata": {"name": "big"}, "data": {"a": "x" * 200_000}})
    await caller.ask("GET", path, HOST, ADMIN, (b"accept-encoding", b"gzip"))
    assert caller.headers["content-encoding"] == "gzip"
    assert orjson.loads(gzip.decompress(caller.body))["kind"] == "ConfigMapList"


async def test_a_watch_streams_and_ends_when_the_caller_hangs_up(cluster: Cluster, caller: Caller) -> None:
    asking = asyncio.ensure_future(caller.ask("GET", "/api/v1/namespaces?watch=true"))
    await asyncio.wait_for(caller.answered.wait(), 5)
    assert caller.body.count(b'"ADDED"') == 4
    caller.hang_up.set()
    await asyncio.wait_for(asking, 5)
    assert cluster.store._bucket(("keyless", "", "namespaces")).callbacks == []


async def test_impersonation_needs_the_right_to_it(kubectl: Kubectl, cluster: Cluster) -> None:
    asked = (HOST, ADMIN, (b"impersonate-user", b"somebody"))
    refused = await Caller(cluster).ask("GET", "/api/v1/pods", *asked)
    assert 'User "somebody" cannot list resource "pods"' in refused.json["message"]
    await kubectl.account("a")
    token = (await kubectl.ok("POST", "/api/v1/namespaces/default/serviceaccounts/a/token", {}))["status"]["token"]
    account = (b"authorization", f"Bearer {token}".encode())
    denied = await Caller(cluster).ask("GET", "/api/v1/pods", HOST, account, (b"impersonate-user", b"somebody"))
    assert "cannot impersonate resource" in denied.json["message"]


async def test_health_is_text(caller: Caller) -> None:
    await caller.ask("GET", "/readyz", HOST)
    assert (caller.status, caller.body) == (200, b"ok")


async def test_an_unknown_path_or_method_is_a_status(cluster: Cluster) -> None:
    for method, path, status in (
        ("GET", "/nowhere", 404),
        ("GET", "/apis/none.example.org/v1", 404),
        ("GET", "/api/v1/namespaces/default/unicorns", 404),
        ("PUT", "/api/v1/namespaces/default/configmaps", 405),
        ("POST", "/api/v1/namespaces/default/configmaps/c", 405),
        ("POST", "/version", 405),
        ("GET", "/api/v1/namespaces/default/pods/p/exec", 403),
        ("GET", "/api/v1/namespaces/default/configmaps/c/status", 404),
    ):
        answer = await Caller(cluster).ask(method, path)
        assert (answer.status, answer.json["kind"]) == (status, "Status"), (method, path, answer.body)
