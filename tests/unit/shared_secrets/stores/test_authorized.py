"""What a store's status says of reading, as the reads through it came out."""

import pytest

from keyless.kube import condition_of
from keyless.kube.resources import EXTERNALSECRETS, SECRETSTORES
from keyless.shared_secrets.stores.authorized import verdict
from unit.shared_secrets.fakes import FakeAws, a_space, a_store, a_value, an_external_secret
from unit.shared_secrets.test_service import running, says, until

STORE = {"kind": "SecretStore", "metadata": {"name": "aws", "namespace": "app"}}
CLUSTER = {"kind": "ClusterSecretStore", "metadata": {"name": "aws"}}


def reader(name="db", namespace="app", kind="SecretStore", store="aws", **failure):
    row = {"store": store, "storeKind": kind, "key": "k", "readTime": "2026-01-01T12:00:00Z"}
    row |= {"failure": {"class": "Denied", "code": "AccessDeniedException", **failure}} if failure else {}
    return {"metadata": {"name": name, "namespace": namespace}, "status": {"sources": [row]}}


@pytest.mark.parametrize(
    ("store", "readers", "status"),
    [
        (STORE, [], None),
        (STORE, [reader()], True),
        (STORE, [reader(), reader("x", requestID="r")], False),
        (STORE, [reader("x", **{"class": "KMS"})], False),
        (STORE, [reader("x", **{"class": "NotFound"})], None),
        (STORE, [reader("x", **{"class": "Throttled"}), reader()], True),
        (STORE, [reader("x", code="KeyNotInScope"), reader()], True),
        (STORE, [reader("x", "other", requestID="r")], None),
        (STORE, [reader("x", store="another", requestID="r")], None),
        (STORE, [reader("x", kind="ClusterSecretStore", requestID="r")], None),
        (CLUSTER, [reader("x", "other", kind="ClusterSecretStore", requestID="r")], False),
    ],
)
def test_real_reads_alone_say_what_a_store_may_read(store, readers, status):
    found = verdict(store, readers)
    assert (found and found.status) == status


def test_some_of_those_that_are_refused_are_named_without_their_keys():
    found = verdict(STORE, [reader(f"e{number}", requestID="r") for number in range(5)] + [reader()])
    assert found.reason == "ReadDenied"
    assert found.message == (
        "5 of 6 ExternalSecrets that read through it are refused: app/e0 (AccessDeniedException), "
        "app/e1 (AccessDeniedException), app/e2 (AccessDeniedException) …"
    )


async def test_a_store_says_it_when_a_read_is_refused_and_when_it_is_allowed_again():
    host, tenant = a_space()
    aws = FakeAws(secrets={"db": "x"})
    aws.refuse["GetSecretValue"] = "AccessDeniedException"
    tenant.put(SECRETSTORES, {**a_store(), "kind": "SecretStore"})
    tenant.put(EXTERNALSECRETS, an_external_secret(data=[a_value("k", "db")]))
    async with running(aws, host, tenant):
        told = await until(tenant, SECRETSTORES, says("Authorized", "False", "ReadDenied"))
        assert condition_of(told["status"]["conditions"], "Ready")["status"] == "True"
        aws.refuse.clear()
        asked = {"metadata": {"annotations": {"force-sync": "1"}}}
        await tenant.patch(EXTERNALSECRETS, "db", asked, "app")
        await until(tenant, SECRETSTORES, says("Authorized", "True", "ReadAllowed"))
