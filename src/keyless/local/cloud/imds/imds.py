"""The instance metadata service of the one node.

Version 1 (no token) is refused, as on a node with ``HttpTokens=required``. Requests that passed a proxy or name another
host are refused: that is what the token is for.

Spec: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson

from keyless.api.numbers import is_digits
from keyless.local.cloud.database import Database
from keyless.local.cloud.iam.directory import Directory
from keyless.local.cloud.iam.model import Role
from keyless.local.cloud.sessions import new_id
from keyless.local.cloud.sts.minting import Minter, RoleSession, Wanted
from keyless.local.cloud.wire.asgi import Receive, Scope, Send, head_of, own_host, respond
from keyless.local.cloud.wire.http import HttpRequest, HttpResponse

NODE_ROLE = "keyless-node"
_TOKEN = "x-aws-ec2-metadata-token"  # noqa: S105 - a header's name
_LONGEST_SECONDS = 21600
_CREDENTIAL_SECONDS = 3600 * 6
_RENEW_BEFORE_SECONDS = 3600
_MOST_TOKENS = 1024
_TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
_PERMISSIONS = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "WorkerNodePermissions",
            "Effect": "Allow",
            "Action": ["eks:DescribeCluster", "eks-auth:AssumeRoleForPodIdentity"],
            "Resource": "*",
        }
    ],
}


class Imds:
    """A direct ASGI application."""

    def __init__(
        self,
        database: Database,
        directory: Directory,
        minter: Minter,
        *,
        region: str,
        now: Callable[[], float],
        hosts: tuple[str, ...] = (),
    ) -> None:
        """``hosts``: names and addresses that requests may be sent to, besides loopback's."""
        self._hosts = hosts
        self._directory = directory
        self._minter = minter
        self._region = region
        self._now = now
        self._tokens: dict[str, float] = {}
        self._minted: RoleSession | None = None
        self._instance = database.remembered("instance-id", lambda: "i-" + secrets.token_hex(17)[:17])
        self._make_node_role()

    def _make_node_role(self) -> None:
        if self._directory.role(NODE_ROLE):
            return
        role = Role(
            name=NODE_ROLE,
            id=new_id("AROA"),
            arn=f"arn:aws:iam::{self._directory.account}:role/{NODE_ROLE}",
            path="/",
            created_at=self._now(),
            trust=orjson.dumps(_TRUST).decode(),
            description="The role of the Space's node",
            max_session_seconds=43200,
            inline={"worker-node": orjson.dumps(_PERMISSIONS).decode()},
        )
        self._directory.save(role, at_once=True)

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] == "http":
            request = head_of(scope)
            await respond(send, self._answer(request), head=request.method == "HEAD")

    def _answer(self, request: HttpRequest) -> HttpResponse:
        if not own_host(request.header("host"), self._hosts) or request.header("x-forwarded-for"):
            return _text(403, "Forbidden")
        if request.method == "PUT" and request.path == "/latest/api/token":
            return self._token(request)
        if request.method not in {"GET", "HEAD"}:
            return _text(405, "Method Not Allowed")
        if not self._known(request.header(_TOKEN)):
            return _text(401, "Unauthorized")
        found = self._document(request.path)
        return _text(404, "Not Found") if found is None else found

    def _token(self, request: HttpRequest) -> HttpResponse:
        seconds = request.header(f"{_TOKEN}-ttl-seconds")
        if not is_digits(seconds) or not 1 <= int(seconds) <= _LONGEST_SECONDS:
            return _text(400, "Bad Request")
        now = self._now()
        self._tokens = {token: until for token, until in self._tokens.items() if until > now}
        while len(self._tokens) >= _MOST_TOKENS:
            del self._tokens[next(iter(self._tokens))]
        token = secrets.token_urlsafe(42)
        self._tokens[token] = now + int(seconds)
        answer = _text(200, token)
        answer.headers[f"{_TOKEN}-ttl-seconds"] = seconds
        return answer

    def _known(self, token: str) -> bool:
        return self._tokens.get(token, 0.0) > self._now()

    def _document(self, path: str) -> HttpResponse | None:
        role = self._directory.role(NODE_ROLE)
        zone = f"{self._region}a"
        texts = {
            "/latest/meta-data/instance-id": self._instance,
            "/latest/meta-data/instance-type": "m5.large",
            "/latest/meta-data/local-hostname": "local-node",
            "/latest/meta-data/hostname": "local-node",
            "/latest/meta-data/local-ipv4": "127.0.0.1",
            "/latest/meta-data/placement/region": self._region,
            "/latest/meta-data/placement/availability-zone": zone,
            "/latest/meta-data/services/domain": "amazonaws.com",
            "/latest/meta-data/services/partition": "aws",
        }
        if role is not None:
            texts["/latest/meta-data/iam/security-credentials"] = role.name
        if (text := texts.get(path.rstrip("/"))) is not None:
            return _text(200, text)
        if path == "/latest/dynamic/instance-identity/document":
            return _json(self._identity(zone))
        if role is not None and path == "/latest/meta-data/iam/security-credentials/" + role.name:
            return _json(self._credentials(role))
        return None

    def _identity(self, zone: str) -> dict[str, Any]:
        return {
            "accountId": self._directory.account,
            "architecture": "x86_64",
            "availabilityZone": zone,
            "instanceId": self._instance,
            "instanceType": "m5.large",
            "privateIp": "127.0.0.1",
            "region": self._region,
            "version": "2017-09-30",
        }

    def _credentials(self, role: Role) -> dict[str, Any]:
        now = self._now()
        minted = self._minted
        if (
            minted is None
            or minted.session.principal_id != role.id
            or minted.credentials.expires_at < now + _RENEW_BEFORE_SECONDS
        ):
            minted = self._minted = self._minter.mint(role, Wanted(self._instance, _CREDENTIAL_SECONDS), now=now)
        credentials = minted.credentials
        return {
            "Code": "Success",
            "LastUpdated": _time(minted.session.issued_at),
            "Type": "AWS-HMAC",
            "AccessKeyId": credentials.access_key_id,
            "SecretAccessKey": credentials.secret_access_key,
            "Token": credentials.session_token,
            "Expiration": _time(credentials.expires_at),
        }


def _time(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _text(status: int, text: str) -> HttpResponse:
    return HttpResponse(status, {"content-type": "text/plain"}, text.encode())


def _json(value: dict[str, Any]) -> HttpResponse:
    return HttpResponse(200, {"content-type": "application/json"}, orjson.dumps(value))
