import asyncio
import base64
import json
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from keyless.kube import Backoff, condition_of
from keyless.kube.resources import (
    CLUSTEREXTERNALSECRETS,
    CLUSTERSECRETSTORES,
    CONTROLPLANES,
    EVENTS,
    EXTERNALSECRETS,
    NAMESPACES,
    SECRETS,
    SECRETSTORES,
    SHAREDEXTERNALSECRETS,
    SHAREDSECRETSTORES,
)
from keyless.shared_secrets import service as service_module
from keyless.shared_secrets.projection.identity import Given
from keyless.shared_secrets.service import Service
from unit.shared_secrets.fakes import (
    ARN,
    PLANTED,
    SETTINGS,
    FakeAws,
    a_space,
    a_store,
    a_value,
    an_external_secret,
    aws_provider,
)

ASSOCIATED = Given(associated=True)
SELECTED = {"controlPlaneSelector": {"names": ["ctp1"]}, "namespaceSelector": {"names": ["app"]}}


async def until(kube, res, holds, seconds=30):
    """Wait until an object of that kind is as wanted; nothing is polled."""
    async with asyncio.timeout(seconds):
        async for event in kube.watch(res, initial_events=True):
            if event.type != "BOOKMARK" and holds(event.object):
                return event.object
    raise AssertionError


async def until_gone(kube, res, name, seconds=5):
    async with asyncio.timeout(seconds):
        async for event in kube.watch(res, initial_events=True):
            gone = event.type == "DELETED" and event.object["metadata"]["name"] == name
            if gone or (event.type == "BOOKMARK" and name not in await names(kube, res)):
                return


async def names(kube, res):
    return [item["metadata"]["name"] for item in (await kube.list(res)).items]


def says(type_, status, reason=None):
    def holds(obj):
        found = condition_of((obj.get("status") or {}).get("conditions"), type_)
        return bool(found) and found["status"] == status and reason in (None, found["reason"])

    return holds


@asynccontextmanager
async def running(aws, host, tenant, settings=SETTINGS, given=ASSOCIATED):
    service = Service(settings, host, tenant, aws, given)
    task = asyncio.create_task(service.run())
    try:
        yield service
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            raise task.exception()


def a_shared_store(**more):
    return {
        "metadata": {"name": "aws", "namespace": "default"},
        "spec": {"provider": aws_provider(), **SELECTED, **more},
    }


def a_shared_secret():
    store = {"name": "aws", "kind": "ClusterSecretStore"}
    spec = {"secretStoreRef": store, "data": [a_value("password", "db")]}
    metadata = {"name": "db", "namespace": "default"}
    return {"metadata": metadata, "spec": {**SELECTED, "externalSecretSpec": spec}}


async def test_a_shared_secret_arrives_in_the_selected_namespace_and_both_sides_say_so():
    host, tenant = a_space()
    host.put(SHAREDSECRETSTORES, a_shared_store())
    host.put(SHAREDEXTERNALSECRETS, a_shared_secret())
    async with running(FakeAws(secrets={"db": "hunter2"}), host, tenant):
        secret = await until(tenant, SECRETS, lambda s: s["metadata"]["name"] == "db")
        assert base64.b64decode(secret["data"]["password"]) == b"hunter2"
        assert secret["metadata"]["namespace"] == "app"
        store = await until(tenant, CLUSTERSECRETSTORES, says("Ready", "True", "Valid"))
        assert store["spec"]["provider"] == {"upboundspaces": {"storeRef": {"name": "aws"}}}
        for res in (SHAREDSECRETSTORES, SHAREDEXTERNALSECRETS):
            row = await until(host, res, lambda o: (o.get("status") or {}).get("provisioned"))
            assert row["status"]["provisioned"] == [{"controlPlane": "ctp1"}]
        told = await until(host, CONTROLPLANES, says("SharedSecretsRead", "True", "SecretsRead"))
        assert ARN in told["status"]["conditions"][0]["message"]
        spread = await until(tenant, CLUSTEREXTERNALSECRETS, says("Ready", "True"))
        assert spread["status"]["provisionedNamespaces"] == ["app"]
        await until(host, SHAREDSECRETSTORES, lambda o: o["metadata"].get("annotations"))


