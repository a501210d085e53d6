"""Waiting until a chain holds: an invented clock, so no test waits."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyless.api import Permanent, Transient
from keyless.cli import dispatch, exits
from keyless.cli.waiting import waited
from keyless.identity.verify import Chain
from unit.cli.test_watching import broken, chains


class Clock:
    """Goes on by what is waited, and by how long a look takes."""

    def __init__(self, look_takes: float = 0.5) -> None:
        self.now, self._look_takes = 100.0, look_takes
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def looked(self) -> None:
        self.now += self._look_takes


async def look_for(seconds: float, answers: list[bool | Exception], clock: Clock) -> tuple[bool, int]:
    """The last answer, and how many looks it took; the last answer is given again and again."""
    looks = 0

    async def look() -> bool:
        nonlocal looks
        answer = answers[min(looks, len(answers) - 1)]
        looks += 1
        clock.looked()
        if isinstance(answer, Exception):
            raise answer
        return answer

    return await waited(look, bool, seconds, clock=clock, pause=clock.pause), looks


@given(late=st.integers(0, 20), seconds=st.floats(0, 60))
async def test_what_holds_is_told_at_once_and_what_does_not_when_the_wait_is_over(late: int, seconds: float) -> None:
    clock = Clock()
    held, looks = await look_for(seconds, [*[False] * late, True], clock)
    assert looks <= late + 1
    assert held is (looks == late + 1)
    assert held or clock.now - 100.0 >= seconds - 1e-9
    assert clock.now - 100.0 <= seconds + 0.5 + 1e-9
    assert all(0 < each <= 2 for each in clock.pauses)


@pytest.mark.parametrize("seconds", [0, math.nan])
async def test_without_a_wait_the_first_look_is_the_last(seconds: float) -> None:
    assert await look_for(seconds, [False, True], Clock()) == (False, 1)


async def test_what_may_pass_is_waited_for_and_told_when_the_wait_is_over() -> None:
    away = Transient("the API server restarts")
    assert await look_for(10, [away, away, True], Clock()) == (True, 3)
    with pytest.raises(Transient, match="restarts"):
        await look_for(10, [away], Clock())


async def test_what_no_waiting_mends_is_told_at_once() -> None:
    clock = Clock()
    with pytest.raises(Permanent):
        await look_for(60, [Permanent("the kubeconfig leads elsewhere"), True], clock)
    assert not clock.pauses


@pytest.mark.parametrize("component", ["billing", "billing-export", "shared-secrets", "backup"])
@pytest.mark.parametrize(
    ("looks", "code"), [([broken, broken, chains], exits.HELD), ([broken], exits.DID_NOT_HOLD)], ids=["held", "broken"]
)
def test_each_component_is_waited_for(
    component: str, looks: list[Callable[[], list[Chain]]], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, seen = Clock(), iter([*looks, *[looks[-1]] * 60])

    async def judge(*_: Any) -> list[Chain]:
        return next(seen)()

    monkeypatch.setattr("keyless.cli.verify._judge", judge)
    monkeypatch.setattr("keyless.cli.verify.use_local_space", lambda _: None)
    monkeypatch.setattr("keyless.cli.waiting.waited.__kwdefaults__", {"clock": clock, "pause": clock.pause})
    assert dispatch(["verify", component, "--wait-seconds", "30"]) == code


def test_a_wait_of_less_than_nothing_is_refused() -> None:
    assert dispatch(["verify", "billing", "--wait-seconds", "-1"]) == exits.WRONG_USE
