"""From External Secrets to Keyless and back: a Secret changes its owner, and at no moment it is gone or empty."""

import base64
import contextlib
from datetime import timedelta

import pytest

from keyless.api import KeylessError
from keyless.kube import timestamp
from keyless.kube.resources import EXTERNALSECRETS, SECRETS
from keyless.shared_secrets.sync.hashes import data_hash, field_manager, owner_hash, resource_version
from unit.shared_secrets.bench import NOON, Bench
from unit.shared_secrets.fakes import a_value, an_external_secret

VALUE = {"password": base64.b64encode(b"one").decode()}


class Stopped(Exception):
    """Whoever moves was called away."""


class Watched(Bench):
    """Looks at the Secret after every request."""

    def __init__(self):
        super().__init__(secrets={"prod/db": "one"})
        self.seen = []
        self.kube.before = self.look

    def look(self, request):
        assert not (request.method == "DELETE" and request.path.endswith("/secrets/creds")), "it is never deleted"
        found = [one for one in self.kube.stored(SECRETS, "app") if one["metadata"]["name"] == "creds"]
        self.seen += [(one["metadata"]["uid"], one.get("data")) for one in found]

    async def owner(self):
        owners = (await self.secret("creds"))["metadata"].get("ownerReferences") or []
        return [owner["name"] for owner in owners]

    def assert_one_secret_and_never_empty(self):
        assert len({uid for uid, _ in self.seen}) == 1
        assert all(data == VALUE for _, data in self.seen)


def external(name, policy="Owner"):
    target = {"name": "creds", "creationPolicy": policy}
    return an_external_secret(name, data=[a_value("password", "prod/db")], target=target, refreshInterval="1h")


async def left_by_eso(bench, name="old"):
    """What External Secrets 2.9 leaves: its object with a status, and the Secret with its marks and field manager."""
    bench.kube.put(EXTERNALSECRETS, external(name))
    obj = await bench.object(name)
    status = {
        "refreshTime": timestamp(NOON - timedelta(minutes=10)),
        "syncedResourceVersion": resource_version(obj),
        "binding": {"name": "creds"},
        "conditions": [
            {
                "type": "Ready",
                "status": "True",
                "reason": "SecretSynced",
                "message": "secret synced",
                "lastTransitionTime": timestamp(NOON - timedelta(days=9)),
            }
        ],
    }
    await bench.kube.patch(EXTERNALSECRETS, name, {"status": status}, "app", subresource="status")
    owner = {"apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "name": name}
    secret = {
        "metadata": {
            "name": "creds",
            "namespace": "app",
            "labels": {
                "reconcile.external-secrets.io/managed": "true",
                "reconcile.external-secrets.io/created-by": owner_hash("app", name),
            },
            "annotations": {"reconcile.external-secrets.io/data-hash": data_hash({"password": b"one"})},
            "ownerReferences": [
                {**owner, "uid": obj["metadata"]["uid"], "controller": True, "blockOwnerDeletion": True}
            ],
        },
        "type": "Opaque",
        "data": VALUE,
    }
    await bench.kube.create(SECRETS, secret, field_manager=field_manager(name))


async def test_what_external_secrets_left_is_taken_over_without_a_call_or_a_write():
    bench = Watched()
    await left_by_eso(bench)
    before = await bench.secret("creds")
    assert 50 * 60 <= await bench.sync(name="old") <= 51 * 60
    assert bench.aws.calls == []
    assert await bench.secret("creds") == before
    bench.now += timedelta(hours=1)
    await bench.sync(name="old")
    assert await bench.owner() == ["old"]
    bench.assert_one_secret_and_never_empty()


async def handed_over(bench, old, new):
    """The page's steps: free it, adopt it, then let go of the old object."""
    await bench.change({"spec": {"target": {"creationPolicy": "Orphan"}}}, old)
    await bench.sync(name=old)
    assert await bench.owner() == []
    await bench.kube.delete(EXTERNALSECRETS, old, "app")
    await bench.sync(name=old)
    await bench.kube.patch(SECRETS, "creds", {"metadata": {"annotations": {"keyless.dev/adopt": "true"}}}, "app")
    await bench.sync(external(new))
    assert await bench.owner() == [new]


async def test_an_object_of_one_s_own_becomes_a_shared_one_and_back():
    bench = Watched()
    await left_by_eso(bench)
    await handed_over(bench, "old", "new")
    assert await bench.data("creds") == {"password": "one"}
    await handed_over(bench, "new", "old")
    bench.assert_one_secret_and_never_empty()


@pytest.mark.parametrize("stop", range(1, 12))
async def test_a_move_that_stops_anywhere_loses_nothing(stop):
    bench = Watched()
    await left_by_eso(bench)
    steps = []

    def look(request):
        bench.look(request)
        if request.method in {"POST", "PUT", "PATCH", "DELETE"}:
            steps.append(request)
            if len(steps) == stop:
                raise Stopped

    bench.kube.before = look
    with contextlib.suppress(Stopped, KeylessError):
        await handed_over(bench, "old", "new")
    bench.kube.before = bench.look
    assert (await bench.secret("creds"))["data"] == VALUE
    bench.assert_one_secret_and_never_empty()


async def test_while_both_run_each_serves_the_stores_of_its_class():
    bench = Watched()
    await left_by_eso(bench)
    store = bench.facts.stores[("app", "aws")]
    bench.facts.stores[("app", "aws")] = {**store, "spec": {**store["spec"], "controller": "eso"}}
    bench.now += timedelta(hours=2)
    before = await bench.object("old")
    assert await bench.sync(name="old") is None
    assert (await bench.object("old"), bench.aws.calls) == (before, [])
    bench.facts.stores[("app", "aws")] = {**store, "spec": {**store["spec"], "controller": "keyless"}}
    await bench.sync(name="old")
    assert (await bench.ready("old"))[0] == "True"
    bench.assert_one_secret_and_never_empty()
