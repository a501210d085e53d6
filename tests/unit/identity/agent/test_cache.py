import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta

import pytest

from keyless.api import Permanent, Transient
from keyless.identity.agent.cache import CredentialCache
from keyless.identity.agent.model import PodCredentials

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def a_token(pod, number=1, lives=24 * HOUR):
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    claims = {"exp": (NOON + lives).timestamp(), "n": number, "kubernetes.io": {"pod": {"uid": pod}}}
    return f"{part({'alg': 'RS256'})}.{part(claims)}.sig"


class Fake:
    """EKS Auth and a clock."""

    def __init__(self, lifetime=6 * HOUR, **limits):
        self.now, self.lifetime, self.error = NOON, lifetime, None
        self.asked, self.outcomes, self.gate = [], [], None
        limits = {"retention": 3 * HOUR, "size": 10, **limits}
        self.cache = CredentialCache(self.fetch, now=lambda: self.now, observe=self.outcomes.append, **limits)

    async def fetch(self, token):
        self.asked.append(token)
        if self.gate:
            await self.gate.wait()
        if self.error:
            raise self.error
        return PodCredentials(f"ASIA{len(self.asked)}", "s", "t", self.now + self.lifetime)


async def test_the_second_question_is_answered_from_the_cache():
    fake = Fake()
    assert await fake.cache.get("a") == await fake.cache.get("a")
    assert fake.asked == ["a"]
    assert fake.outcomes == ["miss", "hit"]


async def test_each_token_has_its_own_credentials():
    fake = Fake()
    assert await fake.cache.get("a") != await fake.cache.get("b")


