"""What a status says of each thing that was read: version, freshness, cause, and whether it was allowed."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyless.kube import condition_of
from keyless.shared_secrets.stores.model import RemoteRef
from keyless.shared_secrets.stores.resolution import StorePolicy, StoreRef
from keyless.shared_secrets.stores.scopes import Scope
from keyless.shared_secrets.sync.truth import Failure, Seen, Truth, authorized, rows
from unit.shared_secrets.bench import Bench
from unit.shared_secrets.fakes import a_value, an_external_secret

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
STORE = StoreRef("aws")
FIRST, SECOND = (f"{n}1111111-2222-3333-4444-555555555555" for n in (1, 2))
KEYS = st.sampled_from(["a", "b", "c"])
FAILURES = st.sampled_from(["AccessDeniedException", "ResourceNotFoundException", "ThrottlingException"])


def seen(key="db", version=FIRST, **more):
    return Seen(STORE, RemoteRef(key), version, **more)


def one(before, *things, written=True, now=NOON):
    return rows(before, Truth(things, written), now)


def test_a_row_names_the_version_since_when_it_is_held_and_when_it_was_read():
    first = one([], seen())
    assert first == [
        {
            "store": "aws",
            "storeKind": "SecretStore",
            "key": "db",
            "readTime": "2026-01-01T12:00:00Z",
            "version": FIRST,
            "versionTime": "2026-01-01T12:00:00Z",
        }
    ]
    later = one(first, seen(), now=NOON + timedelta(hours=1))[0]
    assert (later["readTime"], later["versionTime"]) == ("2026-01-01T13:00:00Z", "2026-01-01T12:00:00Z")
    turned = one([later], seen(version=SECOND), now=NOON + timedelta(hours=2))[0]
    assert (turned["version"], turned["versionTime"]) == (SECOND, "2026-01-01T14:00:00Z")


def test_a_version_that_was_read_and_not_written_is_not_said_to_be_held():
    held = one([], seen())
    row = one(held, seen(version=SECOND), written=False)[0]
    assert (row["version"], row["seenVersion"]) == (FIRST, SECOND)
    assert "version" not in one([], seen(), written=False)[0]


def test_a_value_that_was_kept_is_as_old_as_its_read():
    assert one([], seen(age_seconds=45.0))[0]["readTime"] == "2026-01-01T11:59:15Z"


def test_a_failure_keeps_what_is_held_and_counts_from_its_first_time():
    denied = Failure("AccessDeniedException", "r-1")
    first = one(one([], seen()), seen(version="", failure=denied), written=False)[0]
    assert (first["version"], first["readTime"]) == (FIRST, "2026-01-01T12:00:00Z")
    assert first["failure"] == {
        "class": "Denied",
        "code": "AccessDeniedException",
        "requestID": "r-1",
        "since": "2026-01-01T12:00:00Z",
    }
    again = seen(version="", failure=Failure("AccessDeniedException", "r-2"))
    second = one([first], again, written=False, now=NOON + timedelta(hours=1))[0]
    assert (second["failure"]["since"], second["failure"]["requestID"]) == ("2026-01-01T12:00:00Z", "r-2")


@pytest.mark.parametrize(
    ("failure", "name"),
    [
        (Failure("AccessDeniedException"), "Denied"),
        (Failure("AccessDeniedException", kms=True), "KMS"),
        (Failure("KeyNotInScope"), "Denied"),
        (Failure("ResourceNotFoundException"), "NotFound"),
        (Failure("ParameterNotFound"), "NotFound"),
        (Failure("InvalidRequestException"), "PendingDeletion"),
        (Failure("ThrottlingException"), "Throttled"),
        (Failure("EndpointConnection"), "Network"),
        (Failure("ValidationException"), "Invalid"),
    ],
)
def test_the_class_says_whose_turn_it_is(failure, name):
    assert failure.name == name


@pytest.mark.parametrize("version", ["pl4nted-s3cret", "hunter2", "x" * 32, "1" * 40, "terraform-pl4nted"])
def test_a_version_that_its_writer_named_is_not_told(version):
    assert "version" not in one([], seen(version=version))[0]


@given(st.lists(st.tuples(KEYS, st.booleans(), st.none() | FAILURES), max_size=8))
def test_rows_say_each_thing_once_and_never_lose_what_is_held(history):
    held, said = {}, []
    for key, written, code in history:
        failure = Failure(code) if code else None
        said = rows(said, Truth((seen(key, failure=failure),), written and not code), NOON)
        if written and not code:
            held = {key: FIRST}
        names = [row["key"] for row in said]
        assert len(names) == len(set(names))
        assert {row["key"]: row["version"] for row in said if "version" in row} == held


def test_authorized_follows_real_reads_and_other_failures_leave_it():
    yes = authorized([], Truth((seen(),)), NOON)
    assert condition_of(yes, "Authorized")["status"] == "True"
    away = authorized(yes, Truth((seen(failure=Failure("ThrottlingException")),)), NOON)
    assert away == yes
    no = authorized(yes, Truth((seen(failure=Failure("AccessDeniedException")),), message="key 'db'"), NOON)
    said = condition_of(no, "Authorized")
    assert (said["status"], said["reason"], said["message"]) == ("False", "AccessDeniedException", "key 'db'")


async def test_a_key_out_of_scope_is_denied_though_aws_was_not_asked():
    bench = Bench(secrets={"a": "x"})
    bench.tools.stores._policy = StorePolicy(True, (Scope(prefixes=("other/",)),))
    await bench.fails(an_external_secret(data=[a_value("k", "a")]))
    status = await bench.status()
    assert (status["sources"][0]["key"], status["sources"][0]["failure"]["class"]) == ("a", "Denied")
    assert condition_of(status["conditions"], "Authorized")["reason"] == "KeyNotInScope"
    assert bench.aws.calls == []


async def test_the_status_has_a_row_for_every_key_and_the_cause_of_a_failure():
    bench = Bench(secrets={"a": "x", "b": "y"}, parameters={"p": "z"})
    own = {"sourceRef": {"storeRef": {"name": "params"}}}
    await bench.sync(an_external_secret(data=[a_value("k", "a"), a_value("l", "b"), {**a_value("m", "p"), **own}]))
    status = await bench.status()
    assert [(row["store"], row["key"], row.get("version")) for row in status["sources"]] == [
        ("aws", "a", None),
        ("aws", "b", None),
        ("params", "p", "3"),
    ]
    assert condition_of(status["conditions"], "Authorized")["status"] == "True"
    bench.aws.refuse["GetParameter"] = "AccessDeniedException"
    await bench.change({"metadata": {"annotations": {"force-sync": "1"}}})
    await bench.fails()
    status = await bench.status()
    row = status["sources"][2]
    assert (row["version"], row["failure"]["class"]) == ("3", "Denied")
    said = condition_of(status["conditions"], "Authorized")
    assert (said["status"], "key 'p'" in said["message"], "request r-" in said["message"]) == ("False", True, True)
