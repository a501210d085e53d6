"""What a tenant may try in its own control plane to read with the Space's credentials, and what comes of it."""

import asyncio
import json
from dataclasses import replace

import pytest

from keyless.kube.resources import (
    CLUSTERSECRETSTORES,
    CONTROLPLANES,
    EVENTS,
    EXTERNALSECRETS,
    SECRETS,
    SECRETSTORES,
    SERVICEACCOUNTS,
    SHAREDSECRETSTORES,
)
from keyless.shared_secrets.projection.plan import SOURCE_LABEL
from keyless.shared_secrets.stores.guard import ReadGuard
from keyless.shared_secrets.stores.model import RemoteRef, StoreFault
from keyless.shared_secrets.stores.resolution import STRICT, StorePolicy, StoreRef, Stores
from keyless.shared_secrets.stores.scopes import read_scopes, to_text
from keyless.shared_secrets.stores.scoping import OutOfScope
from keyless.shared_secrets.stores.sessions import Place, Sessions
from unit.shared_secrets.fakes import (
    PLANTED,
    SETTINGS,
    FakeAws,
    a_space,
    a_store,
    a_value,
    an_external_secret,
    aws_provider,
)
from unit.shared_secrets.test_service import SELECTED, running, says, until

ROLE = "arn:aws:iam::111122223333:role/secrets"
OWN = ("mxp-1-system", "external-secrets-controller")
SHARED = {"upboundspaces": {"storeRef": {"name": "aws"}}}
NEIGHBOUR = "team-b/db"
TEAM_A = {"namespace": "app", "prefixes": ["team-a"]}
STRICT_SETTINGS = replace(SETTINGS, tenant_stores_may_use_controller_identity=False)


def scoped(*scopes, lends=False):
    return StorePolicy(lends, read_scopes(list(scopes)))


class Space:
    """A control plane with one store called ``aws``, of either kind, and the group's shared store of that name."""

    def __init__(self, provider, kind="SecretStore", policy=STRICT, metadata=None, shared=None):
        self.host, self.tenant = a_space()
        self.aws = FakeAws(secrets={"team-a/db": "mine", NEIGHBOUR: PLANTED}, parameters={"team-a/db": "p"})
        self.store_object = {
            "kind": kind,
            "metadata": {"name": "aws", **({"namespace": "app"} if kind == "SecretStore" else {}), **(metadata or {})},
            "spec": {"provider": provider},
        }
        self.shared = shared or {"metadata": {"name": "aws"}, "spec": {"provider": aws_provider(), **SELECTED}}
        self.ref = StoreRef("aws", kind)
        self.stores = Stores(
            self,
            Sessions(self.aws, OWN),
            tenant=Place("tenant", self.tenant),
            host=Place("host", self.host),
            group="default",
            host_namespace="mxp-1-system",
            policy=policy,
        )

    def store(self, ref, namespace):
        return self.store_object

    def shared_store(self, name):
        return self.shared if name == self.shared["metadata"]["name"] else None

    def control_plane(self):
        return {"metadata": {"name": "ctp1"}}

    def namespace_labels(self, name):
        return {"kubernetes.io/metadata.name": name}

    async def open(self, namespace="app"):
        return await self.stores.open(self.ref, namespace)


BORROWED = [
    {},
    {"auth": None},
    {"auth": {}},
    {"auth": {"jwt": {}}},
    {"auth": {"jwt": {"serviceAccountRef": {}}}},
    {"auth": {"secretRef": {}}},
    {"role": ROLE},
    {"additionalRoles": [ROLE]},
    {"role": ROLE, "externalID": "x", "sessionTags": [{"key": "a", "value": "b"}]},
]


@pytest.mark.parametrize("kind", ["SecretStore", "ClusterSecretStore"])
@pytest.mark.parametrize("more", BORROWED)
async def test_a_tenants_store_without_auth_gets_no_identity_and_no_role_of_ours(kind, more):
    space = Space(aws_provider(**more), kind)
    for attempt in (space.open(), space.stores.check(space.store_object)):
        with pytest.raises(StoreFault, match=r"auth is missing.*auth\.jwt or auth\.secretRef") as caught:
            await attempt
        assert caught.value.reason == "InvalidProviderConfig"
    assert space.aws.calls == []