async def test_many_questions_at_once_are_one_call():
    fake = Fake()
    fake.gate = asyncio.Event()
    waiting = [asyncio.create_task(fake.cache.get("a")) for _ in range(5)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    fake.gate.set()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert fake.asked == ["a"]
    assert isinstance(answers[0], asyncio.CancelledError)
    assert len({answer.access_key_id for answer in answers[1:]}) == 1


@pytest.mark.parametrize(
    ("lifetime", "after", "renewed"),
    [
        (6 * HOUR, 3 * HOUR - timedelta(seconds=1), False),
        (6 * HOUR, 3 * HOUR, True),
        (HOUR, timedelta(minutes=39), False),
        (HOUR, timedelta(minutes=40), True),
    ],
)
async def test_credentials_are_renewed_before_an_sdk_would_call_them_old(lifetime, after, renewed):
    fake = Fake(lifetime)
    await fake.cache.get("a")
    fake.now += after
    await fake.cache.get("a")
    assert len(fake.asked) == (2 if renewed else 1)


async def test_while_upstream_is_away_what_still_holds_is_served():
    fake = Fake(HOUR)
    first = await fake.cache.get("a")
    fake.error = Transient("busy")
    fake.now += timedelta(minutes=50)
    assert await fake.cache.get("a") == first
    fake.now += timedelta(minutes=10)
    with pytest.raises(Transient):
        await fake.cache.get("a")


async def test_a_refusal_drops_what_was_held():
    fake = Fake(HOUR)
    await fake.cache.get("a")
    fake.error = Permanent("no association")
    fake.now += timedelta(minutes=50)
    for _ in range(2):
        with pytest.raises(Permanent):
            await fake.cache.get("a")
    assert len(fake.cache) == 0
    assert fake.outcomes.count("evicted") == 1


async def test_the_cache_is_bounded_and_drops_what_expired():
    fake = Fake(HOUR, size=2)
    for token in "abc":
        await fake.cache.get(token)
    assert len(fake.cache) == 2
    fake.now += 2 * HOUR
    await fake.cache.get("d")
    assert len(fake.cache) == 1


@pytest.mark.parametrize("limits", [{"size": 0}, {"retention": timedelta(0)}])
async def test_nothing_is_kept_without_a_cache(limits):
    fake = Fake(**limits)
    await fake.cache.get("a")
    await fake.cache.get("a")
    assert len(fake.asked) == 2


async def test_what_a_pod_was_given_goes_with_the_pod():
    fake = Fake()
    for pod in ("u1", "u2"):
        await fake.cache.get(a_token(pod))
    fake.cache.forget("u1")
    fake.cache.forget("never seen")
    await fake.cache.get(a_token("u2"))
    assert (len(fake.cache), len(fake.asked)) == (1, 2)
    # EKS Auth believes its token for a while yet: what it says then is passed on, never kept.
    for asked in (3, 4):
        await fake.cache.get(a_token("u1"))
        assert (len(fake.cache), len(fake.asked)) == (1, asked)


async def test_a_pod_that_goes_while_its_credentials_are_on_their_way_leaves_none():
    fake = Fake()
    fake.gate = asyncio.Event()
    waiting = asyncio.create_task(fake.cache.get(a_token("u1")))
    await asyncio.sleep(0)
    fake.cache.forget("u1")
    fake.gate.set()
    await waiting
    assert len(fake.cache) == 0


async def test_no_more_pods_are_remembered_as_gone_than_may_have_credentials():
    fake = Fake(size=2)
    for number in range(100):
        fake.cache.forget(f"u{number}")
    for number in (97, 98):
        await fake.cache.get(a_token(f"u{number}"))
    assert len(fake.cache) == 1


async def test_a_pod_has_one_entry_that_of_its_newest_token():
    fake = Fake()
    for number in range(5):
        await fake.cache.get(a_token("u1", number))
    assert len(fake.cache) == 1
    await fake.cache.get(a_token("u1", 4))
    assert len(fake.asked) == 5


async def test_a_token_that_ended_keeps_nothing():
    fake = Fake()
    await fake.cache.get(a_token("u1", lives=HOUR))
    fake.now += 2 * HOUR
    await fake.cache.get(a_token("u2"))
    assert len(fake.cache) == 1


async def test_a_token_that_was_refused_pushes_nobody_out():
    """Its uid is the sender's own word until EKS Auth has taken it."""
    fake = Fake()
    await fake.cache.get(a_token("u1"))
    fake.error = Permanent("InvalidToken")
    with pytest.raises(Permanent):
        await fake.cache.get(a_token("u1", number=666))
    fake.error = None
    await fake.cache.get(a_token("u1"))
    assert len(fake.asked) == 2


@pytest.mark.parametrize(
    "claims", [[], {"kubernetes.io": []}, {"kubernetes.io": {"pod": "x"}}, {"exp": 1e300}, {"exp": "x"}]
)
async def test_a_token_that_says_nothing_of_its_pod_is_served_like_any(claims):
    fake = Fake()
    text = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    token = f"{text}.{text}.sig"
    assert await fake.cache.get(token) == await fake.cache.get(token)


async def test_what_is_held_is_answered_in_the_bytes_that_were_made_when_it_came():
    fake, token = Fake(), a_token("p1")
    assert fake.cache.answer(token) is None
    credentials = await fake.cache.get(token)
    assert fake.cache.answer(token) == credentials.body()
    assert fake.asked == [token]


@pytest.mark.parametrize("passed", [3 * HOUR, 6 * HOUR - timedelta(minutes=20), 24 * HOUR])
async def test_what_is_due_or_over_is_not_answered_without_a_look(passed):
    fake, token = Fake(), a_token("p1")
    await fake.cache.get(token)
    fake.now += passed - timedelta(seconds=1) if passed == 3 * HOUR else timedelta(0)
    assert fake.cache.answer(token) is not None
    fake.now = NOON + passed
    assert fake.cache.answer(token) is None


async def test_a_token_that_has_expired_is_answered_nothing_from_what_was_held():
    fake, token = Fake(), a_token("p1", lives=HOUR)
    await fake.cache.get(token)
    fake.now += HOUR
    assert fake.cache.answer(token) is None
