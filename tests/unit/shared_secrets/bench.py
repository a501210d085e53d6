"""One control plane, one clock, one controller: what the tests of the sync loop share."""

import base64
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from prometheus_client import CollectorRegistry

from keyless.kube import Name
from keyless.kube.memory import MemoryKube
from keyless.kube.resources import EVENTS, EXTERNALSECRETS, SECRETS
from keyless.shared_secrets.stores.guard import ReadGuard
from keyless.shared_secrets.stores.resolution import StorePolicy, StoreRef, Stores
from keyless.shared_secrets.stores.sessions import Place
from keyless.shared_secrets.sync.controller import SyncController
from keyless.shared_secrets.sync.deletion import Guard
from keyless.shared_secrets.sync.metrics import SyncMetrics
from keyless.shared_secrets.sync.tools import Tools
from keyless.shared_secrets.sync.writing import NotSynced
from unit.shared_secrets.fakes import (
    FakeAws,
    FakeSessions,
    InlineRenderer,
    a_space,
    a_store,
    a_value,
    an_external_secret,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


UNGUARDED = {"deletion": Guard(0, 0, 0, 0)}
"""External Secrets' own way with a source that is missing."""
OWN_KEYS = {"jwt": {"serviceAccountRef": {"name": "tenant"}}}


class Facts:
    def __init__(self, *stores):
        self.stores = {(store["metadata"].get("namespace", ""), store["metadata"]["name"]): store for store in stores}

    def store(self, ref: StoreRef, namespace):
        return self.stores.get((namespace if ref.kind == "SecretStore" else "", ref.name))

    def shared_store(self, name):
        return None

    def control_plane(self):
        return None

    def namespace_labels(self, name):
        return {}


class Bench:
    """One control plane, one clock, one controller."""

    def __init__(self, rules=None, kube=None, **aws):
        self.kube = kube or a_space()[1]
        self.aws = FakeAws(**aws)
        self.now, self.heard = NOON, []
        self.ahead = lambda _key, _version: 0.0
        self.count = 1
        rules = rules or {}
        facts = self.facts = Facts(
            a_store(), a_store("params", service="ParameterStore"), a_store("own", auth=OWN_KEYS)
        )
        host = Place("host", self.kube)
        stores = Stores(
            facts,
            FakeSessions(self.aws),
            tenant=Place("tenant", self.kube),
            host=host,
            group="default",
            host_namespace="h",
            policy=StorePolicy(tenant_stores_may_use_controller_identity=True),
        )
        self.registry = CollectorRegistry()
        tools = Tools(
            kube=self.kube,
            stores=stores,
            guard=ReadGuard(lambda: self.now.timestamp()),
            listener=self,
            metrics=SyncMetrics(self.registry),
            now=lambda: self.now,
            owned=self.owned,
            renderer=InlineRenderer(),
            store=facts.store,
            others=lambda: self.kube.stored(EXTERNALSECRETS) if kube is None else (),
            secrets=lambda: self.count,
            spread="ctp1",
            ahead=lambda key, version: self.ahead(key, version),
            **rules,
        )
        self.tools = tools
        self.controller = SyncController(tools)

    def owned(self, namespace, owner):
        if not isinstance(self.kube, MemoryKube):
            return ["db"]  # what no informer follows
        by = "reconcile.external-secrets.io/created-by"
        found = [secret["metadata"] for secret in self.kube.stored(SECRETS, namespace)]
        return [metadata["name"] for metadata in found if (metadata.get("labels") or {}).get(by) == owner]

    def restart(self):
        """Begin anew with nothing in memory."""
        self.controller = SyncController(replace(self.tools, guard=ReadGuard(lambda: self.now.timestamp())))

    async def object(self, name="db"):
        return await self.kube.get(EXTERNALSECRETS, name, "app")

    @staticmethod
    def target_of(obj):
        return (obj["spec"].get("target") or {}).get("name") or obj["metadata"]["name"]

    def read_succeeded(self, key):
        self.heard.append("read")

    def read_failed(self, key, code, message):
        self.heard.append(code)

    def forget(self, key):
        self.heard.append("forgotten")

    async def sync(self, obj=None, name="db"):
        if obj is not None:
            self.kube.put(EXTERNALSECRETS, obj)
            name = obj["metadata"]["name"]
        return await self.controller.reconcile(Name("app", name))

    async def fails(self, obj=None, name="db"):
        with pytest.raises(NotSynced):
            await self.sync(obj, name)
        return await self.ready(name)

    async def status(self, name="db"):
        return (await self.kube.get(EXTERNALSECRETS, name, "app"))["status"]

    async def ready(self, name="db"):
        condition = (await self.status(name))["conditions"][0]
        return condition["status"], condition["reason"], condition["message"]

    async def secret(self, name="db"):
        return await self.kube.get(SECRETS, name, "app")

    async def data(self, name="db"):
        secret = await self.secret(name)
        return {key: base64.b64decode(value).decode() for key, value in (secret.get("data") or {}).items()}

    async def change(self, patch, name="db"):
        await self.kube.patch(EXTERNALSECRETS, name, patch, "app")

    async def events(self):
        return [(event["type"], event["reason"], event["message"]) for event in (await self.kube.list(EVENTS)).items]


def db(**spec):
    return an_external_secret(data=[a_value("password", "db/password")], **spec)
