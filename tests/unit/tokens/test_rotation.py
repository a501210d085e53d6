"""Rotation: no verifier meets an unknown key, no key leaves before its tokens, from any interruption."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyless.tokens.rotation import Act, Ring, RingKey, Schedule, State, Step, apply, emergency, next_steps

SCHEDULE = Schedule(rotate_after=1000, cache_seconds=100, token_seconds=300)


def settle(ring: Ring, now: int) -> Ring:
    """Take every due step, naming new keys by the time they were made."""
    while steps := next_steps(ring, SCHEDULE, now=now):
        step = steps[0]
        ring = apply(ring, Step(step.act, step.kid or f"key-{now}"), now=now)
    return ring


def states(ring: Ring) -> dict[str, str]:
    return {key.kid: key.state.value for key in ring.keys}


def test_the_first_key_signs_at_once() -> None:
    assert states(settle(Ring(), 0)) == {"key-0": "Signing"}


def test_a_successor_is_published_one_cache_life_before_it_signs() -> None:
    ring = settle(Ring(), 0)
    assert states(settle(ring, 899)) == {"key-0": "Signing"}
    ring = settle(ring, 900)
    assert states(ring) == {"key-0": "Signing", "key-900": "Published"}
    assert states(settle(ring, 999)) == {"key-0": "Signing", "key-900": "Published"}
    assert states(settle(ring, 1000)) == {"key-0": "Retiring", "key-900": "Signing"}


def test_a_retiring_key_stays_until_its_last_token_has_expired() -> None:
    ring = settle(settle(settle(Ring(), 0), 900), 1000)
    assert "key-0" in states(settle(ring, 1299))
    assert "key-0" not in states(settle(ring, 1300))


def test_a_late_rotation_still_waits_for_the_caches() -> None:
    ring = settle(settle(Ring(), 0), 5000)
    assert states(settle(ring, 5099)) == {"key-0": "Signing", "key-5000": "Published"}
    assert states(settle(ring, 5100)) == {"key-0": "Retiring", "key-5000": "Signing"}


def test_a_successor_that_was_published_early_signs_as_soon_as_caches_may_hold_it() -> None:
    ring = apply(settle(Ring(), 0), Step(Act.PUBLISH, "early"), now=200)
    assert states(settle(ring, 299)) == {"key-0": "Signing", "early": "Published"}
    assert states(settle(ring, 300)) == {"key-0": "Retiring", "early": "Signing"}


def test_a_key_whose_tokens_were_counted_goes_with_the_last_of_them() -> None:
    ring = Ring((RingKey("a", State.RETIRING, 0, tokens_until=7), RingKey("b", State.SIGNING, 0)))
    assert "a" in states(settle(ring, 6))
    assert "a" not in states(settle(ring, 7))
    unused = Ring((RingKey("a", State.RETIRING, 0, tokens_until=0), RingKey("b", State.SIGNING, 0)))
    assert "a" not in states(settle(unused, 0))


def test_a_lost_signing_key_goes_at_once_and_the_waiting_one_signs() -> None:
    ring = settle(settle(Ring(), 0), 900)
    rest, steps = emergency(ring, lost="key-0")
    assert (states(rest), steps) == ({"key-900": "Published"}, (Step(Act.SIGN, "key-900"),))
    assert states(apply(rest, steps[0], now=901)) == {"key-900": "Signing"}


def test_a_lost_only_key_makes_room_for_a_new_one() -> None:
    rest, steps = emergency(settle(Ring(), 0), lost="key-0")
    assert (rest, steps) == (Ring(), (Step(Act.PUBLISH),))
    assert states(settle(rest, 5)) == {"key-5": "Signing"}


def test_losing_a_key_that_does_not_sign_changes_no_signer() -> None:
    rest, steps = emergency(settle(settle(Ring(), 0), 900), lost="key-900")
    assert (states(rest), steps) == ({"key-0": "Signing"}, ())


@pytest.mark.parametrize(
    "step", [Step(Act.PUBLISH), Step(Act.PUBLISH, "a"), Step(Act.SIGN, "a"), Step(Act.SIGN, "x"), Step(Act.REMOVE, "a")]
)
def test_a_step_that_does_not_fit_changes_nothing(step: Step) -> None:
    ring = Ring((RingKey("a", State.SIGNING, 0),))
    assert apply(ring, step, now=5) == ring


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(min_value=1, max_value=700), min_size=1, max_size=40), st.data())
def test_stopped_after_any_step_every_live_token_has_its_key_published(waits: list[int], data: st.DataObject) -> None:
    ring, now, tokens = settle(Ring(), 0), 0, []
    published = {"key-0": 0}
    for wait in waits:
        now += wait
        steps = next_steps(ring, SCHEDULE, now=now)
        for step in steps[: data.draw(st.integers(0, len(steps)))]:
            kid = step.kid or f"key-{now}"
            published.setdefault(kid, now)
            ring = apply(ring, Step(step.act, kid), now=now)
        assert ring.signing is not None
        tokens.append((ring.signing.kid, now + SCHEDULE.token_seconds))
        kids = {key.kid for key in ring.keys}
        assert all(kid in kids for kid, expiry in tokens if expiry > now)
        if ring.signing.kid != "key-0":
            assert now >= published[ring.signing.kid] + SCHEDULE.cache_seconds
