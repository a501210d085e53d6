"""Another authority for a control plane: nobody who kept up is ever turned away, and the old one goes last."""

from __future__ import annotations

import base64
import contextlib
import json
from datetime import timedelta

import pytest

from keyless.kube.resources import CONFIGMAPS, CONTROLPLANES, SECRETS
from keyless.space.kubernetes.authorities import Authorities, Authority, authorities_of
from keyless.space.kubernetes.certificates import make_keys
from unit.space.trusting import CTP1, MADE, Trusting, is_signed, one_line
from unit.space.world import NOON, Interrupted

AUTHORITY = "control-plane-authority"
YEARS = timedelta(days=365)
#: years of looks
pytestmark = pytest.mark.timeout(300)
HANDED_ON = {"metadata": {"name": "extension-apiserver-authentication", "namespace": "kube-system"}}


@pytest.fixture
async def world():
    made = Trusting()
    yield made
    await made.tenants.aclose()


async def _ready(world: Trusting) -> str:
    found = await world.condition("Ready")
    assert found is not None
    return str(found["reason"])


async def _until(world: Trusting, reason: str, *, by: timedelta = timedelta(minutes=5), limit: int = 60) -> int:
    """How many looks it took until that was told."""
    for number in range(limit):
        await world.pass_time(by)
        if (await world.told())[1] == reason:
            return number
    raise AssertionError(await world.told())


def _authority(world: Trusting) -> str:
    """Who signed what is shown."""
    every = world.secret("control-plane-keys")["ca.crt"], *_kept(world)
    (found,) = {each for each in every if is_signed(world.certificate, each, world.clock)}
    return found


def _kept(world: Trusting) -> list[str]:
    held = world.secret(AUTHORITY)
    return [each["certificate"] for each in json.loads(held["authorities"])["authorities"]] if held else []


@pytest.mark.parametrize("restarts", [False, True], ids=["nothing restarts it", "it is upgraded meanwhile"])
async def test_ten_years_pass_without_anybody_being_turned_away(world: Trusting, restarts: bool) -> None:
    await world.made()
    old = world.secret("control-plane-keys")["ca.crt"]
    await world.leap(7.9 * YEARS)
    assert (await world.told())[1] == "AuthorityInUse"
    given: list[tuple[object, str]] = []
    starts, reasons = world.starts, []
    for number in range(90):
        await world.pass_time(timedelta(days=9))
        if restarts and number == 40:
            world.restart_pod()
        assert await _ready(world) == "Available", number
        given += [(world.clock, each) for each in world.bundles()]
        # Whoever fetched it within the last year and a half is served.
        late = {each for at, each in given if world.clock - at < timedelta(days=540)}
        assert all(is_signed(world.certificate, each, world.clock) for each in late), number
        if (await world.told())[1] not in reasons[-1:]:
            reasons.append((await world.told())[1])
    assert reasons == ["AuthorityInUse", "AuthorityRotating", "AuthorityInUse"]
    assert world.starts - starts == 1, "once, by whoever else, or by us in the end"
    assert _authority(world) != old
    assert all(old not in each for each in world.bundles())
    assert "the authority holds" in (await world.told())[2]


async def test_one_that_is_asked_for_ends_the_old_one_within_three_hours(world: Trusting) -> None:
    namespace = await world.made()
    world.inside(namespace).put(CONFIGMAPS, HANDED_ON)
    old, starts = _authority(world), world.starts
    await world.ask()
    began, seen = world.clock, []
    for _ in range(150):
        before = world.bundles()
        await world.pass_time(timedelta(seconds=90))
        assert all(is_signed(world.certificate, each, world.clock) for each in before)
        assert await _ready(world) == "Available"
        seen.append((await world.told())[2].split(": ")[0])
        if len(seen) > 5 and (await world.told())[1] == "AuthorityInUse":
            break
    assert timedelta(hours=2) < world.clock - began < timedelta(hours=3)
    steps = [each for number, each in enumerate(seen) if each not in seen[:number] and "changes" in each]
    assert steps == [f"the authority changes, step {number} of 3" for number in (1, 2, 3)]
    assert world.starts - starts == 2, "once to trust the new one, once to forget the old one"
    assert _authority(world) != old
    everywhere = [*world.bundles(), world._read["ca.crt"], world._started["ca.crt"]]
    assert all(one_line(each) != one_line(old) and each.count("BEGIN") == 1 for each in everywhere)
    left = [each["metadata"]["name"] for each in world.inside(namespace).stored(CONFIGMAPS)]
    assert "extension-apiserver-authentication" not in left, "kube-apiserver makes it anew, without the old one"
    assert "PRIVATE" not in json.dumps(await world.plane())
    # Once is once.
    for _ in range(5):
        await world.pass_time()
    assert (await world.told())[1] == "AuthorityInUse"


