"""A cloud in memory, and botocore clients that reach its gateway without a socket."""

from __future__ import annotations

import asyncio
import io
import sqlite3
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeVar
from unittest.mock import patch
from urllib.parse import urlsplit

import botocore.auth
import botocore.session
import orjson
from botocore import UNSIGNED
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from keyless.kube.errors import NotFound
from keyless.kube.model import Page
from keyless.local.cloud import Cloud, CloudSettings
from keyless.local.cloud.sts.issuers import Unfetched
from keyless.tokens import (
    Bound,
    ServiceAccountSubject,
    SigningKey,
    Validity,
    discovery,
    issue,
    jwks,
    service_account_claims,
)

T = TypeVar("T")
SERVER = "https://127.0.0.1:6443"
ISSUER = f"{SERVER}/clusters/keyless"
PROVIDER = "127.0.0.1/clusters/keyless"
ACCOUNT = "111122223333"
START = 1_790_000_000.0


class Clock:
    """A clock that tests move."""

    def __init__(self, now: float = START) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += seconds


class Loop:
    """An event loop in a thread: blocking clients on one side, the asynchronous gateway on the other."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        future: Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result(timeout=20)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@dataclass
class FakeKube:
    """The few requests that the cloud sends to Kubernetes; objects by (plural, namespace, name)."""

    objects: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)
    reviews: dict[str, dict[str, Any]] = field(default_factory=dict)
    broken: bool = False

    async def get(self, res: Any, name: str, namespace: str | None = None) -> dict[str, Any]:
        self._fail()
        try:
            return self.objects[res.plural, namespace or "", name]
        except KeyError:
            raise _not_found(name) from None

    async def apply(self, res: Any, obj: dict[str, Any], namespace: str | None = None, **_: Any) -> dict[str, Any]:
        self._fail()
        place = namespace or obj["metadata"].get("namespace", "")
        self.objects[res.plural, place, obj["metadata"]["name"]] = obj
        return obj

    async def delete(self, res: Any, name: str, namespace: str | None = None, **_: Any) -> None:
        self._fail()
        if self.objects.pop((res.plural, namespace or "", name), None) is None:
            raise _not_found(name)

    async def list(self, res: Any, namespace: str | None = None, *, labels: Any = None, **_: Any) -> Page:
        self._fail()
        found = [
            one
            for (plural, place, _name), one in self.objects.items()
            if plural == res.plural and namespace in {None, place}
        ]
        return Page([one for one in found if not labels or labels in one["metadata"].get("labels", {})], "1")

    async def request(self, method: str, path: str, *, body: Any = None, params: Any = None) -> Any:
        self._fail()
        assert (method, path) == ("POST", "/apis/authentication.k8s.io/v1/tokenreviews")
        status = self.reviews.get(body["spec"]["token"], {"authenticated": False, "error": "invalid bearer token"})
        return {**body, "status": status}

    def _fail(self) -> None:
        if self.broken:
            raise ConnectionError("no API server")


def _not_found(name: str) -> NotFound:
    return NotFound({"kind": "Status", "code": 404, "reason": "NotFound", "message": f"{name} not found"})


async def ask(
    app: Any, method: str, path: str, *, query: str = "", headers: dict[str, str] | None = None, body: bytes = b""
) -> tuple[int, dict[str, str], bytes]:
    """One request to an ASGI application."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    named = {"host": "127.0.0.1:4566", **{name.lower(): value for name, value in (headers or {}).items()}}
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in named.items()],
        "client": ("127.0.0.1", 50000),
    }
    await app(scope, receive, send)
    answer = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], answer, b"".join(message.get("body", b"") for message in sent[1:])


class _Wire:
    """Takes botocore's prepared requests to the gateway; registered as ``before-send``."""

    def __init__(self, loop: Loop, app: Any, extra: dict[str, str]) -> None:
        self._loop = loop
        self._app = app
        self._extra = extra

    def __call__(self, request: Any, **_: Any) -> AWSResponse:
        url = urlsplit(request.url)
        headers = {
            name: value.decode() if isinstance(value, bytes) else value for name, value in request.headers.items()
        }
        headers["host"] = url.netloc
        body = request.body or b""
        content = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else body.read()
        asked = ask(self._app, request.method, url.path or "/", query=url.query, headers=headers, body=content)
        status, named, answer = self._loop.run(asked)
        return AWSResponse(request.url, status, _Headers(named), _Raw(answer))


class _Headers(dict[str, str]):
    """Headers are looked up without regard to case."""

    def __init__(self, given: dict[str, str]) -> None:
        super().__init__({name.lower(): value for name, value in given.items()})

    def get(self, key: str, default: Any = None) -> Any:
        return super().get(key.lower(), default)

    def __getitem__(self, key: str) -> str:
        return super().__getitem__(key.lower())

    def __contains__(self, key: object) -> bool:
        return super().__contains__(str(key).lower())


class _Raw(io.BytesIO):
    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()

    def release_conn(self) -> None:
        pass


class FakeIssuers:
    """Discovery documents and keys by URL; what is not there cannot be fetched."""

    def __init__(self) -> None:
        self.documents: dict[str, bytes] = {}
        self.fetched: list[str] = []

    def publish(self, issuer: str, *keys: SigningKey) -> None:
        self.documents[f"{issuer}/.well-known/openid-configuration"] = orjson.dumps(discovery(issuer))
        self.documents[f"{issuer}/keys"] = orjson.dumps(jwks(keys))

    async def __call__(self, url: str, _: tuple[str, ...] = ()) -> bytes:
        self.fetched.append(url)
        if url not in self.documents:
            raise Unfetched(f"{url}: connection refused")
        return self.documents[url]