async def test_what_is_no_longer_shared_is_taken_away():
    host, tenant = a_space()
    host.put(SHAREDSECRETSTORES, a_shared_store())
    host.put(SHAREDEXTERNALSECRETS, a_shared_secret())
    async with running(FakeAws(secrets={"db": "x"}), host, tenant):
        await until(tenant, SECRETS, lambda s: s["metadata"]["name"] == "db")
        await host.delete(SHAREDEXTERNALSECRETS, "db", "default")
        await until_gone(tenant, CLUSTEREXTERNALSECRETS, "db")
        await host.patch(SHAREDSECRETSTORES, "aws", {"spec": {"controlPlaneSelector": {"names": ["ctp2"]}}}, "default")
        await until_gone(tenant, CLUSTERSECRETSTORES, "aws")
        await until(host, SHAREDSECRETSTORES, lambda o: not (o.get("status") or {}).get("provisioned"))


async def test_a_projection_that_was_edited_is_put_back():
    host, tenant = a_space()
    host.put(SHAREDSECRETSTORES, a_shared_store())
    async with running(FakeAws(), host, tenant):
        await until(tenant, CLUSTERSECRETSTORES, lambda o: o["spec"].get("conditions"))
        await tenant.patch(CLUSTERSECRETSTORES, "aws", {"spec": {"conditions": []}})
        await until(tenant, CLUSTERSECRETSTORES, lambda o: o["spec"].get("conditions"))


async def test_a_name_that_is_taken_in_the_control_plane_is_a_failed_row():
    host, tenant = a_space()
    own = {"metadata": {"name": "aws"}, "spec": {"provider": aws_provider()}}
    tenant.put(CLUSTERSECRETSTORES, own)
    host.put(SHAREDSECRETSTORES, a_shared_store())
    async with running(FakeAws(), host, tenant):
        failed = await until(host, SHAREDSECRETSTORES, lambda o: (o.get("status") or {}).get("failed"))
        assert "belongs to someone else" in failed["status"]["failed"][0]["conditions"][0]["message"]
        assert (await tenant.get(CLUSTERSECRETSTORES, "aws"))["spec"] == own["spec"]


async def test_a_namespace_that_comes_later_is_served_too():
    host, tenant = a_space()
    secret = {**a_shared_secret()}
    secret["spec"] = {**secret["spec"], "namespaceSelector": {"labelSelectors": [{"matchLabels": {"team": "green"}}]}}
    store = a_shared_store(namespaceSelector={"labelSelectors": [{}]})
    host.put(SHAREDSECRETSTORES, store)
    host.put(SHAREDEXTERNALSECRETS, secret)
    async with running(FakeAws(secrets={"db": "x"}), host, tenant):
        await until(tenant, CLUSTEREXTERNALSECRETS, says("Ready", "True"))
        await tenant.create(NAMESPACES, {"metadata": {"name": "late", "labels": {"team": "green"}}})
        arrived = await until(tenant, SECRETS, lambda s: s["metadata"]["name"] == "db")
        assert arrived["metadata"]["namespace"] == "late"


async def test_before_any_read_the_condition_tells_of_the_identity_and_then_of_aws():
    host, tenant = a_space()
    aws = FakeAws(secrets={"db": PLANTED})
    async with running(aws, host, tenant, replace(SETTINGS, pod_name="external-secrets-1")):
        told = await until(host, CONTROLPLANES, says("SharedSecretsRead", "Unknown", "IdentityProven"))
        assert ARN in told["status"]["conditions"][0]["message"]
        assert told["status"]["conditions"][0]["pod"] == "external-secrets-1"
        aws.refuse["GetSecretValue"] = "AccessDeniedException"
        await tenant.create(SECRETSTORES, a_store(), "app")
        await tenant.create(EXTERNALSECRETS, an_external_secret(data=[a_value("k", "db")]), "app")
        await until(host, CONTROLPLANES, says("SharedSecretsRead", "False", "AccessDeniedException"))
        await tenant.create(EXTERNALSECRETS, an_external_secret("gone", data=[a_value("k", "x")]), "app")
        await until(host, CONTROLPLANES, lambda o: "2 ExternalSecrets fail" in o["status"]["conditions"][0]["message"])
        await tenant.delete(EXTERNALSECRETS, "gone", "app")
        aws.refuse.clear()
        await tenant.patch(EXTERNALSECRETS, "db", {"metadata": {"annotations": {"force-sync": "1"}}}, "app")
        await until(host, CONTROLPLANES, says("SharedSecretsRead", "True", "SecretsRead"))
        everything = [
            item
            for kube in (host, tenant)
            for res in (EXTERNALSECRETS, EVENTS, CONTROLPLANES, SECRETSTORES)
            for item in (await kube.list(res)).items
        ]
        assert PLANTED not in json.dumps(everything)


