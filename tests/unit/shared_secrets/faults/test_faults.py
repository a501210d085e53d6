"""Bad days, in virtual time: whatever happens, the Secret holds the last good keys, and all is well once it is over.

Each row of ``STORIES`` is what goes wrong and what the status says meanwhile; each lasts an hour.
"""

import base64
import json
from contextlib import suppress
from datetime import timedelta

import pytest

from keyless.api import Transient
from keyless.aws import AwsPermanent, AwsTransient
from keyless.aws.errors import Said
from keyless.kube import Forbidden, Name, NotFound
from keyless.kube.errors import error_of, failure_status
from keyless.kube.resources import EVENTS, EXTERNALSECRETS, NAMESPACES, SECRETS
from unit.shared_secrets.bench import Bench, db
from unit.shared_secrets.fakes import ARN, a_value, an_external_secret

PENDING = "You can't perform this operation on the secret because it was marked for deletion."
DENIED = f"User: {ARN} is not authorized to perform: secretsmanager:GetSecretValue"
AWS_STORIES = {
    "a storm of throttling": (AwsTransient, "ThrottlingException", "Rate exceeded"),
    "AWS is down": (AwsTransient, "InternalServiceError", ""),
    "no way to AWS": (AwsTransient, "EndpointConnection", "Could not connect"),
    "access is denied": (AwsPermanent, "AccessDeniedException", DENIED),
    "it is marked for deletion": (AwsPermanent, "InvalidRequestException", PENDING),
    "KMS refuses": (AwsPermanent, "AccessDeniedException", "Access to KMS is not allowed"),
    "KMS cannot decrypt": (
        AwsPermanent,
        "DecryptionFailure",
        "Secrets Manager can't decrypt the protected secret text",
    ),
    "the token is over": (
        AwsTransient,
        "ExpiredTokenException",
        "The security token included in the request is expired",
    ),
    "the secret is gone": (
        AwsPermanent,
        "ResourceNotFoundException",
        "Secrets Manager can't find the specified secret.",
    ),
}


@pytest.mark.parametrize("deletion", ["Retain", "Delete", "Merge"])
@pytest.mark.parametrize("story", AWS_STORIES)
async def test_an_hour_without_aws_loses_nothing_asks_little_and_ends_well(story, deletion):
    kind, code, text = AWS_STORIES[story]
    bench = Bench(secrets={"db/password": "one"})
    await bench.sync(db(refreshInterval="1m", target={"deletionPolicy": deletion}))
    bench.aws.calls.clear()

    def refuse(**_):
        raise kind(Said("GetSecretValue", code, text, f"r-{len(bench.aws.calls)}"))

    bench.aws.GetSecretValue = refuse
    gone = story == "the secret is gone" and deletion != "Retain"
    for _ in range(9 if gone else 60):
        bench.now += timedelta(minutes=1)
        with suppress(Transient):
            await bench.sync()
        assert await bench.data() == {"password": "one"}
    status, reason, message = await bench.ready()
    assert status == "False"
    assert reason == ("DeletionHeld" if gone else "SecretSyncedError")
    assert gone or code in message
    assert len(bench.aws.calls) <= 25, "remembered failures wait up to five minutes"
    assert len(await bench.events()) <= 4
    del bench.aws.GetSecretValue
    bench.aws.secrets["db/password"] = "two"
    bench.now += timedelta(minutes=5)
    await bench.sync()
    assert await bench.data() == {"password": "two"}
    assert (await bench.ready())[0] == "True"


async def test_a_token_that_ends_between_two_reads_writes_no_half():
    bench = Bench(secrets={"a": "1", "b": "2"})
    await bench.sync(an_external_secret(data=[a_value("a", "a"), a_value("b", "b")], refreshInterval="1m"))
    bench.aws.secrets = {"a": "new", "b": "new"}
    read, ordinary = [], bench.aws.GetSecretValue

    def second_fails(**asked):
        read.append(asked)
        if len(read) == 2:
            raise AwsTransient(Said("GetSecretValue", "ExpiredTokenException", "", "r"))
        return ordinary(**asked)

    bench.aws.GetSecretValue = second_fails
    bench.now += timedelta(minutes=1)
    await bench.fails()
    assert await bench.data() == {"a": "1", "b": "2"}
    bench.now += timedelta(seconds=2)
    await bench.sync()
    assert await bench.data() == {"a": "new", "b": "new"}


