"""Every way in which S3, or what stands before it, can answer: what is said of it, and that it goes on."""

from __future__ import annotations

import inspect
from datetime import timedelta

import botocore.exceptions as bc
import pytest
from botocore.awsrequest import AWSResponse

from keyless.api import Permanent, Transient
from keyless.aws import Keys, Session
from keyless.billing.collector.clock import Clock
from keyless.billing.collector.ports import Put
from keyless.billing.collector.storing import S3
from unit.billing.collector.answers import GONE_ON, xml
from unit.billing.collector.test_clock import Machine
from unit.billing.faults.stage import Stage
from unit.billing.samples import NOON

KEYS = Keys("AKIAEXAMPLE", "secret")
DATE = "Sat, 31 Oct 2026 12:00:00 GMT"


class Raw:
    def __init__(self, body):
        self.body = body

    def stream(self, **_):
        yield self.body

    def read(self, *_):
        return self.body


class Answers:
    """Stands where botocore would send: answers in turn, the last one for good."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []

    def __call__(self, request, **_):
        self.requests.append(request)
        answer = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        status, body, headers = answer
        return AWSResponse(request.url, status, {"Date": DATE, **headers}, Raw(body))


def store_with(*answers, clock=None, region="us-east-1"):
    store = S3(Session.with_keys(KEYS, region=region), "usage", clock or Machine().clock())
    sent = Answers(*answers)
    store._opened().meta.events.register("before-send.s3", sent)
    return store, sent


def put(store):
    return store.put_new("account=a/x", b"body", "application/gzip")


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    """The SDK's own retries wait for seconds."""
    monkeypatch.setattr("time.sleep", lambda _: None)


async def test_a_write_is_conditional_and_typed_and_carries_its_sum():
    store, sent = store_with((200, b"", {}))
    assert (await put(store)).at == NOON
    headers = sent.requests[0].headers
    assert headers["If-None-Match"] in {"*", b"*"}
    assert headers["Content-Type"] in {"application/gzip", b"application/gzip"}
    assert "x-amz-checksum-sha256" in headers
    assert "Content-Encoding" not in headers


async def test_a_key_that_is_taken_is_success():
    store, _ = store_with((412, xml("PreconditionFailed"), {}))
    assert await put(store) == Put()


async def test_a_store_without_conditional_writes_is_written_to_all_the_same():
    store, sent = store_with((501, xml("NotImplemented"), {}), (200, b"", {}))
    assert await put(store) == Put()
    assert "If-None-Match" not in sent.requests[-1].headers


@pytest.mark.parametrize("answer", GONE_ON)
async def test_an_answer_is_told_in_s3s_own_words(answer):
    sent, kind, code, words = GONE_ON[answer]
    store, _ = store_with(sent)
    with pytest.raises(kind) as raised:
        await put(store)
    if code is not None:
        assert raised.value.code == code
    assert words in str(raised.value)


RAISED = [
    bc.EndpointConnectionError(endpoint_url="https://usage.s3"),
    bc.ConnectTimeoutError(endpoint_url="https://usage.s3"),
    bc.ReadTimeoutError(endpoint_url="https://usage.s3"),
    bc.ConnectionClosedError(endpoint_url="https://usage.s3"),
    bc.SSLError(endpoint_url="https://usage.s3", error="certificate verify failed"),
    bc.ProxyConnectionError(proxy_url="http://proxy"),
    bc.HTTPClientError(error="broken"),
    bc.NoCredentialsError(),
    bc.CredentialRetrievalError(provider="container-role", error_msg="refused"),
    bc.InvalidEndpointConfigurationError(msg="x"),
    FileNotFoundError(2, "No such file", "token"),
    PermissionError(13, "Permission denied", "token"),
    ConnectionResetError("reset"),
    OSError("anything"),
    ValueError("half of an answer"),
    KeyError("Error"),
    TypeError("None"),
    AttributeError("get"),
]


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
async def test_whatever_the_sdk_raises_is_a_failure_with_a_word(error):
    store, _ = store_with(error)
    with pytest.raises((Transient, Permanent)) as raised:
        await put(store)
    assert raised.value.code
    assert "PutObject" in str(raised.value) or "credentials" in str(raised.value)


def every_class():
    found = [c for c in vars(bc).values() if inspect.isclass(c) and issubclass(c, Exception)]
    return [c for c in found if c.__module__ == bc.__name__ and not issubclass(c, Warning)]


@pytest.mark.parametrize("cls", every_class(), ids=lambda cls: cls.__name__)
async def test_no_exception_class_of_the_sdk_ends_the_uploader(tmp_path, cls):
    error = cls.__new__(cls)
    Exception.__init__(error, "made up")
    if isinstance(error, bc.ClientError):
        error.response, error.operation_name = {"Error": {"Code": "Odd", "Message": "m"}, "ResponseMetadata": {}}, "Put"
    stage = Stage(tmp_path)
    await stage.boot()
    stage.recorder.sample()
    store = S3(Session.with_keys(KEYS, region="us-east-1"), "usage", stage.clock)
    store._opened = lambda: (_ for _ in ()).throw(error)
    stage.uploader._store = store
    pause = await stage.uploader.upload_waiting()
    assert pause == timedelta(seconds=2)
    said = stage.space.said[-1]
    assert (said.type, said.status) == ("BillingStored", False)
    assert said.reason
    assert stage.spool.waiting() == [0]


async def test_every_answer_tells_the_time_a_refusal_too():
    machine = Machine(error=3600)
    clock = Clock(machine.wall, machine.ticks)
    store, _ = store_with((403, xml("AccessDenied"), {}), clock=clock)
    with pytest.raises(Permanent):
        await put(store)
    assert abs(clock.now() - NOON) < timedelta(seconds=1)


@pytest.mark.parametrize("date", ["", "yesterday", "31 Oct", "Sat, 31 Oct 2026 12:00:00"])
async def test_a_date_that_is_none_changes_nothing_or_is_utc(date):
    machine = Machine()
    clock = Clock(machine.wall, machine.ticks)
    store, _ = store_with((200, b"", {"Date": date}), clock=clock)
    await put(store)
    assert clock.now() == NOON


async def test_the_last_key_is_looked_for_page_by_page_and_read():
    def page(*keys, more=""):
        items = "".join(f"<Contents><Key>{key}</Key></Contents>" for key in keys)
        token = f"<NextContinuationToken>{more}</NextContinuationToken>" if more else ""
        truncated = "true" if more else "false"
        return f"<ListBucketResult><IsTruncated>{truncated}</IsTruncated>{token}{items}</ListBucketResult>".encode()

    store, sent = store_with(
        (200, page(), {}), (200, page("b/1", "b/3", more="t"), {}), (200, page("b/2"), {}), (200, b"{}", {})
    )
    assert await store.last(["a/", "b/"]) == ("b/3", b"{}")
    assert [request.method for request in sent.requests] == ["GET"] * 4
