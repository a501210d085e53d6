"""Which control plane holds which version of which key, and what is wrong with it. Pure.

Versions are compared only below one SharedSecretStore: stores that control planes made may lead to other accounts. The
newest is the one that a control plane came to hold last, so that a rollback in the provider counts as news, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from keyless.kube import KubeObject, condition_of, timestamp
from keyless.shared_secrets.durations import seconds_of
from keyless.shared_secrets.fleet.model import Plane, Row
from keyless.shared_secrets.projection.plan import SOURCE_LABEL
from keyless.shared_secrets.sync.hashes import resource_version
from keyless.shared_secrets.sync.model import DEFAULT_INTERVAL_SECONDS

LATE_SECONDS = 120.0
"""A read may come so much after its time: by the spread of due times, and by a queue."""
LATE_SHARE = 0.2


def fleet(planes: Iterable[Plane], now: datetime) -> list[Row]:
    """Return a row for each key in each control plane, in order of group, key and control plane."""
    rows = [row for plane in planes for row in _rows(plane, now)]
    newest: dict[tuple[str, ...], Row] = {}
    for row in rows:
        if row.version and row.shared_store:
            known = newest.get(_same(row))
            if known is None or row.version_time > known.version_time:
                newest[_same(row)] = row
    judged = [_behind(row, newest.get(_same(row))) for row in rows]
    return sorted(judged, key=lambda row: (row.group, row.key, row.control_plane, row.namespace, row.external_secret))


def _same(row: Row) -> tuple[str, ...]:
    return row.group, row.shared_store, row.key, row.requested_version


def _behind(row: Row, newest: Row | None) -> Row:
    if row.state != "Current" or newest is None or newest.version == row.version:
        return row
    text = f"{newest.control_plane} holds {newest.version} since {newest.version_time}"
    return replace(row, state="Behind", message=f"{text}; {row.message}" if row.message else text)


def _rows(plane: Plane, now: datetime) -> Iterator[Row]:
    if plane.unreachable:
        yield Row(plane.group, plane.name, "Unreachable", message=plane.unreachable)
        return
    shared = {one["metadata"]["name"]: _source(one) for one in plane.cluster_external_secrets}
    stores = {one["metadata"]["name"]: _source(one) for one in plane.cluster_secret_stores}
    for obj in plane.external_secrets:
        whole = _whole(plane, obj, shared)
        sources = (obj.get("status") or {}).get("sources") or ()
        if not sources:
            yield replace(whole, state="NotRead" if whole.ready != "True" else whole.state)
        for source in sources:
            yield _of_source(whole, source, stores, now)


def _whole(plane: Plane, obj: KubeObject, shared: dict[str, str]) -> Row:
    metadata, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    ready = condition_of(status.get("conditions"), "Ready") or {}
    allowed = condition_of(status.get("conditions"), "Authorized") or {}
    waits = condition_of(status.get("conditions"), "RotationHeld") or {}
    stage = str(waits.get("message") or "") if waits.get("status") == "True" else ""
    owners = metadata.get("ownerReferences") or ()
    cluster = next((owner["name"] for owner in owners if owner.get("kind") == "ClusterExternalSecret"), "")
    holds = ready.get("status") == "True"
    return Row(
        group=plane.group,
        control_plane=plane.name,
        state="Current" if holds else "NotSynced",
        namespace=metadata["namespace"],
        external_secret=metadata["name"],
        shared_external_secret=shared.get(cluster, ""),
        secret=(spec.get("target") or {}).get("name") or metadata["name"],
        next_read_time=_next(spec, status),
        ready=str(ready.get("status") or "Unknown"),
        reason=str(ready.get("reason") or ""),
        authorized=str(allowed.get("status") or "Unknown"),
        message=stage if holds else str(ready.get("message") or ""),
    )


def _of_source(whole: Row, source: KubeObject, stores: dict[str, str], now: datetime) -> Row:
    cluster_wide = source.get("storeKind") == "ClusterSecretStore"
    row = replace(
        whole,
        store=source.get("store", ""),
        store_kind=source.get("storeKind", ""),
        shared_store=stores.get(source.get("store", ""), "") if cluster_wide else "",
        key=source.get("key", "(find)" if source.get("find") else ""),
        requested_version=source.get("requestedVersion", ""),
        version=source.get("version", ""),
        version_time=source.get("versionTime", ""),
        read_time=source.get("readTime", ""),
        failure=source.get("failure") or {},
    )
    if row.failure:
        return replace(row, state="Failing")
    return replace(row, state="Stale") if row.state == "Current" and _is_late(row, now) else row


def _is_late(row: Row, now: datetime) -> bool:
    """Return whether its time has gone by without a read: the controller does not work, or cannot say so."""
    due, read = _time(row.next_read_time), _time(row.read_time)
    if due is None or read is None:
        return False
    return now > due + timedelta(seconds=LATE_SECONDS + LATE_SHARE * max(0.0, (due - read).total_seconds()))


def _next(spec: KubeObject, status: KubeObject) -> str:
    """Return when the provider is to be asked again, empty where only a change asks it."""
    read = _time(str(status.get("refreshTime") or ""))
    try:
        said = spec.get("refreshInterval")
        seconds = DEFAULT_INTERVAL_SECONDS if said is None else seconds_of(str(said))
    except ValueError:
        return ""
    if read is None or seconds <= 0 or (spec.get("refreshPolicy") or "Periodic") != "Periodic":
        return ""
    try:
        return timestamp(read + timedelta(seconds=seconds))
    except OverflowError:
        return ""


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None


def _source(obj: KubeObject) -> str:
    return str((obj["metadata"].get("labels") or {}).get(SOURCE_LABEL, ""))


def refreshed(obj: KubeObject, annotation: str, stamp: str) -> bool:
    """Return whether an ExternalSecret carries the stamp and was synced since."""
    status: dict[str, Any] = obj.get("status") or {}
    if (obj["metadata"].get("annotations") or {}).get(annotation) != stamp:
        return False
    ready = condition_of(status.get("conditions"), "Ready") or {}
    return ready.get("status") == "True" and status.get("syncedResourceVersion") == resource_version(obj)
