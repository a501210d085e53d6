"""The loop: gather, plan, apply, until there is nothing to do or something to wait for; then say how it stands."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog

from keyless.api import KeylessError, Reason
from keyless.kube import Backoff, Conflict, Kube, KubeObject, Name, NotFound, NotHeld, record, timestamp
from keyless.kube.resources import CONTROLPLANES
from keyless.space.control_planes import findings, news
from keyless.space.control_planes.api import api_of, api_told
from keyless.space.control_planes.applying import Hands
from keyless.space.control_planes.gathering import Gatherer
from keyless.space.control_planes.model import (
    API,
    Apply,
    Create,
    Facts,
    Finding,
    IssueToken,
    Label,
    Plan,
    Remove,
    Served,
    Side,
    Step,
    Written,
)
from keyless.space.control_planes.news import News
from keyless.space.control_planes.plan import plan
from keyless.space.control_planes.tenants import Tenants
from keyless.space.items import FIELD_MANAGER, Key
from keyless.space.settling import Applied
from keyless.tasks import most_telling

MAX_ROUNDS = 12
"""A plan needs about six; more would mean that two of them undo each other."""

_WAITS = Backoff(first_seconds=5.0, cap_seconds=300.0)
_log = structlog.get_logger("keyless.operator")


class ControlPlanes:
    """Brings one control plane at a time to where it should be; ``reconcile`` is given to a Controller."""

    def __init__(
        self,
        host: Kube,
        tenants: Tenants,
        gatherer: Gatherer,
        *,
        now: Callable[[], datetime],
        resync_seconds: float = 600.0,
        decide: Callable[[Facts], Plan] = plan,
    ) -> None:
        self._host = host
        self._tenants = tenants
        self._gatherer = gatherer
        self._now = now
        self._resync_seconds = resync_seconds
        self._decide = decide
        self._missing_since: dict[tuple[Name, str], datetime] = {}
        self._applied: dict[Name, dict[tuple[Side, Key], Applied]] = {}
        self._rewritten: dict[Name, dict[Written, str]] = {}
        self._endless: dict[Name, int] = {}
        self._identities: dict[Name, dict[str, str]] = {}

    async def reconcile(self, name: Name) -> float | None:
        """One run; returns the seconds after which to look again without a change."""
        try:
            return await self._reconcile(name)
        except (Conflict, NotHeld):
            raise  # someone wrote in between: the next run, here or in another operator, reads what
        except KeylessError as error:
            await self._say(name, str(error))
            raise
        except Exception as error:
            # Its words may quote anything; the log has them.
            await self._say(name, f"{type(error).__name__} in the operator, which is a bug of ours; its log has more")
            raise

    async def forget_all(self) -> None:
        """Let go of every control plane: another operator works on them now."""
        await self._tenants.aclose()
        for known in (self._missing_since, self._applied, self._rewritten, self._endless, self._identities):
            known.clear()

    async def _reconcile(self, name: Name) -> float | None:
        for _ in range(MAX_ROUNDS):
            found = await self._gatherer.gather(name, self._now(), self._waited(name))
            if found is None:
                await self._forget(name)
                return None
            known = self._applied.setdefault(name, {})
            facts = replace(found, applied=known, rewritten=self._rewritten.setdefault(name, {}))
            self._note(name, facts)
            await self._tell_identity(name, facts)
            planned = self._decide(facts)
            changed, failure = await self._carry_out(name, facts, planned)
            if changed:
                continue  # also after a failure: what does not need that step goes on
            self._endless.pop(name, None)
            if failure is not None:
                await self._write_status(facts, _with(planned, Reason.RECONCILE_ERROR, str(failure)))
                raise failure
            await self._write_status(facts, planned)
            return min(self._resync_seconds, planned.again_seconds or self._resync_seconds)
        return await self._give_up(name, facts, planned)

    async def _carry_out(self, name: Name, facts: Facts, planned: Plan) -> tuple[bool, BaseException | None]:
        """Do the steps: whether that changed anything, and what failed. One list may fail without the others."""
        if not planned.steps:
            return False, None
        hands = await self._hands(name, facts)
        failures: list[BaseException] = []
        for chain in planned.chains or (planned.steps,):
            try:
                for together in at_once(chain):
                    await all_done(hands.apply(step, facts) for step in together)
            except (Conflict, NotHeld):
                raise
            except KeylessError as error:
                failures.append(error)
        _log.debug("applied", control_plane="/".join(name), steps=len(planned.steps))
        return hands.changed, most_telling(failures) if failures else None

    async def _give_up(self, name: Name, facts: Facts, planned: Plan) -> float:
        """Steps without end: say which, and leave the others their turn."""
        steps = ", ".join(sorted({_named(step) for step in planned.steps}))
        why = "someone else undoes them, or the clocks of two API servers differ"
        message = f"the same steps are due again after {MAX_ROUNDS} rounds: {steps}; {why}"
        await self._write_status(facts, _with(planned, Reason.NOT_SETTLED, message))
        times = self._endless[name] = self._endless.get(name, 0) + 1
        _log.warning("not settled", control_plane="/".join(name), steps=steps)
        return _WAITS.seconds(times)

    async def _hands(self, name: Name, facts: Facts) -> Hands:
        served = api_of(facts) if facts.tenant is not None else None
        if not isinstance(served, Served):
            return Hands(self._host, None, None, self._applied[name])
        opened = await self._tenants.at(name, served)
        return Hands(self._host, opened.kube, served, self._applied[name], self._rewritten[name])

    async def _forget(self, name: Name) -> None:
        await self._tenants.forget(name)
        self._applied.pop(name, None)
        self._rewritten.pop(name, None)
        self._endless.pop(name, None)
        self._identities.pop(name, None)
        for key in [key for key in self._missing_since if key[0] == name]:
            del self._missing_since[key]

    def _waited(self, name: Name) -> dict[str, float]:
        now = self._now()
        return {
            component: (now - since).total_seconds()
            for (whose, component), since in self._missing_since.items()
            if whose == name
        }

    def _note(self, name: Name, facts: Facts) -> None:
        """Remember since when an identity is missing. A restart forgets it: the wait begins anew, and stays short."""
        for component, injected in facts.injected.items():
            if injected:
                self._missing_since.pop((name, component), None)
            else:
                self._missing_since.setdefault((name, component), facts.now)
        if facts.trouble:
            self._missing_since.setdefault((name, API), facts.now)
        else:
            self._missing_since.pop((name, API), None)

    async def _write_status(self, facts: Facts, planned: Plan) -> None:
        wanted = _status(facts, planned)
        if _mine(facts.status) == wanted:
            return
        metadata = facts.control_plane["metadata"]
        written: KubeObject = {
            "metadata": {"name": metadata["name"], "namespace": metadata["namespace"]},
            "status": wanted,
        }
        try:
            await self._host.apply(CONTROLPLANES, written, field_manager=FIELD_MANAGER, subresource="status")
        except NotFound:
            return  # let go of meanwhile
        for each in news.ready_news(facts.status, wanted):
            await self._tell(facts.control_plane, each)

    async def _tell_identity(self, name: Name, facts: Facts) -> None:
        """Who the components are is compared with the last look; an operator that begins has had none."""
        now = news.identity_of(facts)
        for each in news.identity_news(self._identities.get(name), now):
            await self._tell(facts.control_plane, each)
        self._identities[name] = now

    async def _tell(self, control_plane: KubeObject, each: News) -> None:
        """An event is a story beside the state: where it cannot be written, the work goes on."""
        try:
            await record(
                self._host,
                control_plane,
                type=each.level,
                reason=each.reason,
                message=each.message,
                component=FIELD_MANAGER,
            )
        except KeylessError as error:
            _log.info("event not written", reason=each.reason, error=str(error))

    async def _say(self, name: Name, what: str) -> None:
        """Put what went wrong where the user looks, if that can be done at all."""
        try:
            control_plane = await self._host.get(CONTROLPLANES, name.name, name.namespace)
            status = control_plane.get("status") or {}
            generation = control_plane["metadata"].get("generation", 1)
            told = Finding("Synced", False, Reason.RECONCILE_ERROR, what[:1000])
            mine = _mine(status)
            synced = findings.conditions(mine, [told], generation=generation, now=self._now())
            others = [each for each in mine["conditions"] if each["type"] != "Synced"]
            body: KubeObject = {**mine, "conditions": [*others, *synced]}
            written: KubeObject = {"metadata": {"name": name.name, "namespace": name.namespace}, "status": body}
            await self._host.apply(CONTROLPLANES, written, field_manager=FIELD_MANAGER, subresource="status")
        except KeylessError as second:
            _log.warning("status not written", control_plane="/".join(name), error=str(second))


def at_once(chain: Sequence[Step]) -> list[tuple[Step, ...]]:
    """The steps in order, those together that write objects of one kind: none of these waits for another.

    A new control plane has a dozen definitions, each of which its API server takes a tenth of a second to write.
    """
    groups = itertools.groupby(enumerate(chain), lambda each: _kind(*each))
    return [tuple(step for _, step in group) for _, group in groups]


def _kind(number: int, step: Step) -> object:
    return (step.side, step.item.resource) if isinstance(step, Apply) else number


async def all_done(steps: Iterable[Coroutine[Any, Any, None]]) -> None:
    """All of them, also where one fails; what one failure tells most is raised then."""
    outcomes = await asyncio.gather(*steps, return_exceptions=True)
    failures = [each for each in outcomes if isinstance(each, BaseException)]
    if failures:
        raise most_telling(failures)


def _with(planned: Plan, reason: Reason, message: str) -> Plan:
    """What the plan says, and that it could not be carried out."""
    return replace(planned, findings=(*planned.findings, Finding("Synced", False, reason, message[:1000])))


def _named(step: Step) -> str:
    """A step in a user's words."""
    match step:
        case Create(item) | Apply(item):
            return f"write {item.key}"
        case Label(key) | Remove(key):
            return f"change {key}"
        case IssueToken():
            return f"issue the token in {step.secret}"
        case _:
            return type(step).__name__


