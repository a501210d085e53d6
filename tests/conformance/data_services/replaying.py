"""Replay a suite against our cloud; each service's test module is a few lines around this."""

from __future__ import annotations

from typing import Any

from conformance.data_services.recording import Difference, Scenario, Suite, answers, stale, unexplained
from unit.local.cloud.support import World

_ANSWERED: dict[tuple[str, str], dict[str, Any]] = {}


def our_answers(suite: Suite, scenario: Scenario) -> dict[str, Any]:
    """Our answers, from a cloud with nothing in it; asked once for all tests."""
    place = suite.service, scenario.name
    if place not in _ANSWERED:
        world = World()
        try:
            _ANSWERED[place] = answers(suite, scenario, world.aws(suite.service, region=suite.region))
        finally:
            world.close()
    return _ANSWERED[place]


def must_agree(suite: Suite, scenario: Scenario) -> None:
    """Fail with every difference that the suite does not explain."""
    found, _ = unexplained(suite, scenario, our_answers(suite, scenario))
    assert not found, "\n".join(["ours and the peer's answers differ, and the suite does not say why:", *found])


def explanations_must_be_needed(suite: Suite) -> None:
    """Fail where an entry explains nothing any more."""
    used: set[Difference] = set()
    for scenario in suite.scenarios:
        used |= unexplained(suite, scenario, our_answers(suite, scenario))[1]
    assert not stale(suite, used)
