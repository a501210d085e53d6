"""The Space's own API as the collector sees it: the census, and the conditions it reports with."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from keyless.billing.collector.plan import neighbours
from keyless.billing.collector.ports import Said
from keyless.billing.collector.settings import Settings
from keyless.billing.ledger.capacity_used import Used, used_document, used_untrusted
from keyless.billing.ledger.frames import signature_document, signature_untrusted
from keyless.billing.ledger.model import (
    ChainHead,
    HeadSignature,
    Lost,
    Malformed,
    Member,
    Pause,
    moment_untrusted,
    stamp,
)
from keyless.kube import Event, Informer, Kube, NotFound, condition_of, set_condition
from keyless.kube.resources import CONTROLPLANES

BILLED = "Billed"
STORED = "BillingStored"
HEALTHY = "BillingHealthy"
CONDITIONS = (BILLED, STORED, HEALTHY)
FIELD_MANAGER = "vector"
REMEMBERED = timedelta(hours=24)
"""How long a control plane that went stays in the census, so that one hour's lost manifest does not lose its end."""
_NOT_STORED = re.compile(r"usage from ([0-9TZ:.+-]+) to ([0-9TZ:.+-]+) is not stored(?:: .*)?", re.DOTALL)


class Space:
    """Implements ``Host``. One small informer: ControlPlanes are few."""

    def __init__(self, kube: Kube, settings: Settings, now: Callable[[], datetime]) -> None:
        self._kube = kube
        self._settings = settings
        self._now = now
        self._informer = Informer(kube, CONTROLPLANES, keep=_kept)
        self._gone: dict[str, Member] = {}
        self._written: tuple[dict[str, Any], ...] | None = None
        self._leaving = False
        self._head: dict[str, Any] | None = None

    async def run(self) -> None:
        """Follow the ControlPlanes until cancelled."""
        self._informer.on_change(self._note)
        await self._informer.run()

    async def synced(self) -> None:
        """Return when the census is known."""
        await self._informer.synced()

    def census(self) -> tuple[Member, ...]:
        """The control planes that have an id, and those that went within the last day."""
        now = self._now()
        self._gone = {i: m for i, m in self._gone.items() if m.deleted_at and now - m.deleted_at < REMEMBERED}
        living = (found for item in self._informer.items() if (found := member_of(item)) is not None)
        told = (self._pausing(replace(each, pauses=recent(each.pauses, now))) for each in living)
        return tuple(sorted({**self._gone, **{member.id: member for member in told}}.values()))

    def _pausing(self, member: Member) -> Member:
        """With the pause that begins: where this is the only control plane, nobody else could tell of it."""
        if not self._leaving or member.id != self._settings.control_plane_id or not self._shall_pause():
            return member
        return replace(member, pauses=(*member.pauses, Pause(self._now())))

    def _shall_pause(self) -> bool:
        settings = self._settings
        seen = self._informer.get(settings.control_plane_name, settings.control_plane_group) or {}
        return ((seen.get("spec") or {}).get("crossplane") or {}).get("state") == "Paused"

    def heads(self) -> tuple[ChainHead, ...]:
        """How far the chains of the next few control planes are, which store under the same account and bucket."""
        settings = self._settings
        place = (settings.account, settings.bucket)
        found = (head_of(item, *place) for item in self._informer.items())
        return neighbours(settings.control_plane_id, (head for head in found if head is not None))

    def stored(self, head: ChainHead, used: Used | None = None, signature: HeadSignature | None = None) -> None:
        """Keep the head beside the conditions, from the next time that they are written."""
        self._head = billing_status(head, self._settings.account, self._settings.bucket, used, signature)

    def signature(self, sha256: str) -> HeadSignature | None:
        """That of an earlier pod's last manifest, where this is the one."""
        settings = self._settings
        seen = self._informer.get(settings.control_plane_name, settings.control_plane_group) or {}
        return signature_of(seen, sha256)

    def used(self, since: str) -> Used | None:
        """What the ControlPlane's status says; None of another capacity, and of what nobody can read."""
        settings = self._settings
        seen = self._informer.get(settings.control_plane_name, settings.control_plane_group) or {}
        told = self._head or (seen.get("status") or {}).get("billing") or {}
        try:
            found = used_untrusted(told["capacity"]) if told.get("capacity") else None
        except Malformed:
            return None
        return found if found is not None and found.since == since else None

    def own(self) -> Member:
        """This collector's control plane; a ControlPlane that is not there (yet) is described by the settings."""
        settings = self._settings
        known = {member.id: member for member in self.census()}
        found = known.get(settings.control_plane_id) or Member(
            id=settings.control_plane_id,
            group=settings.control_plane_group,
            name=settings.control_plane_name,
            host_namespace=settings.host_namespace,
            created_at=self._now(),
        )
        if found.billed_from is None and (billed := condition_of(self._written, BILLED)) is not None:
            # What we wrote is newer than what the watch has shown.
            return replace(found, billed_from=moment_untrusted(billed["lastTransitionTime"]))
        return found

    def labels(self) -> Mapping[str, str]:
        """The labels of this collector's ControlPlane, as far as they are texts."""
        settings = self._settings
        found = self._informer.get(settings.control_plane_name, settings.control_plane_group) or {"metadata": {}}
        labels = found["metadata"].get("labels")
        return {k: v for k, v in labels.items() if isinstance(v, str)} if isinstance(labels, dict) else {}

    async def report(self, *said: Said) -> None:
        """Set conditions by server-side apply: our own rows, nobody else's; what we said before stays."""
        settings = self._settings
        seen = self._informer.get(settings.control_plane_name, settings.control_plane_group) or {}
        before = _ours((seen.get("status") or {}).get("conditions"))
        if self._written is not None:
            # What we wrote is newer than what the watch has shown.
            before = list(self._written)
        # A pod that has stored nothing yet keeps what the one before it told.
        self._head = self._head or (seen.get("status") or {}).get("billing")
        conditions = conditions_of(before, said, self._now(), settings.pod_name)
        if tuple(conditions) == self._written:
            return
        if self._leaving and await self._succeeded():
            # A pod that is replaced tells of values that no longer hold: the one after it has the word.
            return
        await self._write(conditions)

    async def reassert(self) -> None:
        """Say again what we said last where another pod, on its way out, spoke over it."""
        if self._written is not None and not self._leaving and await self._succeeded():
            await self._write(list(self._written))

    def leave(self) -> None:
        """From now on speak only as long as no other pod has spoken."""
        self._leaving = True

    async def _succeeded(self) -> bool:
        """Whether another pod has set our conditions since we did; asked anew, for a watch lags behind both of us."""
        if self._written is None:
            return False
        settings = self._settings
        try:
            found = await self._kube.get(CONTROLPLANES, settings.control_plane_name, settings.control_plane_group)
        except NotFound:
            return False
        return not _same(_ours((found.get("status") or {}).get("conditions")), self._written)

    async def _write(self, conditions: list[dict[str, Any]]) -> None:
        settings = self._settings
        body = {
            "apiVersion": CONTROLPLANES.api_version,
            "kind": CONTROLPLANES.kind,
            "metadata": {"name": settings.control_plane_name, "namespace": settings.control_plane_group},
            "status": {"conditions": conditions, **({"billing": self._head} if self._head else {})},
        }
        await self._kube.apply(CONTROLPLANES, body, field_manager=FIELD_MANAGER, subresource="status")
        self._written = tuple(conditions)

    def _note(self, event: Event) -> None:
        if event.type != "DELETED":
            return
        if (member := member_of(event.old or event.object)) is not None:
            self._gone[member.id] = replace(member, deleted_at=member.deleted_at or self._now())