async def test_without_an_identity_the_condition_carries_aws_code():
    host, tenant = a_space()
    aws = FakeAws()
    aws.refuse["GetCallerIdentity"] = "AccessDenied"
    async with running(aws, host, tenant):
        await until(host, CONTROLPLANES, says("SharedSecretsRead", "False", "AccessDenied"))


async def test_a_store_without_credentials_says_why_and_one_with_them_is_valid():
    host, tenant = a_space()
    aws = FakeAws()
    aws.refuse["AssumeRoleWithWebIdentity"] = "AccessDenied"
    tenant.put(SECRETSTORES, a_store())
    async with running(aws, host, tenant):
        store = await until(tenant, SECRETSTORES, says("Ready", "False", "InvalidProviderConfig"))
        assert store["status"]["conditions"][0]["message"].startswith("unable to validate store: AssumeRole")
        aws.refuse.clear()
        await until(tenant, SECRETSTORES, says("Ready", "True", "Valid"))
        assert (await tenant.get(SECRETSTORES, "aws", "app"))["status"]["capabilities"] == "ReadWrite"


@pytest.mark.parametrize("change", ["delete", "tamper"])
async def test_a_changed_target_is_restored_at_once(change):
    host, tenant = a_space()
    tenant.put(SECRETSTORES, a_store())
    tenant.put(EXTERNALSECRETS, an_external_secret(data=[a_value("k", "db")]))
    async with running(FakeAws(secrets={"db": "right"}), host, tenant):
        before = await until(tenant, SECRETS, lambda s: s["metadata"]["name"] == "db")
        await until(tenant, EXTERNALSECRETS, says("Ready", "True"))
        if change == "delete":
            await tenant.delete(SECRETS, "db", "app")
            await until(tenant, SECRETS, lambda s: s["metadata"]["uid"] != before["metadata"]["uid"])
        else:
            await tenant.patch(SECRETS, "db", {"data": {"k": "d3Jvbmc="}}, "app")
            await until(tenant, SECRETS, lambda s: base64.b64decode(s["data"]["k"]) == b"right")


@pytest.mark.parametrize(
    ("arn", "given", "reason"),
    [
        ("arn:aws:sts::111122223333:assumed-role/node/i-0123456789abcdef0", Given(), "IdentityOfNode"),
        (ARN, Given(role_arn="arn:aws:iam::111122223333:role/other"), "IdentityOfAnotherRole"),
        (ARN, Given(), "IdentityOfAnotherRole"),
    ],
)
async def test_what_was_read_as_somebody_else_is_not_the_spaces_success(arn, given, reason):
    host, tenant = a_space()
    tenant.put(SECRETSTORES, a_store())
    tenant.put(EXTERNALSECRETS, an_external_secret(data=[a_value("k", "db")]))
    aws = FakeAws(secrets={"db": "x"})
    aws.GetCallerIdentity = lambda: {"Account": "111122223333", "Arn": arn, "UserId": "x"}
    async with running(aws, host, tenant, given=given):
        await until(tenant, EXTERNALSECRETS, says("Ready", "True"))
        told = await until(host, CONTROLPLANES, says("SharedSecretsRead", "False", reason))
        assert arn in told["status"]["conditions"][0]["message"]


@pytest.mark.parametrize("change", ["delete", "tamper", "unlabel", "disown"])
@pytest.mark.parametrize("creation", ["Owner", "Merge", "CreateOrMerge"])
async def test_a_target_is_repaired_at_once_whatever_was_done_to_it(creation, change):
    """Merge targets carry no owner, and an owner or a label can be lost: they are known by name."""
    if (creation, change) == ("Merge", "delete"):
        return  # Merge never creates
    host, tenant = a_space()
    tenant.put(SECRETSTORES, a_store())
    if creation == "Merge":
        tenant.put(SECRETS, {"metadata": {"name": "t", "namespace": "app"}, "data": {"own": "eA=="}})
    target = {"name": "t", "creationPolicy": creation}
    tenant.put(EXTERNALSECRETS, an_external_secret(data=[a_value("k", "db")], target=target))
    async with running(FakeAws(secrets={"db": "right"}), host, tenant):
        await until(tenant, EXTERNALSECRETS, says("Ready", "True"))
        before = await tenant.get(SECRETS, "t", "app")
        if change == "delete":
            await tenant.delete(SECRETS, "t", "app")
        elif change == "tamper":
            await tenant.patch(SECRETS, "t", {"data": {"k": "d3Jvbmc="}}, "app")
        elif change == "unlabel":
            await tenant.patch(SECRETS, "t", {"metadata": {"labels": None}}, "app")
        else:
            await tenant.patch(SECRETS, "t", {"metadata": {"ownerReferences": None}}, "app")
        after = await until(tenant, SECRETS, lambda s: s["metadata"]["name"] == "t" and same(s, before))
        assert base64.b64decode(after["data"]["k"]) == b"right"