@pytest.mark.parametrize("more", BORROWED[:6])
async def test_a_value_of_the_platforms_restores_external_secrets_way(more):
    space = Space(aws_provider(**more), policy=StorePolicy(tenant_stores_may_use_controller_identity=True))
    assert (await (await space.open()).read(RemoteRef("team-a/db"))).text == "mine"


async def test_a_store_that_claims_to_be_projected_is_a_tenants_all_the_same():
    claimed = {"labels": {SOURCE_LABEL: "aws"}, "managedFields": [{"manager": "external-secrets-projection"}]}
    space = Space(aws_provider(), "ClusterSecretStore", metadata=claimed)
    with pytest.raises(StoreFault, match="auth is missing"):
        await space.open()


async def test_a_namespaced_store_cannot_refer_to_a_shared_one():
    space = Space(SHARED, "SecretStore")
    for attempt in (space.open(), space.stores.check(space.store_object)):
        with pytest.raises(StoreFault, match="only a ClusterSecretStore"):
            await attempt


@pytest.mark.parametrize(
    ("selected", "text"),
    [
        ({"controlPlaneSelector": {"names": ["ctp2"]}}, "does not select control plane"),
        ({"namespaceSelector": {"names": ["other"]}}, "does not select namespace"),
        ({"controlPlaneSelector": {}}, "does not select control plane"),
    ],
)
async def test_a_tenants_own_reference_to_a_shared_store_is_bounded_by_that_stores_selectors(selected, text):
    shared = {"metadata": {"name": "aws"}, "spec": {"provider": aws_provider(), **SELECTED, **selected}}
    space = Space(SHARED, "ClusterSecretStore", shared=shared)
    with pytest.raises(StoreFault, match=text):
        await space.open()
    assert space.aws.calls == []


@pytest.mark.parametrize("annotations", [{}, {"eks.amazonaws.com/role-arn": ROLE}])
async def test_a_namesake_of_the_controllers_service_account_lends_the_tenants_own_token_alone(annotations):
    ref = {"jwt": {"serviceAccountRef": {"name": OWN[1], "namespace": OWN[0]}}}
    space = Space(aws_provider(auth=ref), "ClusterSecretStore")
    space.tenant.put(SERVICEACCOUNTS, {"metadata": {"name": OWN[1], "namespace": OWN[0], "annotations": annotations}})
    space.host.put(SERVICEACCOUNTS, {"metadata": {"name": OWN[1], "namespace": OWN[0]}})
    if not annotations:
        with pytest.raises(StoreFault, match="has no annotation"):
            await space.open()
        return
    reader = await space.open()
    assert not reader.by_controller
    projected = await Space(SHARED, "ClusterSecretStore").open()
    assert reader.identity != projected.identity


@pytest.mark.parametrize(
    "auth",
    [
        {"jwt": {"serviceAccountRef": {"name": "sa", "namespace": "other"}}},
        {
            "secretRef": {
                "accessKeyIDSecretRef": {"name": "k", "key": "id"},
                "secretAccessKeySecretRef": {"name": "k", "key": "secret", "namespace": "other"},
            }
        },
    ],
)
async def test_a_namespaced_store_takes_nothing_from_another_namespace(auth):
    space = Space(aws_provider(auth=auth))
    with pytest.raises(StoreFault, match="its own namespace app, found other"):
        await space.open()


async def test_a_store_is_used_from_its_own_namespace_alone():
    host, tenant = a_space()
    tenant.put(SECRETSTORES, a_store())
    tenant.put(EXTERNALSECRETS, an_external_secret(namespace="other", data=[a_value("k", "db")]))
    async with running(FakeAws(secrets={"db": PLANTED}), host, tenant):
        said = await until(tenant, EXTERNALSECRETS, says("Ready", "False"))
        assert "SecretStore 'aws' does not exist" in said["status"]["conditions"][0]["message"]


