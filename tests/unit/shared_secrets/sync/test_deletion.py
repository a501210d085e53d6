"""What is missing goes only after several looks, and never all at once."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyless.kube import Invalid, Name
from keyless.kube.errors import failure_status
from keyless.kube.resources import EXTERNALSECRETS, SECRETS
from keyless.shared_secrets.sync.deletion import ALLOW, Guard, Population, held, missed
from unit.shared_secrets.bench import UNGUARDED, Bench, db
from unit.shared_secrets.fakes import a_value, an_external_secret

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ALONE = Population(secrets=10, missing=1, gone=0)
DELETE, DROP = {"deletionPolicy": "Delete"}, {"deletionPolicy": "Merge"}


@given(
    st.lists(st.floats(0, 900), min_size=1, max_size=12),
    st.integers(0, 5),
    st.floats(0, 1200),
)
def test_nothing_goes_before_the_misses_and_the_time_are_full(waits, misses, seconds):
    guard, now, missing = Guard(misses=misses, seconds=seconds), NOON, None
    for looks, wait in enumerate(waits, 1):
        missing = missed(missing, None, guard, now)
        if held(missing, guard, ALONE, now, released=False) is None:
            assert looks >= misses
            assert (now - NOON).total_seconds() >= seconds - 0.001
            return
        now += timedelta(seconds=wait)


@given(st.integers(1, 8), st.floats(60, 3600))
def test_looked_at_when_it_says_it_goes_in_as_many_looks_as_set(misses, seconds):
    guard, now, missing = Guard(misses=misses, seconds=seconds), NOON, None
    for _look in range(misses + 2):
        missing = missed(missing, None, guard, now)
        waits = held(missing, guard, ALONE, now, released=False)
        if waits is None:
            break
        now += timedelta(seconds=waits.again_seconds)
    assert waits is None
    assert missing.times <= misses + 1


@given(st.integers(0, 2000), st.integers(0, 100), st.integers(0, 10), st.integers(1, 2000), st.integers(0, 2000))
def test_a_mass_is_held_past_the_share_and_the_least(secrets, percent, least, missing, gone):
    guard = Guard(misses=0, seconds=0, percent=percent, least=least)
    waits = held(missed(None, None, guard, NOON), guard, Population(secrets, missing, gone), NOON, released=False)
    too_many = percent > 0 and missing + gone > max(least, secrets * percent // 100)
    assert (waits is not None) == too_many
    assert held(missed(None, None, guard, NOON), guard, Population(secrets, missing, gone), NOON, released=True) is None


def test_looks_that_come_too_soon_count_once_and_a_restart_keeps_the_time():
    guard = Guard()
    first = missed(None, None, guard, NOON)
    assert missed(first, None, guard, NOON + timedelta(seconds=298)) == first
    condition = {"status": "True", "lastTransitionTime": "2026-01-01T11:00:00Z"}
    again = missed(None, condition, guard, NOON)
    assert (again.times, again.since) == (1, NOON - timedelta(hours=1))
    assert missed(None, {**condition, "status": "False"}, guard, NOON).since == NOON


async def a_missing(target, rules=None, **spec):
    bench = Bench(rules, secrets={"db/password": "one"})
    await bench.sync(db(refreshInterval="1h", target=target, **spec))
    bench.aws.secrets.clear()
    bench.now += timedelta(hours=1)
    return bench


async def test_a_secret_in_use_goes_at_the_third_miss_after_ten_minutes():
    bench = await a_missing(DELETE)
    for look in (1, 2):
        assert await bench.sync() == 300
        status, reason, message = await bench.ready()
        assert (status, reason) == ("False", "DeletionHeld")
        assert f"read {look} of 3 times" in message
        assert "kubectl -n app annotate externalsecret db keyless.dev/allow-deletion=true" in message
        assert await bench.data() == {"password": "one"}
        bench.now += timedelta(seconds=300)
    await bench.sync()
    assert (await bench.ready())[:2] == ("True", "SecretDeleted")
    assert bench.kube.stored(SECRETS, "app") == []


async def test_what_wakes_the_loop_in_between_is_no_look():
    bench = await a_missing(DELETE)
    await bench.sync()
    calls = len(bench.aws.calls)
    for _ in range(10):
        bench.now += timedelta(seconds=20)
        assert await bench.sync() < 300
    assert len(bench.aws.calls) == calls


async def test_a_source_that_is_back_ends_it_and_the_count():
    bench = await a_missing(DELETE)
    await bench.sync()
    bench.aws.secrets["db/password"] = "two"
    bench.now += timedelta(seconds=300)
    await bench.sync()
    assert await bench.data() == {"password": "two"}
    assert condition(await bench.status())["status"] == "False"
    bench.aws.secrets.clear()
    bench.now += timedelta(hours=1)
    await bench.sync()
    assert "read 1 of 3 times" in (await bench.ready())[2]


async def test_a_failure_in_between_is_neither_a_miss_nor_a_return():
    bench = await a_missing(DELETE)
    await bench.sync()
    bench.now += timedelta(seconds=300)
    bench.aws.refuse["GetSecretValue"] = "AccessDeniedException"
    await bench.fails()
    bench.now += timedelta(seconds=300)
    bench.aws.refuse.clear()
    await bench.sync()
    assert "read 2 of 3 times" in (await bench.ready())[2]
    assert await bench.data() == {"password": "one"}


async def test_a_restart_keeps_the_time_and_counts_anew():
    bench = await a_missing(DELETE)
    await bench.sync()
    bench.now += timedelta(seconds=300)
    bench.restart()
    await bench.sync()
    message = (await bench.ready())[2]
    assert "read 1 of 3 times over 300 of 600 s" in message
    assert await bench.data() == {"password": "one"}


async def test_where_the_definition_knows_no_such_condition_ready_says_it_alone():
    """Beside External Secrets it may be theirs."""
    bench = await a_missing(DELETE)
    ordinary = bench.kube.admit

    def admit(operation, plural, obj):
        for condition in (obj.get("status") or {}).get("conditions") or ():
            if plural == "externalsecrets" and condition["type"] not in {"Ready", "Deleted"}:
                raise Invalid(failure_status(422, "Invalid", "Unsupported value"))
        return ordinary(operation, plural, obj)

    bench.kube.admit = admit
    await bench.sync()
    assert (await bench.ready())[:2] == ("False", "DeletionHeld")
    assert await bench.data() == {"password": "one"}


async def test_a_person_lets_it_go_at_once():
    bench = await a_missing(DELETE)
    await bench.sync()
    await bench.change({"metadata": {"annotations": {ALLOW: "true"}}})
    await bench.sync()
    assert bench.kube.stored(SECRETS, "app") == []


async def test_external_secrets_own_way_lets_go_at_the_first_miss():
    bench = await a_missing(DELETE, UNGUARDED)
    await bench.sync()
    assert bench.kube.stored(SECRETS, "app") == []


@pytest.mark.parametrize(
    "target", [DELETE, DROP, {**DROP, "creationPolicy": "Merge"}, {**DROP, "creationPolicy": "Orphan"}]
)
async def test_keys_of_a_secret_in_use_are_held_as_secrets_are(target):
    bench = Bench(secrets={"a": "1", "b": "2"})
    if target.get("creationPolicy") == "Merge":
        bench.kube.put(SECRETS, {"metadata": {"name": "db", "namespace": "app"}, "data": {"own": "eA=="}})
    spec = {"data": [a_value("a", "a"), a_value("b", "b")], "target": target}
    await bench.sync(an_external_secret(refreshInterval="1h", **spec))
    before = await bench.data()
    del bench.aws.secrets["a"]
    bench.now += timedelta(hours=1)
    for _ in range(2):
        assert await bench.sync() == 300
        assert await bench.data() == before
        assert (await bench.ready())[1] == "DeletionHeld"
        bench.now += timedelta(seconds=300)
    await bench.sync()
    assert await bench.data() == {key: value for key, value in before.items() if key != "a"}
    bench.aws.secrets["b"] = "3"
    bench.now += timedelta(hours=1)
    await bench.sync()
    assert (await bench.data())["b"] == "3", "what already went holds nothing back"


@pytest.mark.parametrize("target", [DELETE, DROP])
@pytest.mark.parametrize("code", ["InvalidRequestException", "InvalidParameterException"])
async def test_what_waits_for_its_deletion_deletes_nothing_however_long(target, code):
    bench = Bench(UNGUARDED, secrets={"db/password": "one"})
    await bench.sync(db(refreshInterval="1h", target=target))
    text = "You can't perform this operation on the secret because it was marked for deletion."
    bench.aws.GetSecretValue = lambda **_: bench.aws._no("GetSecretValue", code, text)
    for _ in range(30):
        bench.now += timedelta(hours=1)
        assert (await bench.fails())[1] == "SecretSyncedError"
        assert await bench.data() == {"password": "one"}
    assert text in (await bench.ready())[2]
    del bench.aws.GetSecretValue
    bench.now += timedelta(hours=1)
    await bench.sync()
    assert (await bench.ready())[0] == "True"


@pytest.mark.parametrize("code", ["InvalidRequestException", "InvalidParameterException"])
async def test_what_waits_for_its_deletion_is_missing_in_external_secrets_way(code):
    bench = Bench({**UNGUARDED, "pending_is_missing": True}, secrets={"db/password": "one"})
    await bench.sync(db(refreshInterval="1h", target=DELETE))
    text = "You can't perform this operation on the secret because it was marked for deletion."
    bench.aws.GetSecretValue = lambda **_: bench.aws._no("GetSecretValue", code, text)
    bench.now += timedelta(hours=2)
    await bench.sync()
    assert (await bench.ready())[:2] == ("True", "SecretDeleted")


@pytest.mark.parametrize("target", [DELETE, DROP])
async def test_a_name_that_no_parameter_can_have_is_never_missing(target):
    bench = Bench(UNGUARDED, parameters={"/k": "one"})
    spec = {"secretStoreRef": {"name": "params"}, "target": target, "refreshInterval": "1h"}
    await bench.sync(an_external_secret(data=[a_value("k", "/k")], **spec))
    text = (
        'Parameter name: can\'t be prefixed with "ssm" (case-insensitive). If formed as a path, it can consist of '
        "sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and the following "
        "3 symbols .-_"
    )
    bench.aws.GetParameter = lambda **_: bench.aws._no("GetParameter", "ValidationException", text)
    for key in ("xxx/yyy", "/k/"):
        await bench.change({"spec": {"data": [a_value("k", key)]}})
        assert text in (await bench.fails())[2]
        assert await bench.data() == {"k": "one"}


async def test_a_control_plane_that_loses_sight_of_everything_loses_nothing():
    """A wrong account: every secret is missing at the same time."""
    bench = Bench(secrets={f"s{n}": "x" for n in range(10)})
    bench.count = 10
    for n in range(10):
        await bench.sync(an_external_secret(f"e{n}", data=[a_value("k", f"s{n}")], target=DELETE))
    kept, bench.aws.secrets = bench.aws.secrets, {}
    for hour in range(20):
        bench.now += timedelta(hours=1)
        for n in range(10):
            await bench.sync(name=f"e{n}")
        if hour == 5:
            bench.restart()
    assert len(bench.kube.stored(SECRETS, "app")) == 10
    assert "the sources of 10 of 10 Secrets are missing at once, 3 may go unasked" in (await bench.ready("e0"))[2]
    await bench.change({"metadata": {"annotations": {ALLOW: "true"}}}, "e0")
    await bench.sync(name="e0")
    assert len(bench.kube.stored(SECRETS, "app")) == 9
    bench.aws.secrets = kept
    bench.now += timedelta(hours=1)
    for n in range(10):
        await bench.sync(name=f"e{n}")
    assert len(bench.kube.stored(SECRETS, "app")) == 10


async def test_what_went_within_the_hour_counts_with_what_is_missing_now():
    bench = Bench(secrets={f"s{n}": "x" for n in range(6)})
    bench.count = 6
    names = [f"e{n}" for n in range(6)]
    for n, name in enumerate(names):
        await bench.sync(an_external_secret(name, data=[a_value("k", f"s{n}")], target=DELETE, refreshInterval="1m"))
    for n in range(4):
        bench.aws.secrets.pop(f"s{n}")
        for _ in range(3):
            bench.now += timedelta(seconds=300)
            bench.count = len(bench.kube.stored(SECRETS, "app"))
            await bench.controller.reconcile(Name("app", names[n]))
    assert len(bench.kube.stored(SECRETS, "app")) == 3
    assert (await bench.ready("e3"))[1] == "DeletionHeld"
    bench.now += timedelta(hours=2)
    await bench.sync(name="e3")
    assert len(bench.kube.stored(SECRETS, "app")) == 2
    assert len(bench.kube.stored(EXTERNALSECRETS, "app")) == 6


def condition(status):
    return next(c for c in status["conditions"] if c["type"] == "DeletionHeld")
