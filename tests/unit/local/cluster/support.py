"""A cluster in memory, a clock that is told, a webhook that answers from a script."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from keyless.local.cluster import Answer, Cluster
from keyless.local.cluster.admission.caller import Unreachable
from keyless.local.cluster.messages import Request
from keyless.local.cluster.users import AUTHENTICATED, User

NOON = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


@dataclass
class Clock:
    """A time that moves only when told."""

    moment: datetime = NOON

    def __call__(self) -> datetime:
        return self.moment

    def forward(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


Script = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass
class ScriptedWebhooks:
    """Answers reviews by url; an unknown url is unreachable."""

    scripts: dict[str, Script] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    async def post(self, config: Mapping[str, Any], body: dict[str, Any], timeout_seconds: float) -> bytes:
        url = config["url"]
        self.asked.append((url, body["request"]))
        if url not in self.scripts:
            raise Unreachable(f'Post "{url}": connection refused')
        response = self.scripts[url](body["request"])
        return orjson.dumps(
            {
                "apiVersion": body["apiVersion"],
                "kind": body["kind"],
                "response": {"uid": body["request"]["uid"], **response},
            }
        )

    async def aclose(self) -> None:
        pass


def patching(*operations: Mapping[str, Any]) -> dict[str, Any]:
    """The response of a webhook that allows and patches."""
    patch = base64.b64encode(orjson.dumps(operations)).decode()
    return {"allowed": True, "patchType": "JSONPatch", "patch": patch}


@dataclass
class Kubectl:
    """Short requests against one cluster."""

    cluster: Cluster
    name: str = "keyless"

    async def __call__(self, method: str, path: str, body: object = None, **more: Any) -> Answer:
        return await self.cluster.call(self.name, method, path, body, **more)

    async def ok(self, method: str, path: str, body: object = None, **more: Any) -> dict[str, Any]:
        answer = await self(method, path, body, **more)
        assert answer.ok, answer.body
        return answer.body

    async def refused(self, method: str, path: str, body: object = None, **more: Any) -> dict[str, Any]:
        answer = await self(method, path, body, **more)
        assert answer.body["kind"] == "Status", answer.body
        assert answer.body["status"] == "Failure"
        assert answer.body["code"] == answer.status
        return answer.body

    async def account(self, name: str, namespace: str = "default") -> User:
        """A service account, and the user that it is."""
        made = await self.ok("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": name}})
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", AUTHENTICATED)
        return User(f"system:serviceaccount:{namespace}:{name}", groups, made["metadata"]["uid"])


def pod(name: str = "p", **spec: Any) -> dict[str, Any]:
    """The least that a pod is."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "c", "image": "keyless/keyless:0.1.0"}], **spec},
    }


def crd(**version: Any) -> dict[str, Any]:
    """A definition of widgets."""
    schema = {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "properties": {
                    "size": {"type": "integer", "minimum": 1, "default": 3},
                    "replicas": {"type": "integer"},
                },
            },
            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        },
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.org"},
        "spec": {
            "group": "example.org",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"], "categories": ["all"]},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                    "subresources": {"status": {}},
                    **version,
                }
            ],
        },
    }


async def token(kubectl: Kubectl, name: str = "a", **spec: Any) -> str:
    made = await kubectl.ok("POST", f"/api/v1/namespaces/default/serviceaccounts/{name}/token", {"spec": spec})
    return str(made["status"]["token"])


def claims(text: str) -> dict[str, Any]:
    part = text.split(".")[1]
    decoded: dict[str, Any] = orjson.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return decoded


def who(cluster: Cluster, text: str, name: str = "keyless") -> User:
    return cluster.identify(Request(name, "GET", "/api", User("nobody")), f"Bearer {text}")
