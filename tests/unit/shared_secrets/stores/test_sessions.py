import asyncio
import base64
from collections import Counter

import pytest

from keyless.aws import Keys, Session
from keyless.kube.resources import SECRETS, SERVICEACCOUNTS
from keyless.shared_secrets.stores.model import StoreFault, provider_of
from keyless.shared_secrets.stores.plan import reference_namespaces
from keyless.shared_secrets.stores.sessions import Place, Sessions
from unit.aws.test_roles import FakeSts
from unit.shared_secrets.fakes import PLANTED, a_space, aws_provider

OWN = ("mxp-1-system", "external-secrets-controller")
ROLE = "arn:aws:iam::111122223333:role/secrets"


def a_provider(namespace="app", **more):
    return reference_namespaces(
        provider_of({"provider": aws_provider(**more)}), cluster_wide=False, namespace=namespace
    )


def static(secret="keys"):
    refs = {"accessKeyIDSecretRef": "id", "secretAccessKeySecretRef": "secret"}
    return {"secretRef": {field: {"name": secret, "key": key} for field, key in refs.items()}}


def an_account(kube, namespace, name, **annotations):
    return kube.put(SERVICEACCOUNTS, {"metadata": {"name": name, "namespace": namespace, "annotations": annotations}})


def put_keys(kube, access_key="AKIA1", secret=PLANTED):
    data = {"id": base64.b64encode(access_key.encode()).decode(), "secret": base64.b64encode(secret.encode()).decode()}
    kube.put(SECRETS, {"metadata": {"name": "keys", "namespace": "app"}, "data": data})


class Bench:
    def __init__(self):
        self.host, self.tenant = a_space()
        self.own = Session.with_keys(Keys("AKIAOWN", "s"), region="us-west-2")
        self.sessions = Sessions(self.own, OWN)

    async def open(self, provider, place="tenant"):
        return await self.sessions.open(provider, Place(place, self.tenant if place == "tenant" else self.host))


async def test_without_auth_the_identity_is_the_pods():
    opened = await Bench().open(a_provider())
    assert (await opened.session.keys()).access_key_id == "AKIAOWN"


async def test_keys_come_from_the_secret_they_are_kept_in():
    bench = Bench()
    put_keys(bench.tenant)
    opened = await bench.open(a_provider(auth=static()))
    keys = await opened.session.keys()
    assert (keys.access_key_id, keys.secret_access_key) == ("AKIA1", PLANTED)
    assert PLANTED not in opened.identity


async def test_a_chain_is_kept_and_another_chain_is_another_session():
    bench = Bench()
    put_keys(bench.tenant)
    first = await bench.open(a_provider())
    assert (await bench.open(a_provider())).session is first.session
    identities = {
        (await bench.open(a_provider(**more))).identity
        for more in (
            {},
            {"role": ROLE},
            {"role": ROLE, "externalID": "x"},
            {"additionalRoles": [ROLE + "2"]},
            {"role": ROLE, "sessionTags": [{"key": "a", "value": "b"}]},
            {"auth": static()},
        )
    }
    assert len(identities) == 6


async def test_rotated_keys_are_another_identity():
    bench = Bench()
    put_keys(bench.tenant)
    before = await bench.open(a_provider(auth=static()))
    put_keys(bench.tenant, "AKIA2")
    after = await bench.open(a_provider(auth=static()))
    assert before.identity != after.identity
    assert (await after.session.keys()).access_key_id == "AKIA2"


@pytest.mark.parametrize(
    ("auth", "text"),
    [
        (static("absent"), "secret app/absent does not exist"),
        ({"jwt": {"serviceAccountRef": {"name": "absent"}}}, "serviceaccount app/absent does not exist"),
        ({"jwt": {"serviceAccountRef": {"name": "bare"}}}, "has no annotation eks.amazonaws.com/role-arn"),
    ],
)
async def test_what_is_missing_is_named(auth, text):
    bench = Bench()
    an_account(bench.tenant, "app", "bare")
    with pytest.raises(StoreFault, match=text) as caught:
        await bench.open(a_provider(auth=auth))
    assert caught.value.reason == "InvalidProviderConfig"


async def test_a_service_accounts_identity_is_its_uid_role_and_audiences():
    bench = Bench()
    an_account(bench.tenant, "app", "sa", **{"eks.amazonaws.com/role-arn": ROLE})
    ref = {"jwt": {"serviceAccountRef": {"name": "sa"}}}
    first = await bench.open(a_provider(auth=ref))
    assert (await bench.open(a_provider(auth=ref))).session is first.session
    an_account(bench.tenant, "app", "sa", **{"eks.amazonaws.com/role-arn": ROLE + "2"})
    assert (await bench.open(a_provider(auth=ref))).identity != first.identity


async def test_our_own_account_without_annotation_is_the_pods_identity_and_only_in_the_host():
    bench = Bench()
    namespace, name = OWN
    an_account(bench.host, namespace, name)
    provider = a_provider(namespace, auth={"jwt": {"serviceAccountRef": {"name": name}}})
    assert (await (await bench.open(provider, "host")).session.keys()).access_key_id == "AKIAOWN"
    an_account(bench.tenant, namespace, name)
    with pytest.raises(StoreFault):
        await bench.open(provider)


@pytest.mark.parametrize(
    ("more", "calls"),
    [
        ({}, {"AssumeRoleWithWebIdentity": 1}),
        ({"role": ROLE + "2"}, {"AssumeRoleWithWebIdentity": 1, "AssumeRole": 1}),
        ({"role": ROLE + "2", "additionalRoles": [ROLE + "1"]}, {"AssumeRoleWithWebIdentity": 1, "AssumeRole": 2}),
    ],
)
async def test_200_reads_through_50_stores_of_one_identity_ask_sts_once_an_hour(monkeypatch, more, calls):
    bench = Bench()
    an_account(bench.tenant, "app", "reader", **{"eks.amazonaws.com/role-arn": ROLE})
    stores = [
        a_provider(auth={"jwt": {"serviceAccountRef": {"name": "reader"}}}, prefix=f"team-{number}/", **more)
        for number in range(50)
    ]

    async def read(number):
        opened = await bench.open(stores[number % len(stores)])
        return (await opened.session.keys()).access_key_id

    async with FakeSts().served(monkeypatch) as sts:
        seen = await asyncio.gather(*(read(number) for number in range(200)))
        again = await read(7)
    assert len({*seen, again}) == 1
    assert Counter(asked["Action"] for asked in sts.asked) == calls