def _status(facts: Facts, planned: Plan) -> KubeObject:
    generation = facts.control_plane["metadata"].get("generation", 1)
    conditions = findings.conditions(
        facts.status, planned.findings, generation=generation, now=facts.now, keeps=planned.keeps
    )
    message = findings.message_of(planned.findings) or findings.component_message(facts.status)
    available = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    first = facts.status.get("firstAvailableAt") or (timestamp(facts.now) if available else None)
    api = api_told(facts) or facts.status.get("api")
    return {
        **{key: facts.status[key] for key in _PLACED if key in facts.status},
        **({"api": api} if api else {}),
        "conditions": conditions,
        "message": message or (facts.status.get("message", "") if planned.keeps else ""),
        "observedGeneration": generation,
        **({"firstAvailableAt": first} if first else {}),
    }


def _mine(status: KubeObject) -> KubeObject:
    """The part of a status that the operator writes. All of it is applied each time: what is left out is taken back."""
    mine = {key: value for key, value in status.items() if key in _OURS}
    conditions = [each for each in status.get("conditions") or () if each.get("type") in findings.TYPES]
    return {**mine, "conditions": sorted(conditions, key=lambda each: findings.TYPES.index(each["type"]))}


_PLACED = ("controlPlaneID", "hostNamespace", "pauses", "controllers")
_OURS = (*_PLACED, "api", "message", "observedGeneration", "firstAvailableAt")