KUBE_STORIES = {
    "overloaded": lambda: error_of(failure_status(429, "TooManyRequests", "")),
    "restarting": lambda: error_of(failure_status(503, "ServiceUnavailable", "")),
    "broken": lambda: error_of(failure_status(500, "InternalError", "")),
    "behind a dead proxy": lambda: error_of(failure_status(504, "Timeout", "")),
    "refusing the token": lambda: error_of(failure_status(401, "Unauthorized", "")),
    "denying the right": lambda: error_of(failure_status(403, "Forbidden", "")),
}


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", ""])
@pytest.mark.parametrize("story", KUBE_STORIES)
async def test_an_api_server_that_refuses_some_or_all_requests_is_outlived(story, method):
    bench = Bench(secrets={"db/password": "one"})
    await bench.sync(db(refreshInterval="1m"))
    bench.aws.secrets["db/password"] = "two"
    await bench.change({"spec": {"target": {"name": "new"}}})

    def refuse(request):
        if method in {"", request.method}:
            raise KUBE_STORIES[story]()

    bench.kube.before = refuse
    for _ in range(10):
        bench.now += timedelta(minutes=1)
        with suppress(Transient):
            await bench.sync()
    held = bench.kube.stored(SECRETS, "app")
    assert held
    bench.kube.before = lambda request: None
    bench.now += timedelta(minutes=5)
    await bench.sync()
    assert await bench.data("new") == {"password": "two"}
    assert len(bench.kube.stored(SECRETS, "app")) == 1
    assert (await bench.ready())[0] == "True"


async def test_another_writer_is_not_fought_for_ever_and_named():
    bench = Bench(secrets={"db/password": "one"})
    await bench.sync(db(refreshInterval="24h"))
    writes = 0
    for _ in range(600):
        bench.now += timedelta(seconds=1)
        if (await bench.data())["password"] == "one":
            await bench.kube.patch(SECRETS, "db", {"data": {"password": "dHdv"}}, "app")
        before = (await bench.secret())["metadata"]["resourceVersion"]
        await bench.sync()
        writes += (await bench.secret())["metadata"]["resourceVersion"] != before
    assert writes <= 5 + 3, "five at once, then after one, two and four minutes"
    status, reason, message = await bench.ready()
    assert (status, reason) == ("False", "TargetContended")
    assert "field managers beside ours: unknown" in message
    bench.now += timedelta(hours=1)
    await bench.sync()
    assert (await bench.data(), (await bench.ready())[0]) == ({"password": "one"}, "True")


async def test_a_writer_that_gives_in_ends_the_contest():
    bench = Bench(secrets={"db/password": "one"})
    await bench.sync(db(refreshInterval="24h"))
    for _ in range(6):
        bench.now += timedelta(seconds=1)
        await bench.kube.patch(SECRETS, "db", {"data": {"password": "dHdv"}}, "app")
        await bench.sync()
    assert (await bench.ready())[1] == "TargetContended"
    await bench.kube.patch(SECRETS, "db", {"data": {"password": "b25l"}}, "app")
    bench.now += timedelta(minutes=10)
    await bench.sync()
    assert (await bench.ready())[0] == "True"


async def test_a_person_who_edits_by_hand_now_and_then_is_simply_corrected():
    bench = Bench(secrets={"db/password": "one"})
    await bench.sync(db(refreshInterval="0"))
    for _ in range(30):
        bench.now += timedelta(minutes=15)
        await bench.kube.patch(SECRETS, "db", {"data": {"password": "dHdv"}}, "app")
        await bench.sync()
        assert await bench.data() == {"password": "one"}


async def test_two_external_secrets_that_merge_into_one_settle_or_say_so():
    bench = Bench(secrets={"a": "1", "b": "2"})
    bench.kube.put(SECRETS, {"metadata": {"name": "t", "namespace": "app"}, "data": {}})
    target = {"name": "t", "creationPolicy": "Merge"}
    for name in ("a", "b"):
        await bench.sync(an_external_secret(name, data=[a_value(name, name)], target=target))
    for _ in range(3):
        for name in ("a", "b"):
            await bench.sync(name=name)
    assert await bench.data("t") == {"a": "1", "b": "2"}