def same(one, other):
    return (
        all(one["metadata"].get(k) == other["metadata"].get(k) for k in ("labels", "ownerReferences"))
        and one["data"] == other["data"]
    )


async def test_of_two_controllers_one_works_and_the_other_follows_it():
    host, tenant = a_space()
    tenant.put(SECRETSTORES, a_store())
    tenant.put(EXTERNALSECRETS, an_external_secret(data=[a_value("k", "db")]))
    first, second = FakeAws(secrets={"db": "x"}), FakeAws(secrets={"db": "x"})
    async with running(first, host, tenant):
        await until(tenant, EXTERNALSECRETS, says("Ready", "True"))
        waiting = Service(SETTINGS, host, tenant, second, ASSOCIATED)
        task = asyncio.create_task(waiting.run())
        try:
            for informer in waiting.watching.all:
                await informer.synced()
            assert waiting._not_ready() == ""
            await tenant.patch(EXTERNALSECRETS, "db", {"spec": {"data": [a_value("new", "db")]}}, "app")
            await until(tenant, SECRETS, lambda s: "new" in s["data"])
            assert [call for call in second.calls if call[0] == "GetSecretValue"] == []
        finally:
            task.cancel()
            await asyncio.wait([task])
    async with running(second, host, tenant):
        await tenant.patch(EXTERNALSECRETS, "db", {"spec": {"data": [a_value("newer", "db")]}}, "app")
        await until(tenant, SECRETS, lambda s: "newer" in s["data"])


async def test_what_belongs_to_another_controllers_stores_is_left_alone():
    """External Secrets beside us: its stores name its class; neither status, nor Secret, nor event is ours."""
    host, tenant = a_space()
    theirs = a_store("theirs")
    theirs["spec"]["controller"] = "eso"
    tenant.put(SECRETSTORES, theirs)
    tenant.put(CLUSTERSECRETSTORES, {"metadata": {"name": "wide"}, "spec": theirs["spec"]})
    own = a_store("ours")
    own["spec"]["controller"] = "keyless"
    tenant.put(SECRETSTORES, own)
    wide = {"name": "wide", "kind": "ClusterSecretStore"}
    mixed = {**a_value("k", "db"), "sourceRef": {"storeRef": {"name": "theirs"}}}
    for name, spec in (
        ("one", {"secretStoreRef": {"name": "theirs"}, "data": [a_value("k", "db")]}),
        ("two", {"secretStoreRef": wide, "dataFrom": [{"extract": {"key": "db"}}]}),
        ("mixed", {"secretStoreRef": {"name": "ours"}, "data": [a_value("j", "db"), mixed]}),
        ("broken", {"secretStoreRef": {"name": "theirs"}, "refreshInterval": "soon", "data": [a_value("k", "db")]}),
    ):
        tenant.put(EXTERNALSECRETS, an_external_secret(name, **spec))
    labels = {"reconcile.external-secrets.io/managed": "true"}
    secret = {"metadata": {"name": "one", "namespace": "app", "labels": labels}, "data": {"k": "eA=="}}
    tenant.put(SECRETS, secret)
    spread = {"secretStoreRef": wide, "data": [a_value("k", "db")]}
    tenant.put(
        CLUSTEREXTERNALSECRETS,
        {"metadata": {"name": "spread"}, "spec": {"namespaces": ["other"], "externalSecretSpec": spread}},
    )
    local = {"secretStoreRef": {"name": "theirs"}, "data": [a_value("k", "db")]}
    cluster = tenant.put(
        CLUSTEREXTERNALSECRETS,
        {"metadata": {"name": "local"}, "spec": {"namespaces": ["app"], "externalSecretSpec": local}},
    )
    spread_by_eso = an_external_secret("local", **local)
    owner = {"kind": "ClusterExternalSecret", "name": "local", "uid": cluster["metadata"]["uid"], "controller": True}
    spread_by_eso["metadata"]["ownerReferences"] = [owner]
    tenant.put(EXTERNALSECRETS, spread_by_eso)
    aws = FakeAws(secrets={"db": '{"a": "b"}'})
    untouched = tenant.stored(EXTERNALSECRETS) + tenant.stored(SECRETS) + tenant.stored(CLUSTERSECRETSTORES)
    async with running(aws, host, tenant):
        await tenant.patch(SECRETS, "one", {"data": {"k": "eQ=="}}, "app")
        await tenant.create(
            EXTERNALSECRETS,
            an_external_secret("ours", secretStoreRef={"name": "ours"}, data=[a_value("k", "db")]),
            "app",
        )
        await until(tenant, EXTERNALSECRETS, says("Ready", "True"))
        await until(tenant, SECRETSTORES, says("Ready", "True"))
    assert [params["SecretId"] for call, params in aws.calls if call == "GetSecretValue"] == ["db"]
    found = tenant.stored(EXTERNALSECRETS) + tenant.stored(SECRETS) + tenant.stored(CLUSTERSECRETSTORES)
    kept = [item for item in found if item["metadata"]["name"] not in {"ours"}]
    assert [item.get("status") for item in kept] == [None] * len(untouched)
    assert (await tenant.get(SECRETS, "one", "app"))["data"] == {"k": "eQ=="}
    for name in ("spread", "local"):
        assert "status" not in await tenant.get(CLUSTEREXTERNALSECRETS, name)


