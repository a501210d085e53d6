"""The loop for PushSecrets: look at everything, decide, remember what will be there, write.

The status is written before the first request to AWS: whatever a stop leaves behind there is known to be ours.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from keyless.api import KeylessError, Reason, Transient
from keyless.aws import AWS_FAILURES
from keyless.kube import ApiError, Kube, KubeObject, Name, NotFound, record, set_condition, timestamp
from keyless.kube.resources import CLUSTERSECRETSTORES, PUSHSECRETS, SECRETS, SECRETSTORES
from keyless.kube.selectors import matches
from keyless.shared_secrets.push import plan
from keyless.shared_secrets.push.model import Push, push_of
from keyless.shared_secrets.push.plan import FINALIZER, PushFault, Write
from keyless.shared_secrets.push.writers import Writer
from keyless.shared_secrets.stores.classes import FindStore, is_ours
from keyless.shared_secrets.stores.model import StoreFault
from keyless.shared_secrets.stores.resolution import CLUSTER_SECRET_STORE, StoreRef
from keyless.shared_secrets.sync.answers import of_aws, of_kubernetes
from keyless.shared_secrets.sync.hashes import resource_version
from keyless.shared_secrets.sync.model import SpecFault
from keyless.shared_secrets.sync.templates import Renders, render
from keyless.shared_secrets.sync.values import ValueFault

SYNCED, FAILED = "PushSecret synced successfully", "set secret failed"
MESSAGE_LIMIT = 1500
COMPONENT = "external-secrets"
log = structlog.get_logger()

Opens = Callable[[StoreRef, str], Awaitable[Writer]]
"""Opens a store for writing from a namespace; raises ``StoreFault``."""


class NotPushed(Transient):
    """The status has said so; it is tried again with backoff."""


@dataclass(frozen=True, slots=True)
class Planned:
    """What goes to one store."""

    writer: Writer
    writes: tuple[Write, ...]


class PushController:
    """``store`` finds a store as last seen, for its controller class."""

    def __init__(
        self, kube: Kube, opens: Opens, renderer: Renders, store: FindStore, now: Callable[[], datetime]
    ) -> None:
        self._kube, self._opens, self._renderer, self._store, self._now = kube, opens, renderer, store, now

    async def reconcile(self, key: Name) -> float | None:
        """Push one; returns the seconds to the next time. Raises ``NotPushed``."""
        try:
            obj = await self._kube.get(PUSHSECRETS, key.name, key.namespace)
        except NotFound:
            return None
        try:
            push = push_of(obj)
        except SpecFault as fault:
            await self._say(obj, ready=False, message=str(fault))
            return None  # only a change of the spec mends it
        try:
            refs = await self._chosen(push)
            if not all(is_ours(self._store(ref, push.namespace)) for ref in refs):
                return None  # another controller's
            if obj["metadata"].get("deletionTimestamp"):
                await self._leave(obj, push)
                return None
            if not plan.is_due(obj, push, self._now()):
                return self._again(obj, push)
            await self._push(obj, push, refs)
        except (PushFault, ValueFault, StoreFault, SpecFault) as fault:
            await self._refused(obj, f"{FAILED}: {fault}")
        except AWS_FAILURES as error:
            told = f"{error.operation}: {error.code}: {of_aws(error)}"
            request = f" (request {error.request_id})" if error.request_id else ""
            await self._refused(obj, f"{FAILED}: {told}{request}", f"{FAILED}: {told}")
        except ApiError as error:
            await self._refused(obj, f"{FAILED}: {of_kubernetes(error)}")
        except KeylessError:
            raise
        except Exception as error:  # noqa: BLE001 - its trace may hold values: it must not reach a log
            log.error("bug in push", name=key.name, namespace=key.namespace, error=type(error).__name__)
            raise NotPushed(f"{key.namespace}/{key.name}: internal fault {type(error).__name__}") from None
        return push.interval_seconds if push.interval_seconds > 0 else None

    def _again(self, obj: KubeObject, push: Push) -> float | None:
        if push.interval_seconds <= 0:
            return None
        pushed = datetime.fromisoformat(obj["status"]["refreshTime"])
        return max(1.0, push.interval_seconds - (self._now() - pushed).total_seconds())

    async def _push(self, obj: KubeObject, push: Push, refs: list[StoreRef]) -> None:
        names = [_named(ref) for ref in refs]
        writers = {name: await self._opens(ref, push.namespace) for name, ref in zip(names, refs, strict=True)}
        data = await self._data(push)
        planned = [await self._planned(writer, push, data) for writer in writers.values()]
        before: plan.Synced = (obj.get("status") or {}).get("syncedPushSecrets") or {}
        gone = plan.stale(before, names, push.items) if push.deletes else []
        obj = await self._keep_finalizer(obj, push)
        if kept := _together(before if push.deletes else {}, plan.synced(names, push.items)):
            await self._remember(obj, kept)
        for one in planned:
            for write in one.writes:
                await one.writer.write(write)
        await self._take_away(push, gone, writers)
        changed = any(one.writes for one in planned) or bool(gone)
        await self._say(obj, ready=True, message=SYNCED, synced=plan.synced(names, push.items))
        if changed:
            await self._tell(obj, "Normal", Reason.SYNCED, SYNCED)

    async def _planned(self, writer: Writer, push: Push, data: dict[str, bytes]) -> Planned:
        writes = []
        for key, items in plan.by_key(push.items).items():
            remote = await writer.look(key)
            write = plan.write_of(key, items, data, remote, replaces=push.replaces)
            if write is not None:
                writes.append(write)
        return Planned(writer, tuple(writes))

    async def _data(self, push: Push) -> dict[str, bytes]:
        """Return the source's keys, through the template if there is one; raises ``PushFault``."""
        data: dict[str, bytes] = {}
        if push.secret_name:
            try:
                data = plan.values_of(await self._kube.get(SECRETS, push.secret_name, push.namespace))
            except NotFound:
                # A source that is gone takes nothing away at the provider: it may be on its way back.
                raise PushFault(f"could not get source secret {push.namespace}/{push.secret_name}") from None
        else:
            labels = dict(push.secret_selector or {})
            listed = (await self._kube.list(SECRETS, push.namespace)).items
            found = [one for one in listed if matches(labels, one["metadata"].get("labels") or {})]
            if len(found) != 1:
                raise PushFault(f"selector.secret.selector: expected one Secret, found {len(found)}")
            data = plan.values_of(found[0])
        if push.template is None:
            return data
        if any(source.kind for source in push.template.sources):
            raise PushFault("template.templateFrom: only literal is implemented for a PushSecret")
        return (await render(push.template, data, {}, self._renderer, named=frozenset(data))).data

    async def _chosen(self, push: Push) -> list[StoreRef]:
        refs: list[StoreRef] = []
        for choice in push.stores:
            if choice.name:
                refs.append(StoreRef(choice.name, choice.kind))
                continue
            cluster_wide = choice.kind == CLUSTER_SECRET_STORE
            res, namespace = (CLUSTERSECRETSTORES, None) if cluster_wide else (SECRETSTORES, push.namespace)
            for store in (await self._kube.list(res, namespace)).items:
                if matches(dict(choice.selector or {}), store["metadata"].get("labels") or {}):
                    refs.append(StoreRef(store["metadata"]["name"], choice.kind))
        if not refs:
            raise PushFault("secretStoreRefs: no store matches")
        return list(dict.fromkeys(refs))

    async def _leave(self, obj: KubeObject, push: Push) -> None:
        """Take away at the provider what the policy says, then let the object go."""
        if FINALIZER not in (obj["metadata"].get("finalizers") or ()):
            return
        if push.deletes:
            before: plan.Synced = (obj.get("status") or {}).get("syncedPushSecrets") or {}
            await self._take_away(push, plan.stale(before, [], ()), {})
        finalizers = [one for one in obj["metadata"]["finalizers"] if one != FINALIZER]
        await self._patch(obj, {"metadata": {"finalizers": finalizers}})

    async def _take_away(self, push: Push, gone: list[tuple[str, str, list[str]]], writers: dict[str, Writer]) -> None:
        for store, key, properties in gone:
            kind, _, name = store.partition("/")
            writer = writers.get(store) or await self._opens(StoreRef(name, kind), push.namespace)
            remote = await writer.look(key)
            if remote.value is None or not remote.managed:
                continue  # gone, on its way, or taken over by somebody else
            left = plan.without(key, properties, remote) if properties else None
            if left is None:
                await writer.delete(key)
            else:
                await writer.write(left)

    async def _keep_finalizer(self, obj: KubeObject, push: Push) -> KubeObject:
        has = FINALIZER in (obj["metadata"].get("finalizers") or ())
        if has == push.deletes:
            return obj
        finalizers = [one for one in obj["metadata"].get("finalizers") or () if one != FINALIZER]
        finalizers += [FINALIZER] if push.deletes else []
        return await self._patch(obj, {"metadata": {"finalizers": finalizers}})

    async def _remember(self, obj: KubeObject, synced: plan.Synced) -> None:
        if ((obj.get("status") or {}).get("syncedPushSecrets") or {}) != synced:
            await self._patch(obj, {"status": _replacing(obj, synced)}, subresource="status")

    async def _refused(self, obj: KubeObject, message: str, brief: str = "") -> None:
        await self._say(obj, ready=False, message=message)
        await self._tell(obj, "Warning", Reason.ERRORED, brief or message)
        raise NotPushed(f"{obj['metadata']['namespace']}/{obj['metadata']['name']}: {message}")

    async def _say(self, obj: KubeObject, *, ready: bool, message: str, synced: plan.Synced | None = None) -> None:
        status, now = obj.get("status") or {}, self._now()
        reason = Reason.SYNCED if ready else Reason.ERRORED
        conditions = status.get("conditions")
        new: KubeObject = {
            "conditions": set_condition(conditions, "Ready", ready, reason, message[:MESSAGE_LIMIT], now=now)
        }
        if synced is not None:
            new |= {"refreshTime": timestamp(now), "syncedResourceVersion": resource_version(obj)}
            new |= _replacing(await self._fresh(obj), synced)
        elif {"conditions": conditions} == new:
            return
        await self._patch(obj, {"status": new}, subresource="status")

    async def _fresh(self, obj: KubeObject) -> KubeObject:
        return await self._kube.get(PUSHSECRETS, obj["metadata"]["name"], obj["metadata"]["namespace"])

    async def _patch(self, obj: KubeObject, patch: KubeObject, **more: Any) -> KubeObject:
        metadata = obj["metadata"]
        try:
            return await self._kube.patch(PUSHSECRETS, metadata["name"], patch, metadata["namespace"], **more)
        except NotFound:
            return obj  # deleted meanwhile

    async def _tell(self, obj: KubeObject, level: Any, reason: str, message: str) -> None:
        try:
            await record(self._kube, obj, type=level, reason=reason, message=message, component=COMPONENT)
        except ApiError as error:
            log.info("event not written", reason=reason, error=of_kubernetes(error))


def _named(ref: StoreRef) -> str:
    return f"{ref.kind}/{ref.name}"


def _together(first: plan.Synced, second: plan.Synced) -> plan.Synced:
    return {store: {**first.get(store, {}), **second.get(store, {})} for store in {**first, **second}}


def _replacing(obj: KubeObject, synced: plan.Synced) -> KubeObject:
    """Return a merge patch's part that leaves ``synced`` alone: what is not named in a patch would stay."""
    before: plan.Synced = (obj.get("status") or {}).get("syncedPushSecrets") or {}
    patch: dict[str, Any] = {store: None for store in before if store not in synced}
    for store, entries in synced.items():
        patch[store] = {name: None for name in before.get(store, {}) if name not in entries} | entries
    return {"syncedPushSecrets": patch}