@pytest.mark.parametrize("when", ["before", "while reading", "while writing"])
async def test_a_namespace_that_is_deleted_while_it_is_synced_ends_quietly(when):
    bench = Bench(secrets={"db/password": "one"})
    bench.kube.put(EXTERNALSECRETS, db())

    async def end():
        await bench.kube.delete(NAMESPACES, "app")

    if when == "before":
        await end()
    elif when == "while reading":
        ordinary = bench.aws.call

        async def call(*args, **params):
            await end()
            return await ordinary(*args, **params)

        bench.aws.call = call
    else:
        live = bench.kube.stored(NAMESPACES)[0]
        assert live

        def terminating(operation, plural, obj):
            if plural in {"secrets", "events"}:
                raise Forbidden(failure_status(403, "Forbidden", 'namespace "app" is being terminated'))
            return obj

        bench.kube.admit = terminating
    with suppress(Transient):
        await bench.controller.reconcile(Name("app", "db"))
    bench.kube.admit = lambda operation, plural, obj: obj
    if when == "while writing":
        await end()
    assert await bench.controller.reconcile(Name("app", "db")) is None
    assert bench.kube.stored(SECRETS, "app") == []


SIZES = {
    "nothing": b"",
    "64 KB": b"x" * 65536,
    "binary": bytes(range(256)) * 256,
    "all that a Secret holds": b"x" * 1048576,
}


@pytest.mark.parametrize("name", SIZES)
async def test_values_of_any_size_and_form_arrive_as_they_are(name):
    bench = Bench(secrets={"db/password": SIZES[name]})
    await bench.sync(db())
    assert base64.b64decode((await bench.secret())["data"]["password"]) == SIZES[name]


async def test_more_than_a_secret_holds_is_said_and_the_old_stays():
    bench = Bench(secrets={"db/password": "one"})
    await bench.sync(db(refreshInterval="1m"))
    bench.aws.secrets["db/password"] = "x" * 1048577
    bench.now += timedelta(minutes=1)
    assert "1048577 bytes, a Secret holds 1048576" in (await bench.fails())[2]
    assert await bench.data() == {"password": "one"}


async def test_keys_that_collide_are_refused_and_the_old_stay():
    bench = Bench(secrets={"s": json.dumps({"a_b": "1"})})
    await bench.sync(an_external_secret(dataFrom=[{"extract": {"key": "s"}}], refreshInterval="1m"))
    bench.aws.secrets["s"] = json.dumps({"a/b": "1", "a_b": "2"})
    bench.now += timedelta(minutes=1)
    assert "collision" in (await bench.fails())[2]
    assert await bench.data() == {"a_b": "1"}


async def test_a_store_that_vanishes_and_comes_back():
    bench = Bench(secrets={"db/password": "one"})
    await bench.sync(db(refreshInterval="1m"))
    kept, bench.facts.stores = bench.facts.stores, {}
    bench.now += timedelta(minutes=1)
    assert "SecretStore 'aws' does not exist" in (await bench.fails())[2]
    assert await bench.data() == {"password": "one"}
    bench.facts.stores = kept
    await bench.sync()
    assert (await bench.ready())[0] == "True"


async def test_events_that_cannot_be_written_hold_nothing_up():
    bench = Bench(secrets={"db/password": "one"})

    def refuse(request):
        if "/events" in request.path:
            raise Forbidden(failure_status(403, "Forbidden", ""))

    bench.kube.before = refuse
    await bench.sync(db())
    assert (await bench.data(), bench.kube.stored(EVENTS)) == ({"password": "one"}, [])


async def test_an_object_that_is_deleted_while_it_is_synced_leaves_no_secret_behind_for_long():
    bench = Bench(secrets={"db/password": "one"})
    ordinary = bench.aws.call

    async def call(*args, **params):
        await bench.kube.delete(EXTERNALSECRETS, "db", "app")
        bench.aws.call = ordinary
        return await ordinary(*args, **params)

    bench.aws.call = call
    await bench.sync(db())
    owner = (await bench.secret())["metadata"]["ownerReferences"][0]
    assert owner["uid"], "the garbage collector takes what has a dead owner"
    assert await bench.sync() is None
    with pytest.raises(NotFound):
        await bench.object()
