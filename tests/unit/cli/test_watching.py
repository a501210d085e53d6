"""Watching: a line for what changed, none for what did not, and no end because one look failed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from keyless.api import Transient
from keyless.cli import dispatch, exits
from keyless.cli.watching import changes, stand_of, watched
from keyless.identity.verify import Chain, verify
from unit.identity.verify.chains import irsa, trust, web


def chains(**changed: Any) -> list[Chain]:
    facts = irsa(**changed)
    return [Chain(facts, verify(facts))]


def broken() -> list[Chain]:
    """The role trusts somebody else."""
    from dataclasses import replace

    from keyless.identity.verify.model import Role

    facts = irsa()
    assert isinstance(facts.role, Role)
    other = replace(facts, role=replace(facts.role, trust=trust(web("system:serviceaccount:other:vector"))))
    return [Chain(other, verify(other))]


async def told(looks: Sequence[Any], first: list[Chain] | None = None) -> list[list[str]]:
    left = list(looks)

    async def look() -> list[Chain]:
        found = left.pop(0)
        if isinstance(found, Exception):
            raise found
        return list(found)

    class Over(Exception):
        pass

    async def pause() -> None:
        if not left:
            raise Over

    lines: list[list[str]] = []
    try:
        async for _, change in watched(look, first or chains(), pause):
            lines.append(change)
    except Over:
        pass
    return lines


async def test_a_link_that_breaks_and_is_mended_is_told_twice_and_nothing_in_between() -> None:
    lines = await told([chains(), broken(), broken(), broken(), chains(), chains()])
    assert len(lines) == 2
    assert any("trust: Held -> Broken (" in line for line in lines[0])
    assert any(line.strip().startswith("fix ") for line in lines[0])
    assert any(" -> Held" in line and "trust" in line for line in lines[1])


async def test_a_control_plane_that_comes_or_goes_is_told() -> None:
    came, went = await told([[], chains()])
    assert all("-> not there" in line for line in came)
    assert all("not there -> " in line for line in went if not line.strip().startswith("fix"))


async def test_a_look_that_fails_is_told_once_and_the_watch_goes_on() -> None:
    down = Transient("no answer")
    assert await told([down, down, down, chains()]) == [["not seen: no answer"], ["seen again"]]


def test_what_stands_as_it_stood_is_no_change() -> None:
    assert list(changes(stand_of(chains()), stand_of(chains()))) == []


@pytest.mark.parametrize(("ends", "code"), [(chains, exits.HELD), (broken, exits.DID_NOT_HOLD)])
def test_an_interrupted_watch_ends_with_how_it_stands(
    ends: Callable[[], list[Chain]], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    looks = [chains(), ends()]

    async def judge(*_: Any) -> list[Chain]:
        if not looks:
            raise KeyboardInterrupt
        return looks.pop(0)

    async def at_once(_: float) -> None:
        return None

    monkeypatch.setattr("keyless.cli.verify._judge", judge)
    monkeypatch.setattr("keyless.cli.verify.use_local_space", lambda _: None)
    monkeypatch.setattr("keyless.cli.verify.asyncio.sleep", at_once)
    assert dispatch(["verify", "billing", "--watch"]) == code
    assert ("Held -> Broken" in capsys.readouterr().out) is (code != exits.HELD)


def test_a_watch_is_for_people() -> None:
    assert dispatch(["verify", "billing", "--watch", "--output", "json"]) == exits.WRONG_USE


def test_a_watch_has_no_end_to_wait_for() -> None:
    assert dispatch(["verify", "billing", "--watch", "--wait-seconds", "5"]) == exits.WRONG_USE
