"""When something in use may go because its source is missing: not at the first miss, and not much at once. Pure.

A role that lost a right, a wrong account or a region that answers wrongly look like "all gone". So a Secret, or keys of
one, go only after several reads over some time said so, and a control plane's Secrets never go in a mass unless a
person releases them. The condition DeletionHeld carries what must outlive a restart: since when the source is missing,
and when something went.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from keyless.api import Reason
from keyless.kube import KubeObject, condition_of

CONDITION = "DeletionHeld"
ALLOW = "keyless.dev/allow-deletion"
WINDOW_SECONDS = 3600.0
"""What went within this time counts as gone at once."""


@dataclass(frozen=True, slots=True)
class Guard:
    """``misses`` reads over at least ``seconds``; at most ``percent`` of the Secrets at once, but ``least`` always.

    ``misses`` and ``seconds`` 0 let go at the first miss, ``percent`` 0 sets no bound: External Secrets' own way.
    """

    misses: int = 3
    seconds: float = 600.0
    percent: int = 20
    least: int = 3

    @property
    def spacing_seconds(self) -> float:
        """The time from one read of what is missing to the next, so that the last falls on the end of the time."""
        return self.seconds / max(1, self.misses - 1)


@dataclass(frozen=True, slots=True)
class Missing:
    """What one ExternalSecret has missed: how often it was read, since when and when last."""

    times: int
    since: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Population:
    """The Secrets of a control plane: how many, how many of them miss their source now, how many went lately."""

    secrets: int
    missing: int
    gone: int


@dataclass(frozen=True, slots=True)
class Held:
    """Nothing goes yet: why, and when to look again."""

    message: str
    again_seconds: float


def missed(before: Missing | None, condition: KubeObject | None, guard: Guard, now: datetime) -> Missing:
    """Return what is missed once a read at ``now`` found nothing; looks that come too soon count as one.

    After a restart only the condition is left: the time goes on, the count begins anew.
    """
    if before is None:
        return Missing(1, min(_since(condition) or now, now), now)
    # A timer may ring a little early.
    if (now - before.last).total_seconds() < guard.spacing_seconds - 1:
        return before
    return Missing(before.times + 1, before.since, now)


def held(missing: Missing, guard: Guard, population: Population, now: datetime, *, released: bool) -> Held | None:
    """Return why what is missing stays, or None: it may go."""
    if released:
        return None
    over = (now - missing.since).total_seconds()
    wait = max(1.0, guard.spacing_seconds - (now - missing.last).total_seconds())
    # Times are rounded to microseconds on their way.
    if missing.times < guard.misses or over < guard.seconds - 0.001:
        text = f"read {missing.times} of {guard.misses} times over {over:.0f} of {guard.seconds:.0f} s"
        return Held(f"the source is missing, {text}; nothing is removed yet", wait)
    most = max(guard.least, population.secrets * guard.percent // 100)
    together = population.missing + population.gone
    if guard.percent and together > most:
        text = f"the sources of {together} of {population.secrets} Secrets are missing at once, {most} may go unasked"
        return Held(text, max(wait, guard.spacing_seconds))
    return None


def how_to_release(namespace: str, name: str) -> str:
    """Return the command that lets go at once."""
    return f"; to let it go now: kubectl -n {namespace} annotate externalsecret {name} {ALLOW}=true"


def is_released(obj: KubeObject) -> bool:
    """Return whether a person let the deletion pass."""
    return (obj["metadata"].get("annotations") or {}).get(ALLOW) == "true"


def population_of(external_secrets: Iterable[KubeObject], secrets: int, obj: KubeObject, now: datetime) -> Population:
    """Count from the conditions of all ExternalSecrets; ``obj`` is missing whatever its condition says."""
    missing = gone = 0
    for other in external_secrets:
        condition = held_condition(other)
        if other["metadata"].get("uid") == obj["metadata"].get("uid") or condition is None:
            continue
        missing += condition.get("status") == "True"
        gone += condition.get("reason") == Reason.TARGET_REMOVED and _is_recent(condition, now)
    return Population(secrets + gone, missing + 1, gone)


def held_condition(obj: KubeObject) -> KubeObject | None:
    """Return the condition DeletionHeld of an ExternalSecret."""
    return condition_of((obj.get("status") or {}).get("conditions"), CONDITION)


def _since(condition: KubeObject | None) -> datetime | None:
    return _time(condition) if condition and condition.get("status") == "True" else None


def _is_recent(condition: KubeObject, now: datetime) -> bool:
    at = _time(condition)
    return at is not None and now - at < timedelta(seconds=WINDOW_SECONDS)


def _time(condition: KubeObject) -> datetime | None:
    try:
        return datetime.fromisoformat(str(condition.get("lastTransitionTime")))
    except ValueError:
        return None
