"""The loop for ExternalSecrets: gather, ask ``plan``, write the Secret and the status.

Nothing here logs, records or raises a value; a fault of ours is logged by its type and place alone, because a trace may
show variables.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import structlog

from keyless.api import KeylessError, Reason, Transient
from keyless.kube import ApiError, Kube, KubeObject, Name, NotFound, record, set_condition, timestamp
from keyless.kube.resources import CONFIGMAPS, EXTERNALSECRETS, SECRETS
from keyless.shared_secrets.stores.guard import ReadGuard
from keyless.shared_secrets.stores.resolution import Stores
from keyless.shared_secrets.sync import plan
from keyless.shared_secrets.sync.hashes import field_manager, owner_hash, resource_version
from keyless.shared_secrets.sync.metrics import SyncMetrics
from keyless.shared_secrets.sync.model import SecretTemplate, SpecFault, Wanted, wanted_of
from keyless.shared_secrets.sync.plan import Said
from keyless.shared_secrets.sync.reading import Gathering, Read, ReadFailed
from keyless.shared_secrets.sync.templates import Rendered, Renders, render
from keyless.shared_secrets.sync.values import ValueFault

COMPONENT = "external-secrets"
# A condition's message is meant for people; AWS's longest denials are about 600 characters.
MESSAGE_LIMIT = 1500
log = structlog.get_logger()


class Listener(Protocol):
    """Hears how reads with the Space's credentials went: the ControlPlane's condition is told from it."""

    def read_succeeded(self, key: Name) -> None:
        """Hear that an ExternalSecret was read from its provider."""
        ...

    def read_failed(self, key: Name, code: str, message: str) -> None:
        """Hear why one was not."""
        ...

    def forget(self, key: Name) -> None:
        """Hear that an ExternalSecret is gone, or reads with a tenant's own credentials."""
        ...


class NotSynced(Transient):
    """Raised after the status said so, to be tried again with backoff."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What the loop works with; ``owned`` names the Secrets that carry an owner hash."""

    kube: Kube
    stores: Stores
    guard: ReadGuard
    listener: Listener
    metrics: SyncMetrics
    now: Callable[[], datetime]
    owned: Callable[[str, str], list[str]]
    renderer: Renders