async def test_one_that_is_asked_for_while_another_is_handed_out_leaves_neither_of_that_day(world: Trusting) -> None:
    await world.made()
    await world.leap(8.1 * YEARS)
    await _until(world, "AuthorityRotating", by=timedelta(days=1))
    await world.pass_time()
    of_that_day = {*map(one_line, _kept(world))}
    assert len(of_that_day) == 2
    await world.ask()
    for _ in range(120):
        await world.pass_time(timedelta(minutes=5))
    assert (await world.told())[1] == "AuthorityInUse"
    assert one_line(_authority(world)) not in of_that_day
    assert of_that_day.isdisjoint(map(one_line, _kept(world)))


async def test_operators_that_are_killed_after_each_write_end_a_change_together(world: Trusting) -> None:
    await world.made()
    old, lives = _authority(world), 0
    await world.ask()
    for _ in range(400):
        # Certificates are three writes, begun anew by each life: every other one gets so far.
        world.fail_at(4 if lives % 2 else 1)
        with contextlib.suppress(Interrupted):
            before = world.bundles()
            await world.pass_time(timedelta(minutes=2))
            assert all(is_signed(world.certificate, each, world.clock) for each in before)
            if len(_kept(world)) == 1 and one_line(_kept(world)[0]) != one_line(old):
                break
            continue
        lives += 1
        world.fail_at(None)
        world.play()
        await world.tenants.aclose()
        world.start()
    world.fail_at(None)
    await _until(world, "AuthorityInUse")
    assert lives >= 4, "a change is made of more writes than that"
    assert _authority(world) != old
    assert len(_kept(world)) == 1


@pytest.mark.parametrize("away", [10 * YEARS, 25 * YEARS])
@pytest.mark.parametrize("paused", [False, True], ids=["running", "paused"])
async def test_an_authority_that_ended_while_the_operator_was_away_is_replaced_and_that_is_told(
    world: Trusting, away: timedelta, paused: bool
) -> None:
    await world.made()
    old, keys = _authority(world), world.secret("control-plane-keys")
    state = {"spec": {"crossplane": {"state": "Paused" if paused else "Running"}}}
    await world.host.patch(CONTROLPLANES, CTP1.name, state, CTP1.namespace)
    await world.settle()
    await world.tenants.aclose()
    world.clock += away + timedelta(days=3)
    world.start()
    await world.settle()
    if paused:
        assert await _ready(world) == "Paused"
        running = {"spec": {"crossplane": {"state": "Running"}}}
        await world.host.patch(CONTROLPLANES, CTP1.name, running, CTP1.namespace)
    for _ in range(6):
        await world.pass_time()
    assert await _ready(world) == "Available"
    _status, reason, message = await world.told()
    assert reason == "AuthorityReplaced"
    assert "the authority had ended" in message
    assert "fetch them anew" in message
    assert _authority(world) != old
    assert world.secret("control-plane-keys") == keys
    for _ in range(60):
        await world.pass_time(timedelta(minutes=5))
    assert all(each.count("BEGIN") == 1 for each in world.bundles())
    await world.leap(timedelta(days=31))
    assert (await world.told())[1] == "AuthorityInUse"


async def test_an_authority_that_ends_while_its_successor_is_handed_out_is_followed_by_that_one(
    world: Trusting,
) -> None:
    await world.made()
    await world.leap(8.1 * YEARS)
    await _until(world, "AuthorityRotating", by=timedelta(days=1))
    await world.pass_time()
    _first, second = _kept(world)
    await world.leap(2 * YEARS)
    assert await _ready(world) == "Available"
    assert one_line(_authority(world)) == one_line(second)
    assert (await world.told())[1] == "AuthorityReplaced"