def conditions_of(
    before: Sequence[dict[str, Any]], said: Sequence[Said], now: datetime, pod: str = ""
) -> list[dict[str, Any]]:
    """Our conditions with some set anew; a time moves only with its status. ``Billed`` dates the first run."""
    conditions = list(before)
    if condition_of(conditions, BILLED) is None:
        message = "usage is owed from then on"
        conditions = set_condition(conditions, BILLED, True, "CollectorStarted", message, now=now)
    for each in said:
        conditions = set_condition(conditions, each.type, each.status, each.reason, each.message, now=now, pod=pod)
    return conditions


def _same(live: Sequence[dict[str, Any]], written: Sequence[dict[str, Any]]) -> bool:
    """Whether it is what we wrote; a definition of an older version keeps no ``pod``."""
    if len(live) != len(written):
        return False
    pairs = zip(live, written, strict=True)
    return all(seen in (one, {key: one[key] for key in one if key != "pod"}) for seen, one in pairs)


def _ours(live: Sequence[dict[str, Any]] | None) -> list[dict[str, Any]]:
    return [each for name in CONDITIONS if (each := condition_of(live, name)) is not None]


def member_of(control_plane: dict[str, Any]) -> Member | None:
    """The census line of a ControlPlane; None before it has an id and a host namespace."""
    metadata, status = control_plane["metadata"], control_plane.get("status") or {}
    host = status.get("hostNamespace") or (control_plane.get("spec", {}).get("hostNamespace") or {}).get("name")
    if isinstance(host, dict):
        host = host.get("name")
    if not status.get("controlPlaneID") or not host:
        return None
    deleted = metadata.get("deletionTimestamp")
    billed = condition_of(status.get("conditions"), BILLED)
    return Member(
        id=status["controlPlaneID"],
        group=metadata["namespace"],
        name=metadata["name"],
        host_namespace=host,
        created_at=moment_untrusted(metadata["creationTimestamp"]),
        deleted_at=moment_untrusted(deleted) if deleted else None,
        billed_from=moment_untrusted(billed["lastTransitionTime"]) if billed else None,
        lost=lost_of(status) if deleted else None,
        pauses=pauses_of(status),
    )