class World:
    """One cloud, its clock, and clients for it."""

    def __init__(self, *, delay_seconds: float = 0.0, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.kube = FakeKube()
        self.issuers = FakeIssuers()
        self.loop = Loop()
        self.connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        # botocore has no other door for the time that it signs with.
        self._signing_time = patch.object(botocore.auth, "get_current_datetime", self._datetime)
        self._signing_time.start()
        self.cloud = self._start(delay_seconds)

    def _datetime(self, remove_tzinfo: bool = True) -> datetime:
        moment = datetime.fromtimestamp(self.clock(), UTC)
        return moment.replace(tzinfo=None) if remove_tzinfo else moment

    def _start(self, delay_seconds: float, **more: Any) -> Cloud:
        settings = CloudSettings(
            database=self.connection,
            kubernetes=self.kube,
            server_url=SERVER,
            ca_pem="",
            propagation_delay_seconds=delay_seconds,
            now=self.clock,
            **more,
        )
        return Cloud(settings, fetch=self.issuers)

    def restart(self, delay_seconds: float = 0.0, **settings: Any) -> None:
        """The same state, a new process."""
        self.cloud = self._start(delay_seconds, **settings)

    def close(self) -> None:
        self._signing_time.stop()
        self.loop.run(self.cloud.aclose())
        self.loop.close()
        self.connection.close()

    def aws(self, service: str, credentials: Any = None, *, region: str = "us-west-2", **config: Any) -> Any:
        """A botocore client; ``credentials`` as STS answers them, default the administrator's, False for none."""
        return client_for(self, service, credentials, region=region, **config)

    def audit(self) -> list[dict[str, Any]]:
        """The audit lines so far."""
        rows = self.connection.execute("SELECT line FROM cloud_audit ORDER BY number").fetchall()
        return [orjson.loads(row[0]) for row in rows]


_SESSION = botocore.session.Session()


def client_for(world: World, service: str, credentials: Any, *, region: str, **config: Any) -> Any:
    admin = world.cloud.admin_credentials()
    keys: dict[str, Any] = {
        "aws_access_key_id": admin.access_key_id,
        "aws_secret_access_key": admin.secret_access_key,
    }
    if credentials:
        keys = {
            "aws_access_key_id": credentials["AccessKeyId"],
            "aws_secret_access_key": credentials["SecretAccessKey"],
            "aws_session_token": credentials.get("SessionToken"),
        }
    made = _SESSION.create_client(
        service,
        region_name=region,
        endpoint_url="http://127.0.0.1:4566",
        config=Config(retries={"total_max_attempts": 1}, parameter_validation=False, **config),
        **keys,
    )
    made.meta.events.register("before-send", _Wire(world.loop, world.cloud.app, {}))
    if credentials is False:
        made.meta.events.register("choose-signer", lambda **_: UNSIGNED)
    return made


def pem() -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@cache
def signing_key(name: str = "first") -> SigningKey:
    """A key that all tests share: making one takes long."""
    return SigningKey.from_pem(pem())


def pod_token(
    world: World,
    *,
    namespace: str = "mxp-1-system",
    name: str = "vector",
    audience: str = "sts.amazonaws.com",
    issuer: str = ISSUER,
    key: SigningKey | None = None,
    **claims: Any,
) -> str:
    """A projected token as the API server issues them; ``claims`` override, None removes."""
    now = int(world.clock())
    subject = ServiceAccountSubject(namespace, Bound(name, "8f6f"), pod=Bound(f"{name}-0", "1d2c-pod"))
    made = service_account_claims(
        subject, Validity(now, now + 3600), issuer=issuer, audiences=[audience], token_id="f3e1"
    )
    made |= claims
    return issue(key or signing_key(), {name: value for name, value in made.items() if value is not None})


def document(*statements: dict[str, Any]) -> str:
    return orjson.dumps({"Version": "2012-10-17", "Statement": list(statements)}).decode()


def allow(action: str | list[str], resource: str | list[str] = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def irsa_trust(subject: str = "system:serviceaccount:mxp-1-system:vector", **condition: Any) -> str:
    """The guide's trust policy."""
    return document(
        {
            "Effect": "Allow",
            "Principal": {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{PROVIDER}"},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": condition
            or {"StringEquals": {f"{PROVIDER}:aud": "sts.amazonaws.com", f"{PROVIDER}:sub": subject}},
        }
    )


def pods_trust(actions: tuple[str, ...] = ("sts:AssumeRole", "sts:TagSession"), **more: Any) -> str:
    return document(
        {
            "Effect": "Allow",
            "Principal": {"Service": "pods.eks.amazonaws.com"},
            "Action": list(actions),
            **more,
        }
    )


def refusal(call: Any, **params: Any) -> tuple[str, str, int]:
    """Call, expect a refusal, and return its code, message and HTTP status."""
    try:
        call(**params)
    except ClientError as error:
        found = error.response["Error"]
        return found["Code"], found.get("Message", ""), error.response["ResponseMetadata"]["HTTPStatusCode"]
    raise AssertionError("the call was not refused")


def a_role(world: World, *statements: dict[str, Any]) -> Any:
    """Credentials of a new role that the account may assume, with these permissions."""
    trust = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
    iam = world.aws("iam")
    role = iam.create_role(RoleName="reader", AssumeRolePolicyDocument=document(trust))["Role"]
    iam.put_role_policy(RoleName="reader", PolicyName="p", PolicyDocument=document(*statements))
    return world.aws("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="test")["Credentials"]