async def test_an_api_server_that_restarts_and_forgets_its_history_is_followed_again():
    host, tenant = a_space()
    tenant.put(SECRETSTORES, a_store())
    tenant.put(EXTERNALSECRETS, an_external_secret(data=[a_value("k", "db")]))
    async with running(FakeAws(secrets={"db": "x"}), host, tenant) as service:
        seen = asyncio.Event()
        service.watching.secrets.on_change(lambda event: seen.set())
        await until(tenant, EXTERNALSECRETS, says("Ready", "True"))
        await seen.wait()
        # While nobody watches: the target is changed, another object comes, and 410 answers the old version.
        for kube in (tenant, host):
            kube.drop_watches()
        await tenant.delete(SECRETS, "db", "app")
        tenant.put(EXTERNALSECRETS, an_external_secret("late", data=[a_value("k", "db")]))
        for kube in (tenant, host):
            kube.expire_history()
        for name in ("db", "late"):
            await until(tenant, SECRETS, lambda s, name=name: s["metadata"]["name"] == name)


NO_PROVIDER = {"AssumeRoleWithWebIdentity": "InvalidIdentityToken", "GetSecretValue": "InvalidIdentityToken"}


@pytest.fixture
def waits_are_long(monkeypatch):
    monkeypatch.setattr(service_module, "BACKOFF", Backoff(first_seconds=300.0, cap_seconds=300.0))


@pytest.mark.usefixtures("waits_are_long")
async def test_an_identity_that_is_mended_mends_what_waited_for_it_at_once():
    host, tenant = a_space()
    host.put(SHAREDSECRETSTORES, a_shared_store())
    host.put(SHAREDEXTERNALSECRETS, a_shared_secret())
    aws = FakeAws(secrets={"db": "x"})
    aws.refuse = {**NO_PROVIDER, "GetCallerIdentity": "InvalidIdentityToken"}
    async with running(aws, host, tenant) as service:
        for res in (CLUSTERSECRETSTORES, EXTERNALSECRETS):
            await until(tenant, res, says("Ready", "False"))
        await until(host, CONTROLPLANES, says("SharedSecretsRead", "False", "InvalidIdentityToken"))
        aws.refuse = {}
        await service.condition.tell()
        for res in (CLUSTERSECRETSTORES, EXTERNALSECRETS):
            await until(tenant, res, says("Ready", "True"))


@pytest.mark.usefixtures("waits_are_long")
async def test_a_store_that_is_mended_mends_what_waited_for_it_at_once():
    host, tenant = a_space()
    tenant.put(SECRETSTORES, a_store())
    tenant.put(EXTERNALSECRETS, an_external_secret(data=[a_value("password", "db")]))
    aws = FakeAws(secrets={"db": "x"})
    aws.refuse = dict(NO_PROVIDER)
    async with running(aws, host, tenant):
        for res in (SECRETSTORES, EXTERNALSECRETS):
            await until(tenant, res, says("Ready", "False"))
        aws.refuse = {}
        await tenant.patch(SECRETSTORES, "aws", {"metadata": {"annotations": {"look": "again"}}}, "app")
        for res in (SECRETSTORES, EXTERNALSECRETS):
            await until(tenant, res, says("Ready", "True"))
