import asyncio
import base64

import httpx
import orjson
import pytest
import structlog

from keyless.identity.injection.app import Webhook
from keyless.identity.injection.directory import AssociationFile, Directory
from keyless.identity.injection.lookup import MISS_SECONDS, Lookup
from keyless.identity.injection.service import KubeServiceAccounts
from keyless.identity.injection.settings import Settings
from keyless.kube import Informer, NotFound, Unavailable
from keyless.kube.resources import SERVICEACCOUNTS
from kube_answers import ANSWERS, Sick

ACCOUNT = {
    "metadata": {
        "name": "vector",
        "annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/billing"},
    }
}
POD = {"metadata": {}, "spec": {"serviceAccountName": "vector", "containers": [{"name": "main"}]}}


class FakeServiceAccounts:
    def __init__(self, cached=None, stored=None, error=None):
        self._cached, self._stored, self._error = cached, stored, error
        self.fetched = 0

    def cached(self, namespace, name):
        return self._cached

    async def fetch(self, namespace, name):
        self.fetched += 1
        if self._error:
            raise self._error
        if self._stored is None:
            raise NotFound({"message": "gone", "code": 404})
        return self._stored


def a_webhook(accounts, path="", seconds=1.0):
    directory = Directory(accounts, AssociationFile(str(path)), lookup_seconds=seconds)
    return Webhook(directory, Settings())


def a_review(pod=None, version="admission.k8s.io/v1"):
    request = {"uid": "u1", "namespace": "ns", "object": POD if pod is None else pod}
    return orjson.dumps({"apiVersion": version, "kind": "AdmissionReview", "request": request})


def operations(answer):
    return orjson.loads(base64.b64decode(answer["response"].get("patch", "") or b"W10="))


async def test_a_pod_is_patched_and_the_uid_and_version_are_echoed():
    answer = await a_webhook(FakeServiceAccounts(cached=ACCOUNT)).review(a_review(version="admission.k8s.io/v1beta1"))
    assert answer["apiVersion"] == "admission.k8s.io/v1beta1"
    assert answer["response"]["uid"] == "u1"
    assert answer["response"]["allowed"] is True
    assert answer["response"]["patchType"] == "JSONPatch"
    assert operations(answer)[0]["path"] == "/spec/volumes"


async def test_a_service_account_that_the_cache_misses_is_asked_of_the_api_server():
    accounts = FakeServiceAccounts(stored=ACCOUNT)
    answer = await a_webhook(accounts).review(a_review())
    assert accounts.fetched == 1
    assert operations(answer)


async def test_a_service_account_that_does_not_exist_is_counted_and_allowed():
    webhook = a_webhook(FakeServiceAccounts())
    answer = await webhook.review(a_review())
    assert answer["response"] == {"uid": "u1", "allowed": True}
    assert webhook.metrics.registry.get_sample_value("pod_identity_webhook_missing_sa_count_total") == 1


async def test_a_silent_api_server_lets_the_pod_through_with_a_warning():
    class Silent(FakeServiceAccounts):
        async def fetch(self, namespace, name):
            await asyncio.Event().wait()

    for accounts in (Silent(), FakeServiceAccounts(error=Unavailable({"message": "busy", "code": 503}))):
        answer = await a_webhook(accounts, seconds=0.01).review(a_review())
        assert answer["response"]["allowed"] is True
        assert "no identity was injected" in answer["response"]["warnings"][0]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'{"request": 1}', a_review("no pod"), a_review({"spec": {"containers": [1]}})]
)
async def test_what_is_no_review_of_a_pod_is_denied_with_a_message(body):
    answer = await a_webhook(FakeServiceAccounts(cached=ACCOUNT)).review(body)
    assert answer["response"]["allowed"] is False
    assert answer["response"]["status"]["message"]


async def test_the_list_file_counts_from_the_moment_it_changes(tmp_path):
    path = tmp_path / "config.json"
    webhook = a_webhook(FakeServiceAccounts(), path)

    async def associated():
        return bool(operations(await webhook.review(a_review())))

    assert not await associated()
    path.write_text('{"identities": [{"namespace": "ns", "serviceAccount": "vector"}]}')
    assert await associated()
    path.write_text('{"identities": [')
    assert await associated(), "a half-written file leaves the last good list"
    path.write_text('{"identities": []}')
    assert not await associated()
    path.unlink()
    assert not await associated()


async def test_the_config_map_counts_and_bad_json_leaves_the_last_good_one():
    directory = Directory(FakeServiceAccounts(), AssociationFile(""), lookup_seconds=1)
    directory.set_mapped_roles({"data": {"config": '{"ns/vector": {"RoleARN": "r"}, "noslash": {}}'}})
    assert list(directory.known().mapped) == [("ns", "vector")]
    directory.set_mapped_roles({"data": {"config": "{"}})
    assert list(directory.known().mapped) == [("ns", "vector")]
    directory.set_mapped_roles(None)
    assert not directory.known().mapped


