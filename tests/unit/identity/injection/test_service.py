import asyncio
import base64
import ssl

import httpx
import orjson
import pytest

from keyless.api import Permanent
from keyless.identity.certificates.reading import bundle_of
from keyless.identity.injection.directory import AssociationMap
from keyless.identity.injection.service import keeper_of, place_of, serve_webhook
from keyless.identity.injection.settings import Settings
from keyless.kube.memory import MemoryKube
from keyless.kube.resources import CONFIGMAPS, MUTATINGWEBHOOKCONFIGURATIONS, NAMESPACES, SERVICEACCOUNTS
from keyless.serving import bind
from unit.serving.test_listener import a_certificate


def a_free_port():
    with bind("127.0.0.1", 0) as sock:
        return sock.getsockname()[1]


async def answers(http, url):
    """Return once the listener is there; a refused connection is retried, nothing is slept."""
    async with asyncio.timeout(5):
        while True:
            try:
                return await http.get(url)
            except httpx.ConnectError:
                await asyncio.sleep(0)


async def test_it_answers_over_tls_with_what_the_cluster_holds(tmp_path):
    tls = a_certificate(tmp_path, "webhook")
    kube = MemoryKube()
    role = {"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/x"}
    kube.put(SERVICEACCOUNTS, {"metadata": {"name": "vector", "namespace": "default", "annotations": role}})
    mapped = {"config": '{"default/mapped": {"RoleARN": "arn:aws:iam::111122223333:role/y"}}'}
    kube.put(CONFIGMAPS, {"metadata": {"name": "pod-identity-webhook", "namespace": "kube-system"}, "data": mapped})
    port = a_free_port()
    settings = Settings(
        bind_host="127.0.0.1",
        port=port,
        metrics_port=-1,
        tls_cert=tls.certificate,
        tls_key=tls.key,
        namespace="kube-system",
        watch_config_map=True,
    )
    task = asyncio.create_task(serve_webhook(settings, kube))
    async with httpx.AsyncClient(verify=False, trust_env=False, base_url=f"https://127.0.0.1:{port}") as http:
        assert (await answers(http, "/healthz")).text == "ok"
        for name, suffix in (("vector", "x"), ("mapped", "y")):
            pod = {"spec": {"serviceAccountName": name, "containers": [{"name": "c"}]}}
            review = {"request": {"uid": "u", "namespace": "default", "object": pod}}
            answer = (await http.post("/mutate", json=review)).json()["response"]
            patch = orjson.loads(base64.b64decode(answer["patch"]))
            values = [item["value"] for item in patch[1]["value"] if item["name"] == "AWS_ROLE_ARN"]
            assert values == [f"arn:aws:iam::111122223333:role/{suffix}"]
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


def associations(text):
    return {"metadata": {"name": "list", "namespace": "kube-system"}, "data": {"config.json": text}}


ONE = '{"identities": [{"namespace": "host", "serviceAccount": "vector"}]}'


async def test_an_association_in_the_followed_config_map_counts_for_the_next_pod(tmp_path):
    tls, kube, port = a_certificate(tmp_path, "webhook"), MemoryKube(), a_free_port()
    kube.put(SERVICEACCOUNTS, {"metadata": {"name": "vector", "namespace": "host"}})
    kube.put(CONFIGMAPS, associations(ONE))
    settings = Settings(
        bind_host="127.0.0.1",
        port=port,
        metrics_port=-1,
        tls_cert=tls.certificate,
        tls_key=tls.key,
        container_credentials_config_map="kube-system/list",
    )
    task = asyncio.create_task(serve_webhook(settings, kube))
    review = {"request": {"uid": "u", "namespace": "host", "object": {"spec": {"serviceAccountName": "vector"}}}}
    review["request"]["object"]["spec"]["containers"] = [{"name": "c"}]
    async with httpx.AsyncClient(verify=False, trust_env=False, base_url=f"https://127.0.0.1:{port}") as http:
        await answers(http, "/healthz")
        async with asyncio.timeout(5):
            while "patch" not in (answer := (await http.post("/mutate", json=review)).json()["response"]):
                pass
        assert b"AWS_CONTAINER_CREDENTIALS_FULL_URI" in base64.b64decode(answer["patch"])
    task.cancel()
    await asyncio.wait([task])


def test_a_list_that_cannot_be_read_leaves_the_last_good_one_and_one_that_is_gone_leaves_none():
    found = AssociationMap()
    found.show(associations(ONE))
    for text in ("{", "[]", '{"identities": 7}'):
        found.show(associations(text))
        assert found.current() == {("host", "vector")}
    found.show(None)
    assert found.current() == frozenset()


@pytest.mark.parametrize("text", ["list", "/list", "kube-system/", "a/b/c", "/"])
def test_a_config_map_without_a_place_is_refused(text):
    with pytest.raises(Permanent, match="expected NAMESPACE/NAME"):
        place_of(Settings(container_credentials_config_map=text))


async def test_with_a_certificate_of_its_own_it_answers_to_whoever_trusts_its_registration(tmp_path):
    kube, port = MemoryKube(), a_free_port()
    kube.put(NAMESPACES, {"metadata": {"name": "spaces"}})
    config = {"service": {"namespace": "spaces", "name": "pod-identity-webhook", "path": "/mutate"}}
    hook = {"name": "iam-for-pods.amazonaws.com", "clientConfig": config}
    kube.put(MUTATINGWEBHOOKCONFIGURATIONS, {"metadata": {"name": "pod-identity-webhook"}, "webhooks": [hook]})
    settings = Settings(
        bind_host="127.0.0.1",
        port=port,
        metrics_port=-1,
        tls_cert=str(tmp_path / "tls.crt"),
        tls_key=str(tmp_path / "tls.key"),
        certificate_secret="spaces/webhook",
    )
    task = asyncio.create_task(serve_webhook(settings, kube))
    async with httpx.AsyncClient(verify=False, trust_env=False, base_url=f"https://127.0.0.1:{port}") as http:
        await answers(http, "/healthz")
    (registered,) = kube.stored(MUTATINGWEBHOOKCONFIGURATIONS)
    trusting = ssl.create_default_context(cadata=bundle_of(registered["webhooks"]))
    name = "pod-identity-webhook.spaces.svc"
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting, server_hostname=name)
    writer.close()
    task.cancel()
    await asyncio.wait([task])


def test_files_that_the_webhook_cannot_write_are_refused_before_it_starts():
    assert keeper_of(Settings(), MemoryKube()) is None
    with pytest.raises(Permanent, match="one folder"):
        keeper_of(Settings(certificate_secret="a/b", tls_cert="/x/tls.crt", tls_key="/y/tls.key"), MemoryKube())
    with pytest.raises(Permanent, match="--certificate-secret 'b': expected NAMESPACE/NAME of a Secret"):
        keeper_of(Settings(certificate_secret="b"), MemoryKube())