@pytest.mark.parametrize("spoil", ["gone", "garbage", "another key"])
async def test_authorities_that_are_lost_are_made_anew_and_that_is_told(world: Trusting, spoil: str) -> None:
    namespace = await world.made()
    await world.ask()
    for _ in range(60):
        await world.pass_time(timedelta(minutes=5))
    lost = _authority(world)
    assert _kept(world) == [lost]
    if spoil == "gone":
        await world.host.delete(SECRETS, AUTHORITY, namespace)
    else:
        document = {}
        if spoil == "another key":
            secret = await world.host.get(SECRETS, AUTHORITY, namespace)
            document = json.loads(base64.b64decode(secret["data"]["authorities"]))
            document["authorities"][0]["key"] = make_keys("another", world.clock)["ca.key"]
        garbage = {"data": {"authorities": base64.b64encode(json.dumps(document).encode()).decode()}}
        await world.host.patch(SECRETS, AUTHORITY, garbage, namespace)
    for _ in range(8):
        await world.pass_time()
    assert await _ready(world) == "Available"
    status, reason, message = await world.told()
    assert (status, reason) == ("True", "AuthorityReplaced")
    assert "was lost with its Secret" in message
    for _ in range(60):
        await world.pass_time(timedelta(minutes=5))
    assert one_line(_authority(world)) not in {one_line(lost), one_line(world.secret("control-plane-keys")["ca.crt"])}
    assert all(each.count("BEGIN") == 1 for each in world.bundles())


async def test_files_that_are_not_read_are_told_with_the_next_step_and_the_old_one_counts(world: Trusting) -> None:
    namespace = await world.made()
    old = _authority(world)
    world.lag = timedelta(days=9)
    await world.ask()
    for _ in range(8):
        await world.pass_time(timedelta(minutes=3))
    status, reason, message = await world.told()
    assert (status, reason) == ("False", "AuthorityNotRead")
    assert f"kubectl rollout restart statefulset control-plane -n {namespace}" in message
    assert _authority(world) == old
    assert await _ready(world) == "Available"
    world.lag = timedelta(seconds=10)
    await _until(world, "AuthorityInUse")


async def test_without_a_word_of_the_controllers_the_old_one_goes_on_signing(world: Trusting) -> None:
    await world.made()
    old = _authority(world)
    world.silent_manager = True
    await world.ask()
    for _ in range(40):
        await world.pass_time(timedelta(minutes=5))
    assert (await world.told())[1] == "AuthorityNotRead"
    assert _authority(world) == old


async def test_a_clock_that_went_astray_and_came_back_is_survived(world: Trusting) -> None:
    """What was made in the future counts for nobody until then."""
    await world.made()
    before = world.clock
    await world.leap(15 * YEARS)
    assert await _ready(world) == "Available"
    world.clock = before
    for _ in range(12):
        await world.pass_time()
    assert await _ready(world) == "Available"
    assert is_signed(world.secret(MADE)["api-server.crt"], world.bundles()[0], world.clock)


WHOLE = {"stage": "current", "since": "2026-11-22T12:00:00Z", "asked": "", "quick": False, "restart": "", "why": ""}


@pytest.mark.parametrize(
    "broken",
    [
        {"authorities": []},
        {"authorities": [{"certificate": "no", "key": ""}]},
        {"authorities": [{"certificate": 7, "key": ""}]},
        {"stage": "added"},
        {"stage": "other"},
        {"since": "2026-11-22T12:00:00"},
        {"since": "soon"},
        {"quick": "yes"},
        {"why": "bored"},
        {"restart": 1},
    ],
)
def test_a_secret_that_is_not_whole_is_none(broken: dict[str, object]) -> None:
    keys = make_keys("any", NOON)
    every = [{"certificate": keys["ca.crt"], "key": keys["ca.key"]}]
    for change, whole in ((broken, False), ({}, True)):
        text = json.dumps({"authorities": every, **WHOLE, **change}).encode()
        found = authorities_of({"data": {"authorities": base64.b64encode(text).decode()}})
        assert (found is not None) is whole
    assert found == Authorities((Authority(keys["ca.crt"], keys["ca.key"]),), NOON)
    assert keys["ca.key"] not in repr(found)