def pauses_of(status: dict[str, Any]) -> tuple[Pause, ...]:
    """What the operator wrote of pauses; what nobody can read is none, and its time is missing."""
    found = []
    for each in status.get("pauses") or ():
        try:
            pause = Pause(moment_untrusted(each["from"]), moment_untrusted(each["to"]) if each.get("to") else None)
        except (Malformed, KeyError, TypeError, AttributeError):
            continue
        if pause.end is None or pause.end >= pause.start:
            found.append(pause)
    return tuple(sorted(found, key=lambda pause: pause.start))


def recent(pauses: Sequence[Pause], now: datetime) -> tuple[Pause, ...]:
    """Those that are not told yet by a day of manifests: a census must not grow with a control plane's age."""
    return tuple(each for each in pauses if each.end is None or now - each.end < REMEMBERED)


def billing_status(
    head: ChainHead, account: str, bucket: str, used: Used | None = None, signature: HeadSignature | None = None
) -> dict[str, Any]:
    """``status.billing`` of a ControlPlane: where its chain of manifests stands; :func:`head_of` reads it."""
    return {
        "account": account,
        "bucket": bucket,
        "spool": head.spool,
        "sequence": head.sequence,
        "manifestSha256": head.sha256,
        "storedTo": stamp(head.stored_to),
        **({"manifestSignature": signature_document(signature)} if signature is not None else {}),
        **({"capacity": used_document(used)} if used is not None else {}),
    }


def signature_of(control_plane: dict[str, Any], sha256: str) -> HeadSignature | None:
    """What ``status.billing`` keeps of the manifest with this SHA-256; None of another, and of what nobody can read."""
    told = (control_plane.get("status") or {}).get("billing") or {}
    try:
        return signature_untrusted(told["manifestSignature"]) if told.get("manifestSha256") == sha256 else None
    except (Malformed, KeyError):
        return None


def head_of(control_plane: dict[str, Any], account: str, bucket: str) -> ChainHead | None:
    """The end of a control plane's chain, by its own collector; None where it stores nothing there."""
    status = control_plane.get("status") or {}
    told = status.get("billing") or {}
    if (told.get("account"), told.get("bucket")) != (account, bucket) or not status.get("controlPlaneID"):
        return None
    try:
        sequence, at = int(told["sequence"]), moment_untrusted(told["storedTo"])
        return ChainHead(status["controlPlaneID"], str(told["spool"]), sequence, str(told["manifestSha256"]), at)
    except (KeyError, TypeError, ValueError):
        return None


def not_stored(start: datetime, end: datetime) -> str:
    """How a condition tells which usage waits; :func:`lost_of` reads it where a control plane goes before that."""
    return f"usage from {stamp(start)} to {stamp(end)} is not stored"


def lost_of(status: dict[str, Any]) -> Lost | None:
    """What a control plane that is deleted could not store, by its collector's own last word."""
    stored = condition_of(status.get("conditions"), STORED)
    if stored is None or stored.get("status") == "True":
        return None
    found = _NOT_STORED.fullmatch(str(stored.get("message", "")))
    if found is None:
        return None
    try:
        return Lost(moment_untrusted(found[1]), moment_untrusted(found[2]), str(stored.get("reason", "")))
    except Malformed:
        return None


def _kept(control_plane: dict[str, Any]) -> dict[str, Any]:
    """A hundred control planes' managed fields are of no use to anybody here."""
    metadata = {key: value for key, value in control_plane["metadata"].items() if key != "managedFields"}
    return {**control_plane, "metadata": metadata}
