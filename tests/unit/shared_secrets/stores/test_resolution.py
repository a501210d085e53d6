import pytest

from keyless.shared_secrets.stores.model import StoreFault
from keyless.shared_secrets.stores.plan import allows_namespace, selects
from keyless.shared_secrets.stores.resolution import StorePolicy, StoreRef, Stores
from keyless.shared_secrets.stores.sessions import Place
from unit.shared_secrets.fakes import FakeAws, FakeSessions, aws_provider

CLUSTER = StoreRef("css", "ClusterSecretStore")
LABELS = {"team": "blue"}


class Facts:
    def __init__(self, store=None, shared=None, labels=LABELS):
        self._store, self._shared, self._labels = store, shared, labels

    def store(self, ref, namespace):
        return self._store

    def shared_store(self, name):
        return self._shared

    def control_plane(self):
        return {"metadata": {"name": "ctp1", "labels": {"env": "prod"}}}

    def namespace_labels(self, name):
        return self._labels


def a_store(kind="ClusterSecretStore", conditions=None, provider=None):
    spec = {"provider": provider or aws_provider(), "conditions": conditions or []}
    metadata = {"name": "css"} if kind == "ClusterSecretStore" else {"name": "css", "namespace": "app"}
    return {"kind": kind, "metadata": metadata, "spec": spec}


def a_shared(names=("ctp1",), namespaces=("app",), **provider):
    selector = {"controlPlaneSelector": {"names": list(names)}, "namespaceSelector": {"names": list(namespaces)}}
    return {"metadata": {"name": "sss"}, "spec": {"provider": aws_provider(**provider), **selector}}


SHARED = {"upboundspaces": {"storeRef": {"name": "sss"}}}


def bench(facts):
    sessions = FakeSessions(FakeAws())
    stores = Stores(
        facts,
        sessions,
        tenant=Place("tenant", None),
        host=Place("host", None),
        group="default",
        host_namespace="mxp-1-system",
        policy=StorePolicy(tenant_stores_may_use_controller_identity=True),
    )
    return stores, sessions


@pytest.mark.parametrize(
    ("conditions", "allowed"),
    [
        ([], True),
        ([{"namespaces": ["app"]}], True),
        ([{"namespaces": ["x"]}], False),
        ([{"namespaces": ["x"]}, {"namespaceSelector": {"matchLabels": {"team": "blue"}}}], True),
        ([{"namespaceSelector": {"matchLabels": {"team": "red"}}}], False),
        ([{"namespaceSelector": {}}], True),
        ([{"namespaceRegexes": ["^a"]}], True),
        ([{"namespaceRegexes": ["^b"]}], False),
    ],
)
def test_one_condition_that_holds_lets_a_namespace_in(conditions, allowed):
    assert allows_namespace({"conditions": conditions}, "app", LABELS) is allowed


@pytest.mark.parametrize(
    ("selector", "taken"),
    [
        ({}, False),
        (None, False),
        ({"names": ["ctp1"]}, True),
        ({"names": ["ctp2"]}, False),
        ({"labelSelectors": [{"matchLabels": {"env": "dev"}}, {"matchLabels": {"env": "prod"}}]}, True),
        ({"names": ["ctp1"], "labelSelectors": [{"matchLabels": {"env": "dev"}}]}, False),
        ({"names": ["ctp1"], "labelSelectors": [{"matchLabels": {"env": "prod"}}]}, True),
        ({"labelSelectors": [{}]}, True),
    ],
)
def test_names_and_label_selectors_are_both_asked_for_when_both_are_given(selector, taken):
    assert selects(selector, "ctp1", {"env": "prod"}) is taken


async def test_a_namespace_that_the_store_leaves_out_is_refused():
    stores, sessions = bench(Facts(a_store(conditions=[{"namespaces": ["x"]}])))
    with pytest.raises(StoreFault, match="not allowed from namespace 'app'"):
        await stores.open(CLUSTER, "app")
    assert sessions.opened == []


async def test_a_secret_store_may_not_reach_into_another_namespace():
    auth = {"jwt": {"serviceAccountRef": {"name": "sa", "namespace": "other"}}}
    stores, _ = bench(Facts(a_store("SecretStore", provider=aws_provider(auth=auth))))
    with pytest.raises(StoreFault, match="its own namespace app, found other"):
        await stores.open(StoreRef("css"), "app")


async def test_a_cluster_wide_reference_without_namespace_is_the_external_secrets():
    auth = {"jwt": {"serviceAccountRef": {"name": "sa"}}}
    stores, sessions = bench(Facts(a_store(provider=aws_provider(auth=auth))))
    await stores.open(CLUSTER, "app")
    provider, place = sessions.opened[0]
    assert (provider.auth.namespace, place) == ("app", "tenant")
    assert (await stores.check(a_store(provider=aws_provider(auth=auth)))).reason == "ValidationUnknown"


async def test_a_shared_store_is_resolved_in_the_space():
    auth = {"jwt": {"serviceAccountRef": {"name": "external-secrets-controller", "namespace": "anywhere"}}}
    stores, sessions = bench(Facts(a_store(provider=SHARED), a_shared(auth=auth)))
    await stores.open(CLUSTER, "app")
    provider, place = sessions.opened[0]
    assert (provider.auth.namespace, place) == ("mxp-1-system", "host")


@pytest.mark.parametrize(
    ("shared", "text"),
    [
        (None, "does not exist in the group"),
        (a_shared(names=["ctp2"]), "does not select control plane 'ctp1'"),
        (a_shared(namespaces=["x"]), "does not select namespace 'app'"),
    ],
)
async def test_a_tenants_own_reference_to_a_shared_store_gets_no_further_than_its_selectors(shared, text):
    stores, sessions = bench(Facts(a_store(provider=SHARED), shared))
    with pytest.raises(StoreFault, match=text):
        await stores.open(CLUSTER, "app")
    assert sessions.opened == []


async def test_a_shared_stores_secrets_are_read_in_its_group():
    refs = {"accessKeyIDSecretRef": {"name": "k", "key": "id"}, "secretAccessKeySecretRef": {"name": "k", "key": "s"}}
    stores, sessions = bench(Facts(a_store(provider=SHARED), a_shared(auth={"secretRef": refs})))
    await stores.open(CLUSTER, "app")
    assert sessions.opened[0][0].auth.access_key_id.namespace == "default"


@pytest.mark.parametrize(
    ("provider", "text"),
    [
        ({"vault": {}}, "expected aws, found vault"),
        (aws_provider("Nope"), "expected SecretsManager or ParameterStore"),
        ({"aws": {"service": "SecretsManager", "region": "nowhere"}}, "expected a region"),
        (aws_provider(auth={"secretRef": {}, "jwt": {}}), None),
        (aws_provider(auth={"secretRef": {"accessKeyIDSecretRef": {"name": "k"}}}), "name and key are needed"),
    ],
)
async def test_a_provider_that_cannot_be_used_is_told_what_is_wrong(provider, text):
    stores, _ = bench(Facts(a_store(provider=provider)))
    if text is None:
        await stores.open(CLUSTER, "app")
        return
    with pytest.raises(StoreFault, match=text):
        await stores.open(CLUSTER, "app")