class SyncController:
    """Brings one ExternalSecret's Secret to what its stores hold."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._tried: dict[Name, str] = {}

    async def reconcile(self, key: Name) -> float | None:
        """Sync one; returns the seconds to its next read. Raises ``Transient`` when it must be tried again."""
        try:
            obj = await self._tools.kube.get(EXTERNALSECRETS, key.name, key.namespace)
        except NotFound:
            self._tools.metrics.forget(key)
            self._tools.listener.forget(key)
            self._tried.pop(key, None)
            return None
        if obj["metadata"].get("deletionTimestamp"):
            return None
        try:
            return await self._sync(obj)
        except KeylessError:
            raise
        except Exception as error:  # noqa: BLE001 - its trace may hold values: it must not reach a log
            place = _place(error)
            log.error("bug in sync", name=key.name, namespace=key.namespace, error=type(error).__name__, place=place)
            raise NotSynced(f"{key.namespace}/{key.name}: internal fault {type(error).__name__} at {place}") from None

    async def _sync(self, obj: KubeObject) -> float | None:
        now = self._tools.now()
        try:
            wanted = wanted_of(obj)
        except SpecFault as fault:
            await self._say(obj, Said(False, Reason.SECRET_SYNCED_ERROR, str(fault)), synced=False)
            return None  # only a change of the spec mends it
        target = await self._target(wanted)
        if not plan.is_due(obj, wanted, target, now):
            return plan.seconds_to_next(obj, wanted, now)
        self._tools.metrics.started()
        said = await self._refresh(obj, wanted, target)
        await self._say(obj, said, synced=said.ready)
        if not said.ready:
            self._tools.metrics.failed()
            raise NotSynced(f"{wanted.namespace}/{wanted.name}: {said.message}")
        periodic = wanted.policy == "Periodic" and wanted.interval_seconds > 0
        return wanted.interval_seconds if periodic else None

    async def _target(self, wanted: Wanted) -> KubeObject | None:
        try:
            return await self._tools.kube.get(SECRETS, wanted.target, wanted.namespace)
        except NotFound:
            return None

    async def _refresh(self, obj: KubeObject, wanted: Wanted, target: KubeObject | None) -> Said:
        refused = plan.clash(obj, wanted, target)
        if refused:
            return refused
        gathering = Gathering(
            self._tools.stores, self._tools.guard, wanted, self._tools.renderer, fresh=self._is_news(obj)
        )
        try:
            read = await gathering.run()
        except ReadFailed as failed:
            self._report(wanted, gathering, failed)
            # Without the request's id: a repetition then counts up one event instead of adding another.
            await self._tell(obj, "Warning", "UpdateFailed", f"{plan.GET_FAILED}: {failed.brief}")
            return Said(False, failed.reason, f"{plan.GET_FAILED}: {failed}")
        self._report(wanted, gathering, None)
        for skipped in read.skipped:
            text = f"key {skipped.key!r} is not in the provider ({skipped.code}); left out as deletionPolicy says"
            await self._tell(obj, "Warning", "MissingProviderSecret", text)
        match plan.outcome(wanted, read.data, target):
            case "nothing":
                return Said(True, Reason.SECRET_SYNCED, plan.SYNCED)
            case "retain":
                return Said(True, Reason.SECRET_SYNCED, plan.SYNCED_RETAIN)
            case "missing":
                return Said(True, Reason.SECRET_MISSING, plan.MISSING)
            case "delete":
                return await self._delete(obj, wanted, target)
            case _:
                return await self._write(obj, wanted, read, target)

    def _report(self, wanted: Wanted, gathering: Gathering, failed: ReadFailed | None) -> None:
        listener, key = self._tools.listener, Name(wanted.namespace, wanted.name)
        if not gathering.by_controller:
            listener.forget(key)
        elif failed is None:
            listener.read_succeeded(key)
        elif failed.code:
            listener.read_failed(key, failed.code, failed.brief)

    def _is_news(self, obj: KubeObject) -> bool:
        """Return whether a person changed the object since the last try: then no remembered failure counts."""
        key = Name(obj["metadata"]["namespace"], obj["metadata"]["name"])
        version = resource_version(obj)
        before, self._tried[key] = self._tried.get(key), version
        return before is not None and before != version

    async def _delete(self, obj: KubeObject, wanted: Wanted, target: KubeObject | None) -> Said:
        if target is not None:
            try:
                uid = target["metadata"].get("uid")
                await self._tools.kube.delete(SECRETS, wanted.target, wanted.namespace, uid=uid)
            except NotFound:
                pass
            except ApiError as error:
                return Said(False, Reason.SECRET_SYNCED_ERROR, f"{plan.DELETE_FAILED}: {error.reason}")
            await self._tell(obj, "Normal", "Deleted", "secret deleted")
        return Said(True, Reason.SECRET_DELETED, plan.DELETED)

    async def _write(self, obj: KubeObject, wanted: Wanted, read: Read, target: KubeObject | None) -> Said:
        try:
            rendered = await self._rendered(wanted, read)
        except ValueFault as fault:
            await self._tell(obj, "Warning", "UpdateFailed", str(fault))
            return Said(False, fault.reason, f"{plan.UPDATE_FAILED}: {fault}")
        secret = plan.secret_for(obj, wanted, read.data, rendered, target)
        if target and target.get("immutable") and plan.data_of(target) != dict(secret.data):
            return Said(False, Reason.SECRET_SYNCED_ERROR, plan.IMMUTABLE)
        try:
            await self._apply(wanted, secret, target)
        except ApiError as error:
            if isinstance(error, Transient):
                raise NotSynced(f"{plan.UPDATE_FAILED}: Kubernetes answered {error.reason or error.code}") from None
            return Said(False, Reason.SECRET_SYNCED_ERROR, f"{plan.UPDATE_FAILED}: {_shape(error)}")
        await self._remove_renamed(wanted)
        reason, text = ("Updated", "secret updated") if target else ("Created", "secret created")
        await self._tell(obj, "Normal", reason, text)
        return Said(True, Reason.SECRET_SYNCED, plan.SYNCED)

    async def _apply(self, wanted: Wanted, secret: plan.Secret, target: KubeObject | None) -> None:
        kube = self._tools.kube
        foreign = plan.foreign_keys(wanted, secret, target)
        if foreign:
            dropped = {"data": dict.fromkeys(foreign)}
            await kube.patch(SECRETS, secret.name, dropped, secret.namespace)
        await kube.apply(SECRETS, secret.manifest(), secret.namespace, field_manager=field_manager(wanted.name))

    async def _remove_renamed(self, wanted: Wanted) -> None:
        """Delete Secrets of ours that are no longer the target: the target was renamed."""
        if wanted.creation != "Owner":
            return
        for name in self._tools.owned(wanted.namespace, owner_hash(wanted.namespace, wanted.name)):
            if name != wanted.target:
                try:
                    await self._tools.kube.delete(SECRETS, name, wanted.namespace)
                except NotFound:
                    continue

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
                    data = plan.data_of(await self._tools.kube.get(SECRETS, source.name, namespace))
                    held = {key: value.decode("utf-8", "surrogateescape") for key, value in data.items()}
            except NotFound:
                raise ValueFault(f"templateFrom.{source.kind}: {namespace}/{source.name} does not exist") from None
            found |= {(source.kind, source.name, key): text for key, text in held.items()}
        return found

    async def _say(self, obj: KubeObject, said: Said, *, synced: bool) -> None:
        now = self._tools.now()
        status = obj.get("status") or {}
        message = said.message[:MESSAGE_LIMIT]
        conditions = set_condition(status.get("conditions"), "Ready", said.ready, said.reason, message, now=now)
        new: KubeObject = {"conditions": conditions}
        if synced:
            target = ((obj.get("spec") or {}).get("target") or {}).get("name") or obj["metadata"]["name"]
            new |= {
                "refreshTime": timestamp(now),
                "syncedResourceVersion": resource_version(obj),
                "binding": {"name": target},
            }
        metadata = obj["metadata"]
        self._tools.metrics.condition(Name(metadata["namespace"], metadata["name"]), ready=said.ready)
        if {key: status.get(key) for key in new} == new:
            return
        try:
            await self._tools.kube.patch(
                EXTERNALSECRETS, metadata["name"], {"status": new}, metadata["namespace"], subresource="status"
            )
        except NotFound:
            return
        log.info("external secret", name=metadata["name"], namespace=metadata["namespace"], reason=said.reason)

    async def _tell(self, obj: KubeObject, level: str, reason: str, message: str) -> None:
        try:
            await record(
                self._tools.kube,
                obj,
                type="Warning" if level == "Warning" else "Normal",
                reason=reason,
                message=message,
                component=COMPONENT,
            )
        except ApiError as error:
            log.info("event not written", reason=reason, error=error.reason)


def _shape(error: ApiError) -> str:
    """Which fields Kubernetes refused and why; its message may quote values, its causes' fields do not."""
    causes = ((error.status.get("details") or {}).get("causes")) or ()
    fields = ", ".join(sorted({f"{cause.get('field')} ({cause.get('reason')})" for cause in causes}))
    return f"Kubernetes answered {error.reason or error.code}" + (f" for {fields}" if fields else "")


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}" if trace else "unknown"