@pytest.mark.parametrize("missing", ["", "  \n"])
async def test_half_a_key_is_no_reason_to_look_for_the_rest_in_our_environment(missing, monkeypatch):
    import base64

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOURS")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", PLANTED)
    refs = {"accessKeyIDSecretRef": "id", "secretAccessKeySecretRef": "secret"}
    auth = {"secretRef": {field: {"name": "keys", "key": key} for field, key in refs.items()}}
    space = Space(aws_provider(auth=auth))
    data = {"id": base64.b64encode(b"AKIATENANT").decode(), "secret": base64.b64encode(missing.encode()).decode()}
    space.tenant.put(SECRETS, {"metadata": {"name": "keys", "namespace": "app"}, "data": data})
    with pytest.raises(StoreFault, match="the value is empty"):
        await space.open()


ELSEWHERE = [
    RemoteRef(NEIGHBOUR),
    RemoteRef(f"/{NEIGHBOUR}"),
    RemoteRef(NEIGHBOUR, metadata=True),
    RemoteRef(NEIGHBOUR, version="AWSPREVIOUS"),
    RemoteRef("team-abc"),
    RemoteRef("team-a/../team-b/db"),
    RemoteRef(f"arn:aws:secretsmanager:us-west-2:111122223333:secret:{NEIGHBOUR}-AbCdEf"),
    RemoteRef("arn:aws:secretsmanager:us-west-2:999988887777:secret:team-a/db-AbCdEf"),
    RemoteRef("arn:aws:secretsmanager:us-west-2:999988887777:secret:team-a/db", metadata=True),
]


@pytest.mark.parametrize("ref", ELSEWHERE)
@pytest.mark.parametrize("provider", [SHARED, aws_provider()])
async def test_a_neighbours_key_is_refused_before_anything_is_asked(ref, provider):
    kind = "ClusterSecretStore" if provider is SHARED else "SecretStore"
    space = Space(provider, kind, scoped(TEAM_A, {"namespace": "other", "prefixes": ["team-b"]}, lends=True))
    reader = await space.open()
    with pytest.raises(OutOfScope, match="KeyNotInScope: namespace app may not read key"):
        await reader.read(ref)
    assert {operation for operation, _ in space.aws.calls} <= {"GetCallerIdentity"}
    assert (await reader.read(RemoteRef("team-a/db"))).text == "mine"


async def test_a_namespace_that_no_scope_names_reads_nothing():
    space = Space(SHARED, "ClusterSecretStore", scoped({"namespace": "other", "prefixes": ["*"]}))
    with pytest.raises(OutOfScope, match="its prefixes are none"):
        await (await space.open()).read(RemoteRef("team-a/db"))
    assert space.aws.calls == []


async def test_a_prefix_of_the_store_is_part_of_the_key():
    shared = {"metadata": {"name": "aws"}, "spec": {"provider": aws_provider(prefix="team-b/"), **SELECTED}}
    space = Space(SHARED, "ClusterSecretStore", scoped(TEAM_A), shared=shared)
    with pytest.raises(OutOfScope, match="team-b/db"):
        await (await space.open()).read(RemoteRef("db"))
    with pytest.raises(OutOfScope, match="team-b/team-a/db"):
        await (await space.open()).read(RemoteRef("team-a/db"))


async def test_what_one_namespace_is_reading_serves_no_other():
    """The guard joins reads of one thing by one identity: a scope is part of that identity."""
    everywhere = {**SELECTED, "namespaceSelector": {"names": ["app", "other"]}}
    shared = {"metadata": {"name": "aws"}, "spec": {"provider": aws_provider(), **everywhere}}
    space = Space(
        SHARED, "ClusterSecretStore", scoped({"namespace": "other", "prefixes": ["team-b"]}, TEAM_A), shared=shared
    )
    guard = ReadGuard(lambda: 0.0)
    allowed, asks = await space.open("other"), await space.open("app")
    first = asyncio.create_task(guard.read(allowed, RemoteRef(NEIGHBOUR)))
    await asyncio.sleep(0)
    with pytest.raises(OutOfScope):
        await guard.read(asks, RemoteRef(NEIGHBOUR))
    assert (await first).text == PLANTED
    with pytest.raises(OutOfScope):
        await guard.read(asks, RemoteRef(NEIGHBOUR))
    assert (await guard.read(allowed, RemoteRef(NEIGHBOUR))).text == PLANTED


