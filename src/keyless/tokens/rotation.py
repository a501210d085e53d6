"""Signing-key rotation without a gap: publish, wait, sign, retire.

    published ──(every cache may hold it)──▶ signing ──(a successor signs)──▶ retiring ──(last token expired)──▶ gone

A verifier that caches the JWKS never meets a token whose key it has not seen, and no key leaves while a token of it
lives. Pure: :func:`next_steps` says what is due, :func:`apply` returns the ring after a step; stopping after any step
is safe, because the ring alone decides what comes next. :func:`emergency` is the other path: the key is lost, so its
tokens must die now, gap or not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class State(StrEnum):
    """Where a key is in its life."""

    PUBLISHED = "Published"
    SIGNING = "Signing"
    RETIRING = "Retiring"


@dataclass(frozen=True, slots=True)
class RingKey:
    """A key in the JWKS; ``since`` is when it entered its state (epoch seconds).

    ``tokens_until``: when the last token that it signed expires; None where nobody kept count.
    """

    kid: str
    state: State
    since: int
    tokens_until: int | None = None


@dataclass(frozen=True, slots=True)
class Ring:
    """The keys of an issuer: all are published, at most one signs."""

    keys: tuple[RingKey, ...] = ()

    @property
    def signing(self) -> RingKey | None:
        """The key that signs new tokens."""
        return next((key for key in self.keys if key.state is State.SIGNING), None)


@dataclass(frozen=True, slots=True)
class Schedule:
    """``rotate_after``: how long a key signs. ``cache_seconds``: how long a verifier may keep an old JWKS.

    ``token_seconds``: the longest life of a token, for keys whose last token is not known.
    """

    rotate_after: int
    cache_seconds: int
    token_seconds: int


class Act(StrEnum):
    """What to do to the ring."""

    PUBLISH = "Publish"
    SIGN = "Sign"
    REMOVE = "Remove"


@dataclass(frozen=True, slots=True)
class Step:
    """One change. For ``PUBLISH``, ``kid`` is empty: the caller makes a key and names it when it applies the step."""

    act: Act
    kid: str = ""


def next_steps(ring: Ring, schedule: Schedule, *, now: int) -> tuple[Step, ...]:
    """What is due now, in order; empty when nothing is."""
    steps = [
        Step(Act.REMOVE, key.kid)
        for key in ring.keys
        if key.state is State.RETIRING and now >= next_change(key, schedule)
    ]
    signing = ring.signing
    waiting = next((key for key in ring.keys if key.state is State.PUBLISHED), None)
    if waiting is None:
        # The successor is published one cache life before it is needed; the first key of an issuer at once.
        if signing is None or now >= next_change(signing, schedule):
            steps.append(Step(Act.PUBLISH))
    elif signing is None:
        steps.append(Step(Act.SIGN, waiting.kid))  # nobody trusts this issuer yet: nothing to wait for
    elif now >= next_change(waiting, schedule):
        steps.append(Step(Act.SIGN, waiting.kid))  # whoever published it early, to rotate now, waits for caches alone
    return tuple(steps)


def next_change(key: RingKey, schedule: Schedule) -> int:
    """When something is due for ``key``: it signs, its successor is published, or it leaves."""
    if key.state is State.PUBLISHED:
        return key.since + schedule.cache_seconds
    if key.state is State.SIGNING:
        return key.since + schedule.rotate_after - schedule.cache_seconds
    return key.since + schedule.token_seconds if key.tokens_until is None else key.tokens_until


def apply(ring: Ring, step: Step, *, now: int) -> Ring:
    """The ring after ``step``; a step that no longer fits changes nothing."""
    if step.act is Act.PUBLISH:
        known = any(key.kid == step.kid for key in ring.keys)
        return ring if known or not step.kid else Ring((*ring.keys, RingKey(step.kid, State.PUBLISHED, now)))
    if step.act is Act.REMOVE:
        return Ring(tuple(key for key in ring.keys if key.kid != step.kid or key.state is State.SIGNING))
    if not any(key.kid == step.kid and key.state is State.PUBLISHED for key in ring.keys):
        return ring
    return Ring(tuple(_turn(key, step.kid, now) for key in ring.keys))


def emergency(ring: Ring, *, lost: str) -> tuple[Ring, tuple[Step, ...]]:
    """Drop a lost key at once: the ring without it, and the steps that make the issuer sign again.

    A waiting key signs now, before every cache has seen it: some verifiers refuse for up to one cache life. That is
    the price of the lost key's tokens being refused from now on.
    """
    rest = Ring(tuple(key for key in ring.keys if key.kid != lost))
    if rest.signing:
        return rest, ()
    waiting = next((key for key in rest.keys if key.state is State.PUBLISHED), None)
    return rest, ((Step(Act.SIGN, waiting.kid),) if waiting else (Step(Act.PUBLISH),))


def _turn(key: RingKey, successor: str, now: int) -> RingKey:
    if key.kid == successor:
        return replace(key, state=State.SIGNING, since=now)
    return replace(key, state=State.RETIRING, since=now) if key.state is State.SIGNING else key
