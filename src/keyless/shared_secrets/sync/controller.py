"""The loop for ExternalSecrets: gather, ask ``plan``, write the Secret and the status.

Nothing here logs, records or raises a value; a fault of ours is logged by its type and place alone, because a trace may
show variables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import structlog

from keyless.api import KeylessError, Reason
from keyless.kube import ApiError, KubeObject, Name, NotFound, is_true
from keyless.kube.resources import CONFIGMAPS, EXTERNALSECRETS, SECRETS
from keyless.shared_secrets.staging.gate import CONDITION, sooner
from keyless.shared_secrets.staging.plan import held_of
from keyless.shared_secrets.stores.classes import serves
from keyless.shared_secrets.sync import plan
from keyless.shared_secrets.sync.answers import of_kubernetes
from keyless.shared_secrets.sync.contention import Contest, repaired
from keyless.shared_secrets.sync.deletion import (
    Held,
    Missing,
    Population,
    held,
    held_condition,
    is_released,
    missed,
    population_of,
)
from keyless.shared_secrets.sync.generating import Asking, Generating
from keyless.shared_secrets.sync.hashes import field_manager, owner_hash, resource_version
from keyless.shared_secrets.sync.model import SecretTemplate, SpecFault, Wanted, wanted_of
from keyless.shared_secrets.sync.outcome import Outcome, contended, held_outcome
from keyless.shared_secrets.sync.plan import Said
from keyless.shared_secrets.sync.reading import Gathering, Read, ReadFailed
from keyless.shared_secrets.sync.refusals import clash, faults, how_to_replace, may_replace, unchangeable
from keyless.shared_secrets.sync.target import Part, data_of, managed_by, part_of, replaces_data, secret_of
from keyless.shared_secrets.sync.telling import Telling
from keyless.shared_secrets.sync.templates import Rendered, render
from keyless.shared_secrets.sync.tools import Tools
from keyless.shared_secrets.sync.truth import Truth, rows
from keyless.shared_secrets.sync.values import ValueFault
from keyless.shared_secrets.sync.writing import NotSynced, Raced, Targets, WriteRefused

RACES = 4
"""How often a write is decided anew within one sync because the target changed meanwhile."""
log = structlog.get_logger()


class SyncController:
    """Brings one ExternalSecret's Secret to what its stores hold."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._targets = Targets(tools.kube)
        self._telling = Telling(tools.kube, tools.metrics, tools.now)
        self._generating = Generating(tools.kube, tools.stores)
        self._tried: dict[Name, str] = {}
        self._missing: dict[Name, Missing] = {}
        self._contests: dict[Name, Contest] = {}

    async def reconcile(self, key: Name) -> float | None:
        """Sync one; returns the seconds to its next read. Raises ``Transient`` when it must be tried again."""
        try:
            obj = await self._found(key)
            if obj is None or obj["metadata"].get("deletionTimestamp"):
                return None
            if not serves(obj.get("spec") or {}, key.namespace, self._tools.store):
                self._forget(key)  # another controller's: its status is not ours to write
                return None
            return await self._sync(key, obj)
        except ApiError as error:
            raise NotSynced(
                f"{key.namespace}/{key.name}: {of_kubernetes(error)}",
                retry_after_seconds=getattr(error, "retry_after_seconds", None),
            ) from None
        except KeylessError:
            raise
        except Exception as error:  # noqa: BLE001 - its trace may hold values: it must not reach a log
            place = _place(error)
            log.error("bug in sync", name=key.name, namespace=key.namespace, error=type(error).__name__, place=place)
            raise NotSynced(f"{key.namespace}/{key.name}: internal fault {type(error).__name__} at {place}") from None

    async def _found(self, key: Name) -> KubeObject | None:
        try:
            return await self._tools.kube.get(EXTERNALSECRETS, key.name, key.namespace)
        except NotFound:
            self._forget(key)
            return None

    def _forget(self, key: Name) -> None:
        self._tools.metrics.forget(key)
        self._tools.listener.forget(key)
        for known in (self._tried, self._missing, self._contests):
            known.pop(key, None)

    async def _sync(self, key: Name, obj: KubeObject) -> float | None:
        now = self._tools.now()
        try:
            wanted = wanted_of(obj)
        except SpecFault as fault:
            await self._telling.say(obj, Said(False, Reason.SECRET_SYNCED_ERROR, str(fault)))
            return None  # only a change of the spec mends it
        target = await self._target(obj, wanted)
        opens = self._tools.gate.opens(obj)
        if not (opens or plan.is_due(obj, wanted, target, now)):
            seconds = plan.seconds_to_next(obj, wanted, now, self._tools.spread)
            return sooner(seconds) if is_true(obj, CONDITION) else seconds
        repairs = not (opens or plan.policy_asks(obj, wanted, now))
        fresh = self._is_news(key, obj)
        if not fresh and (wait := self._wait(key, repairs=repairs)):
            if repairs:
                await self._telling.say(obj, contended(wanted, target))
            return wait
        self._tools.metrics.started()
        outcome = await self._refresh(key, obj, wanted, target, fresh=fresh)
        said = outcome.said
        await self._telling.say(
            obj, said, missing=outcome.missing, reason=outcome.reason, truth=outcome.truth, waits=outcome.waits
        )
        if outcome.missing is False:
            self._missing.pop(key, None)
        if said.again_seconds is not None and said.reason != Reason.SECRET_SYNCED_ERROR:
            return said.again_seconds
        if not said.ready:
            self._tools.metrics.failed()
            text = f"{wanted.namespace}/{wanted.name}: {said.message}"
            raise NotSynced(text, retry_after_seconds=said.again_seconds)
        if repairs:
            self._contests[key] = repaired(self._contests.get(key), now)
        if said.reason == Reason.SECRET_MISSING:
            return plan.SECONDS_TO_LOOK_FOR_TARGET
        seconds = plan.seconds_after_sync(wanted, now, self._tools.spread)
        return sooner(seconds) if outcome.waits else seconds

    async def _target(self, obj: KubeObject, wanted: Wanted) -> KubeObject | None:
        """Return the target, after finishing an exchange of it that was stopped."""
        target = await self._targets.get(wanted)
        if target is not None or wanted.creation != "Owner":
            return target
        spare = await self._targets.spare(obj, wanted)
        if spare is None:
            return None
        try:
            await self._targets.finish(wanted, spare)
        except Raced:
            pass
        except WriteRefused as refused:
            await self._telling.say(obj, Said(False, Reason.SECRET_SYNCED_ERROR, str(refused)))
            raise NotSynced(f"{wanted.namespace}/{wanted.name}: {refused}") from None
        return await self._targets.get(wanted)

    def _is_news(self, key: Name, obj: KubeObject) -> bool:
        """Return whether a person made or changed the object since the last try: no wait and no failure counts then."""
        version = resource_version(obj)
        before, self._tried[key] = self._tried.get(key), version
        if before is None:
            # After a restart all are seen for the first time; only one without a status is new.
            return not (obj.get("status") or {}).get("conditions")
        return before != version

    def _wait(self, key: Name, *, repairs: bool) -> float:
        """Return how long this one has to wait: for its next look at a missing source, or in a contest."""
        now, contest, missing = self._tools.now(), self._contests.get(key), self._missing.get(key)
        if repairs and contest:
            return contest.wait_seconds(now)
        if missing is None:
            return 0.0
        return max(0.0, self._tools.deletion.spacing_seconds - (now - missing.last).total_seconds())

    async def _refresh(
        self, key: Name, obj: KubeObject, wanted: Wanted, target: KubeObject | None, *, fresh: bool
    ) -> Outcome:
        if refused := clash(obj, wanted, target, adopts=self._tools.adopts):
            return Outcome(refused, None)
        # A miss counts when it was seen: not from memory.
        tools, looks_again = self._tools, fresh or key in self._missing
        since = tools.ahead(key, resource_version(obj))
        age = 0.0 if key in self._missing else plan.most_age_seconds(obj, wanted, fresh=fresh, since_seconds=since)
        gathering = self._gathering(obj, wanted, fresh=looks_again, age=age)
        try:
            read = await gathering.run()
        except ReadFailed as failed:
            self._report(key, gathering, failed)
            # Without the request's id: a repetition then counts up one event instead of adding another.
            await self._telling.tell(obj, "Warning", "UpdateFailed", f"{plan.GET_FAILED}: {failed.brief}")
            text = f"{plan.GET_FAILED}: {failed}"
            told = Truth(tuple(gathering.seen.values()))
            return Outcome(Said(False, failed.reason, text, gathering.again_seconds), None, truth=told)
        self._report(key, gathering, None)
        rows_seen = rows((), Truth(tuple(gathering.seen.values()), written=True), tools.now())
        if waits := tools.gate.waits(obj, held_of(rows_seen)):
            return await self._kept(key, obj, wanted, target, gathering, waits.message)
        for skipped in read.skipped:
            text = f"key {skipped.key!r} is not in the provider ({skipped.code}); left out as deletionPolicy says"
            await self._telling.tell(obj, "Warning", "MissingProviderSecret", text)
        told = Truth(tuple(gathering.seen.values()))
        try:
            outcome = await self._settle(key, obj, wanted, read, target)
            return replace(outcome, truth=replace(told, written=outcome.said.ready))
        except (ValueFault, WriteRefused, NotSynced) as fault:
            text = str(fault) if isinstance(fault, WriteRefused | NotSynced) else f"{plan.UPDATE_FAILED}: {fault}"
            reason = fault.reason if isinstance(fault, ValueFault) else Reason.SECRET_SYNCED_ERROR
            await self._telling.tell(obj, "Warning", "UpdateFailed", text)
            return Outcome(Said(False, reason, text), None, truth=told)

    async def _kept(
        self,
        key: Name,
        obj: KubeObject,
        wanted: Wanted,
        target: KubeObject | None,
        gathering: Gathering,
        waits: str,
    ) -> Outcome:
        """Leave the Secret with the versions that it holds; what else is asked for is done with these."""
        told = Truth(tuple(gathering.seen.values()))
        if plan.is_valid(obj, wanted, target) and not plan.is_changed(obj):
            return Outcome(Said(True, Reason.SECRET_SYNCED, plan.SYNCED), truth=told, waits=waits)
        held = held_of((obj.get("status") or {}).get("sources"))
        again = self._gathering(obj, wanted, fresh=False, age=plan.MOST_OWN_SECONDS, held=held)
        try:
            outcome = await self._settle(key, obj, wanted, await again.run(), target)
        except (ReadFailed, ValueFault, WriteRefused, NotSynced) as fault:
            text = f"{plan.UPDATE_FAILED}: a new version waits ({waits}), and with the one that is held: {fault}"
            return Outcome(Said(False, Reason.SECRET_SYNCED_ERROR, text), None, truth=told, waits=waits)
        offered = {name: one.version for name, one in gathering.seen.items()}
        seen = (replace(one, waiting=offered.get(name, "")) for name, one in again.seen.items())
        truth = Truth(tuple(seen), written=outcome.said.ready)
        return replace(outcome, truth=truth, waits=waits)

    def _gathering(
        self, obj: KubeObject, wanted: Wanted, *, fresh: bool, age: float, held: Mapping[str, str] | None = None
    ) -> Gathering:
        tools, asking = self._tools, Asking(obj, plan.policy_asks(obj, wanted, self._tools.now()))
        return Gathering(
            tools.stores,
            tools.guard,
            wanted,
            tools.renderer,
            fresh=fresh,
            makes=lambda ref: self._generating.values(ref, asking),
            pending_is_missing=tools.pending_is_missing,
            most_age_seconds=age,
            held=held or {},
        )

    def _report(self, key: Name, gathering: Gathering, failed: ReadFailed | None) -> None:
        listener = self._tools.listener
        if not gathering.by_controller:
            listener.forget(key)
        elif failed is None:
            listener.read_succeeded(key)
        elif failed.code:
            listener.read_failed(key, failed.code, failed.brief)

    async def _settle(
        self, key: Name, obj: KubeObject, wanted: Wanted, read: Read, target: KubeObject | None
    ) -> Outcome:
        """Write or delete what was decided; decide anew while others change the target."""
        part: Part | None = None
        for _ in range(RACES):
            match plan.outcome(wanted, read.data, target):
                case "nothing":
                    return Outcome(Said(True, Reason.SECRET_SYNCED, plan.SYNCED))
                case "retain":
                    return Outcome(Said(True, Reason.SECRET_SYNCED, plan.SYNCED_RETAIN))
                case "missing":
                    return Outcome(Said(True, Reason.SECRET_MISSING, plan.MISSING))
            try:
                if plan.outcome(wanted, read.data, target) == "delete":
                    return await self._delete(key, obj, wanted, target)
                part = part or part_of(obj, wanted, read.data, await self._rendered(wanted, read))
                return await self._write(key, obj, wanted, part, target, skipped=bool(read.skipped))
            except Raced:
                target = await self._targets.get(wanted)
                if refused := clash(obj, wanted, target, adopts=self._tools.adopts):
                    return Outcome(refused, None)
        return Outcome(contended(wanted, target), None)

    async def _delete(self, key: Name, obj: KubeObject, wanted: Wanted, target: KubeObject | None) -> Outcome:
        if target is None:
            return Outcome(Said(True, Reason.SECRET_DELETED, plan.DELETED), False, Reason.TARGET_REMOVED)
        if waits := self._held(key, obj):
            return held_outcome(wanted, f"secret {wanted.target} stays", waits)
        await self._targets.delete(target)
        await self._telling.tell(obj, "Normal", "Deleted", "secret deleted")
        return Outcome(Said(True, Reason.SECRET_DELETED, plan.DELETED), False, Reason.TARGET_REMOVED)

    def _held(self, key: Name, obj: KubeObject) -> Held | None:
        now, guard = self._tools.now(), self._tools.deletion
        missing = missed(self._missing.get(key), held_condition(obj), guard, now)
        self._missing[key] = missing
        population: Population = population_of(self._tools.others(), self._tools.secrets(), obj, now)
        return held(missing, guard, population, now, released=is_released(obj))

    async def _write(
        self, key: Name, obj: KubeObject, wanted: Wanted, part: Part, target: KubeObject | None, *, skipped: bool
    ) -> Outcome:
        secret = secret_of(obj, wanted, part, target)
        if found := list(faults(wanted, part, secret)):
            raise WriteRefused(f"{plan.UPDATE_FAILED}: {'; '.join(found)}")
        lost = _lost(wanted, target, secret) if skipped else 0
        if lost and (waits := self._held(key, obj)):
            return held_outcome(wanted, f"{lost} key(s) of secret {wanted.target} stay, and it is not written", waits)
        fixed = unchangeable(wanted, secret, target)
        if fixed and target is not None:
            if not may_replace(obj, wanted, target):
                raise WriteRefused(fixed + how_to_replace(wanted))
            await self._targets.exchange(wanted, target, secret)
            changed = True
        else:
            changed = await self._targets.write(wanted, target, secret)
        if wanted.creation == "Owner":
            owned = self._tools.owned(wanted.namespace, owner_hash(wanted.namespace, wanted.name))
            await self._targets.delete_renamed(obj, wanted, [name for name in owned if name != wanted.target])
        if changed:
            reason, text = ("Updated", "secret updated") if target else ("Created", "secret created")
            await self._telling.tell(obj, "Normal", reason, text)
        said = Said(True, Reason.SECRET_SYNCED, plan.SYNCED)
        return Outcome(said, False, Reason.TARGET_REMOVED if lost else Reason.SOURCE_PRESENT)

    async def _rendered(self, wanted: Wanted, read: Read) -> Rendered | None:
        if wanted.template is None:
            return None
        texts = await self._texts(wanted.template, wanted.namespace)
        # Keys out of a payload are the provider's, and so are no names to show.
        named = frozenset(item.secret_key for item in wanted.data)
        return await render(wanted.template, read.data, texts, self._tools.renderer, named=named)

    async def _texts(self, template: SecretTemplate, namespace: str) -> dict[tuple[str, str, str], str]:
        found: dict[tuple[str, str, str], str] = {}
        for source in template.sources:
            if not source.kind:
                continue
            try:
                if source.kind == "configMap":
                    held = (await self._tools.kube.get(CONFIGMAPS, source.name, namespace)).get("data") or {}
                else:
                    secret = await self._tools.kube.get(SECRETS, source.name, namespace)
                    held = {key: value.decode("utf-8", "surrogateescape") for key, value in data_of(secret).items()}
            except NotFound:
                raise ValueFault(f"templateFrom.{source.kind}: {namespace}/{source.name} does not exist") from None
            found |= {(source.kind, source.name, key): text for key, text in held.items()}
        return found


def _lost(wanted: Wanted, target: KubeObject | None, secret: KubeObject) -> int:
    """Return how many keys the write would take away."""
    before = set((target or {}).get("data") or {})
    if not replaces_data(wanted):
        before &= managed_by(target, field_manager(wanted.name)).data
    return len(before - set(secret["data"]))


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}" if trace else "unknown"