async def test_the_http_face_asks_for_json_exactly():
    webhook = a_webhook(FakeServiceAccounts(cached=ACCOUNT))
    transport = httpx.ASGITransport(webhook.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://w") as http:
        wrong = await http.post("/mutate", content=a_review(), headers={"content-type": "application/json; charset=x"})
        assert (wrong.status_code, wrong.text) == (415, "Invalid Content-Type, expected `application/json`")
        right = await http.post("/mutate", content=a_review(), headers={"content-type": "application/json"})
        assert right.json()["response"]["allowed"] is True
        assert (await http.get("/healthz")).text == "ok"
    async with httpx.AsyncClient(transport=httpx.ASGITransport(webhook.metrics_app), base_url="http://w") as http:
        assert 'pod_count_total{method="sts_web_identity"} 1.0' in (await http.get("/metrics")).text


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
async def test_whatever_the_api_server_answers_the_pod_is_let_through_and_the_webhook_goes_on(answer, monkeypatch):
    monkeypatch.setattr("keyless.identity.injection.lookup.MISS_SECONDS", 0.0)  # a 404 is remembered for a moment
    kube = Sick()
    kube.put(SERVICEACCOUNTS, {"metadata": {**ACCOUNT["metadata"], "namespace": "ns"}})
    webhook = a_webhook(KubeServiceAccounts(kube, Informer(kube, SERVICEACCOUNTS)))
    kube.answer = answer
    reviewed = await webhook.review(a_review())
    assert reviewed["response"]["allowed"] is True
    assert operations(reviewed) == []
    kube.answer = None
    assert operations(await webhook.review(a_review())), "and the next pod gets its identity"


class Slow(FakeServiceAccounts):
    """An API server that answers when it is told to."""

    def __init__(self, **facts):
        super().__init__(**facts)
        self.gate = asyncio.Event()

    async def fetch(self, namespace, name):
        self.fetched += 1
        await self.gate.wait()
        if self._stored is None:
            raise NotFound({"message": "gone", "code": 404})
        return self._stored


async def until_asked(accounts):
    while not accounts.fetched:
        await asyncio.sleep(0)


async def test_many_pods_of_one_missing_service_account_are_one_question():
    accounts = Slow()
    webhook = a_webhook(accounts)
    waiting = [asyncio.create_task(webhook.review(a_review())) for _ in range(50)]
    await until_asked(accounts)
    waiting[0].cancel()  # whoever gives up must not take the answer from the others
    accounts.gate.set()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert [one["response"]["allowed"] for one in answers[1:]] == [True] * 49
    assert accounts.fetched == 1


async def test_that_there_is_none_is_remembered_for_a_second_and_no_longer():
    clock = [0.0]
    accounts = FakeServiceAccounts()
    lookup = Lookup(accounts.fetch, seconds=1.0, now=lambda: clock[0])
    for _ in range(10):
        assert await lookup.get("ns", "vector") is None
    assert accounts.fetched == 1
    clock[0] = MISS_SECONDS
    assert await lookup.get("ns", "vector") is None
    assert accounts.fetched == 2


async def test_the_watch_ends_a_remembered_miss_at_once():
    accounts = FakeServiceAccounts()
    lookup = Lookup(accounts.fetch, seconds=1.0, now=lambda: 0.0)
    assert await lookup.get("ns", "vector") is None
    accounts._stored = ACCOUNT
    lookup.changed("ns", "other")
    assert await lookup.get("ns", "vector") is None
    lookup.changed("ns", "vector")
    assert await lookup.get("ns", "vector") == ACCOUNT


async def test_an_answer_that_is_older_than_the_watch_is_not_remembered():
    accounts = Slow()
    lookup = Lookup(accounts.fetch, seconds=5.0, now=lambda: 0.0)
    asked = asyncio.create_task(lookup.get("ns", "vector"))
    await until_asked(accounts)
    lookup.changed("ns", "vector")
    accounts.gate.set()
    assert await asked is None
    accounts._stored = ACCOUNT
    assert await lookup.get("ns", "vector") == ACCOUNT


async def test_a_service_account_that_the_watch_brings_while_it_is_asked_for_counts():
    accounts = Slow()
    webhook = a_webhook(accounts)
    asked = asyncio.create_task(webhook.review(a_review()))
    await until_asked(accounts)
    accounts._cached = ACCOUNT
    accounts.gate.set()
    assert operations(await asked)


async def test_names_of_strangers_do_not_fill_memory():
    accounts = FakeServiceAccounts()
    lookup = Lookup(accounts.fetch, seconds=1.0, now=lambda: 0.0)
    for number in range(5000):
        await lookup.get("ns", f"a{number}")
    assert len(lookup._misses) < 5000


async def test_no_request_leaves_a_line_in_the_log_and_trouble_leaves_two():
    accounts = FakeServiceAccounts(cached=ACCOUNT)
    webhook = a_webhook(accounts)
    with structlog.testing.capture_logs() as lines:
        for _ in range(20):
            await webhook.review(a_review())
        assert lines == []
        accounts._cached, accounts._error = None, Unavailable({"message": "down", "code": 503})
        for _ in range(20):
            await webhook.review(a_review())
        accounts._cached = ACCOUNT
        for _ in range(20):
            await webhook.review(a_review())
    assert [line["log_level"] for line in lines] == ["warning", "info"]
