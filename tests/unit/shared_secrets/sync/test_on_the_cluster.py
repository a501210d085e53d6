"""The same loop against the local cluster's API: its own rules for managed fields, types, sizes and preconditions."""

import asyncio
import sqlite3

import orjson
import pytest

from keyless.api import crds
from keyless.kube import Kube
from keyless.kube.resources import CRDS, EXTERNALSECRETS, NAMESPACES, SECRETS
from keyless.kube.transport import Response
from keyless.local.cluster import Cluster, ClusterSettings, keyring
from keyless.local.cluster.keyring import new_pem
from keyless.shared_secrets.sync.target import ADOPT, REPLACE
from unit.local.cluster.support import Clock, ScriptedWebhooks
from unit.shared_secrets.bench import Bench
from unit.shared_secrets.fakes import a_value, an_external_secret


class ToCluster:
    def __init__(self, cluster):
        self._cluster = cluster

    async def send(self, request):
        body = orjson.loads(request.body) if request.body else None
        kind = request.headers.get("content-type", "application/json")
        params = dict(request.params)
        answer = await self._cluster.call(
            "keyless", request.method, request.path, body, content_type=kind, params=params
        )
        return Response(answer.status, {"content-type": "application/json"}, orjson.dumps(answer.body))


@pytest.fixture(scope="module")
def pem():
    return new_pem()


@pytest.fixture
async def bench(pem):
    database = sqlite3.connect(":memory:", isolation_level=None)
    for statement in keyring.FIRST_MIGRATIONS:
        database.execute(statement)
    database.execute("INSERT INTO cluster_keys VALUES (?, ?)", ("keyless", pem))
    settings = ClusterSettings(
        database=database,
        server_url="https://127.0.0.1:6443",
        admin_token="a",
        kubelet_token="k",
        node_token="n",
        ca_pem="CA",
        now=Clock(),
    )
    cluster = Cluster(settings, webhooks=ScriptedWebhooks())
    kube = Kube(ToCluster(cluster))
    await kube.create(CRDS, crds.load("externalsecrets.external-secrets.io"))
    await kube.create(NAMESPACES, {"metadata": {"name": "app"}})
    yield Bench(kube=kube, secrets={"a": "1", "b": "2", "db/password": "hunter2"})
    await cluster.aclose()
    database.close()


async def synced(bench, **spec):
    spec.setdefault("data", [a_value("a", "a"), a_value("b", "b")])
    await bench.kube.create(EXTERNALSECRETS, an_external_secret(**spec), "app")
    await bench.sync()


async def test_what_is_dropped_goes_and_what_others_wrote_stays(bench):
    await bench.kube.create(SECRETS, {"metadata": {"name": "db"}, "data": {"own": "eA=="}}, "app")
    template = {"metadata": {"labels": {"one": "1"}, "annotations": {"x": "y"}}}
    await synced(bench, target={"creationPolicy": "Merge", "template": template})
    await bench.kube.patch(SECRETS, "db", {"metadata": {"labels": {"theirs": "x"}}, "data": {"more": "eA=="}}, "app")
    template = {"metadata": {"labels": {"one": None, "two": "2"}, "annotations": {"x": None}}}
    await bench.change({"spec": {"data": [a_value("b", "b")], "target": {"template": template}}})
    await bench.sync()
    assert await bench.data() == {"own": "x", "more": "x", "b": "2"}
    metadata = (await bench.secret())["metadata"]
    assert (metadata["labels"].get("one"), metadata["labels"]["two"], metadata["labels"]["theirs"]) == (None, "2", "x")
    assert "x" not in metadata["annotations"]


async def test_what_an_earlier_release_applied_is_taken_over_whole(bench):
    """Server-side apply left its entry in managedFields; a key of it that is dropped goes, as one of ours."""
    await bench.kube.create(SECRETS, {"metadata": {"name": "db"}, "data": {"own": "eA=="}}, "app")
    applied = {"metadata": {"name": "db", "labels": {"old": "x"}}, "data": {"a": "MQ==", "b": "MQ=="}}
    await bench.kube.apply(SECRETS, applied, "app", field_manager="externalsecrets.external-secrets.io/db")
    await synced(bench, data=[a_value("b", "b")], target={"creationPolicy": "Merge"})
    assert await bench.data() == {"own": "x", "b": "2"}
    assert "old" not in (await bench.secret())["metadata"]["labels"]


async def test_another_type_is_refused_whole_and_made_anew_when_asked_to(bench):
    await synced(bench)
    before = await bench.secret()
    docker = {"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": "{}"}}
    await bench.change({"spec": {"target": {"template": docker}}})
    assert "is immutable" in (await bench.fails())[2]
    assert await bench.secret() == before
    await bench.change({"metadata": {"annotations": {REPLACE: "true"}}})
    await bench.sync()
    assert (await bench.secret())["type"] == "kubernetes.io/dockerconfigjson"
    assert [item["metadata"]["name"] for item in (await bench.kube.list(SECRETS, "app")).items] == ["db"]


async def test_an_unowned_secret_waits_for_its_word(bench):
    await bench.kube.create(SECRETS, {"metadata": {"name": "db"}, "data": {"own": "eA=="}}, "app")
    await bench.kube.create(EXTERNALSECRETS, an_external_secret(data=[a_value("a", "a")]), "app")
    assert "nobody owns it" in (await bench.fails())[2]
    await bench.kube.patch(SECRETS, "db", {"metadata": {"annotations": {ADOPT: "true"}}}, "app")
    await bench.sync()
    assert await bench.data() == {"a": "1"}
    assert (await bench.secret())["metadata"]["ownerReferences"][0]["name"] == "db"


async def test_what_changes_nothing_makes_no_version(bench):
    await synced(bench)
    before = await bench.secret()
    for interval in ("5m", "6m"):
        await bench.change({"spec": {"refreshInterval": interval}})
        await bench.sync()
    assert await bench.secret() == before
    assert [event[1] for event in await bench.events()] == ["Created"]


async def test_two_that_write_one_secret_at_once_lose_nothing(bench):
    await bench.kube.create(SECRETS, {"metadata": {"name": "t"}, "data": {}}, "app")
    target = {"name": "t", "creationPolicy": "Merge"}
    for name in ("a", "b"):
        found = an_external_secret(name, data=[a_value(name, name)], target=target)
        await bench.kube.create(EXTERNALSECRETS, found, "app")
    await asyncio.gather(bench.sync(name="a"), bench.sync(name="b"))
    assert await bench.data("t") == {"a": "1", "b": "2"}