@pytest.mark.parametrize("other", [{"service": "ParameterStore"}, {"prefix": "x/"}, {"region": "eu-west-1"}])
async def test_the_same_key_of_another_store_is_another_read(other):
    lends = StorePolicy(tenant_stores_may_use_controller_identity=True)
    one = await Space(aws_provider(), policy=lends).open()
    another = await Space({"aws": {**aws_provider()["aws"], **other}}, policy=lends).open()
    assert one.identity != another.identity


async def test_a_refusal_by_scope_is_told_to_its_namespace_alone_and_deletes_nothing():
    host, tenant = a_space()
    selected = {**SELECTED, "namespaceSelector": {"names": ["app", "other"]}}
    shared = {"metadata": {"name": "aws", "namespace": "default"}, "spec": {"provider": aws_provider(), **selected}}
    host.put(SHAREDSECRETSTORES, shared)
    css = {"name": "aws", "kind": "ClusterSecretStore"}
    adoptable = {"name": "held", "namespace": "app", "annotations": {"keyless.dev/adopt": "true"}}
    tenant.put(SECRETS, {"metadata": adoptable, "data": {"k": "b2xk"}})
    wanted = an_external_secret(
        secretStoreRef=css,
        target={"name": "held", "deletionPolicy": "Delete"},
        data=[a_value("k", NEIGHBOUR)],
    )
    aws = FakeAws(secrets={NEIGHBOUR: PLANTED})
    settings = replace(STRICT_SETTINGS, scopes=to_text(read_scopes([TEAM_A, {"prefixes": ["x-common"]}])))
    async with running(aws, host, tenant, settings):
        await until(tenant, CLUSTERSECRETSTORES, says("Ready", "True"))
        await tenant.create(EXTERNALSECRETS, wanted, "app")
        said = await until(tenant, EXTERNALSECRETS, says("Ready", "False"))
        message = said["status"]["conditions"][0]["message"]
        assert "KeyNotInScope: namespace app may not read" in message
        assert (await tenant.get(SECRETS, "held", "app"))["data"] == {"k": "b2xk"}
        assert not [call for call in aws.calls if call[0] == "GetSecretValue"]
        told = await host.get(CONTROLPLANES, "ctp1", "default")
        conditions = (told.get("status") or {}).get("conditions") or []
        assert not [c for c in conditions if c["status"] == "False"]
        texts = json.dumps([item for res in (EVENTS, EXTERNALSECRETS) for item in (await tenant.list(res)).items])
        assert PLANTED not in texts


async def test_a_template_reads_from_its_own_namespace_alone():
    host, tenant = a_space()
    tenant.put(SECRETSTORES, a_store())
    tenant.put(SECRETS, {"metadata": {"name": "theirs", "namespace": "other"}, "data": {"k": "c2VjcmV0"}})
    source = {"secret": {"name": "theirs", "namespace": "other", "items": [{"key": "k"}]}}
    spec = an_external_secret(data=[a_value("k", "db")], target={"template": {"templateFrom": [source]}})
    tenant.put(EXTERNALSECRETS, spec)
    async with running(FakeAws(secrets={"db": "x"}), host, tenant):
        said = await until(tenant, EXTERNALSECRETS, says("Ready", "False"))
        assert "app/theirs does not exist" in said["status"]["conditions"][0]["message"]


async def test_a_store_of_another_class_is_left_to_its_controller():
    space = Space(SHARED, "ClusterSecretStore")
    space.store_object["spec"]["controller"] = "another"
    with pytest.raises(StoreFault, match="another controller serves it"):
        await space.open()
    space.store_object["spec"]["controller"] = "keyless"
    assert (await space.open()).by_controller
