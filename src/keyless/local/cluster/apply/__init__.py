"""Server-side apply: who owns which field, what an apply changes, and when it conflicts.

Pure: the caller passes the time. ``managedFields`` live in the objects, as in Kubernetes. Objects are compared and
merged by their :class:`Shape`.
Spec: https://kubernetes.io/docs/reference/using-api/server-side-apply/
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keyless.local.cluster.apply import entries
from keyless.local.cluster.apply.applying import Apply, Conflict, apply
from keyless.local.cluster.apply.baseline import empty_object, set_by_server
from keyless.local.cluster.apply.entries import Owned, Owner
from keyless.local.cluster.apply.last_applied import with_last_applied
from keyless.local.cluster.apply.shapes import Shape, builtin_shape, schema_shape
from keyless.local.cluster.apply.walks import compare
from keyless.local.cluster.builtin.types import version_of
from keyless.local.cluster.faults import Object

__all__ = [
    "ApplyConflict",
    "Shape",
    "builtin_shape",
    "schema_shape",
    "server_side_apply",
    "track_update",
    "with_last_applied",
]


@dataclass(frozen=True, slots=True)
class ApplyConflict:
    """Other managers own fields that the apply would change; ``causes`` name each (reason FieldManagerConflict)."""

    message: str
    causes: tuple[dict[str, str], ...]


def track_update(
    old: Object | None, new: Object, *, manager: str, api_version: str, subresource: str, now: str, schema: Shape
) -> list[dict[str, Any]]:
    """The ``managedFields`` of ``new`` after a create, update or patch by ``manager``.

    ``now`` is RFC 3339 to the second. ``old`` and ``new`` are as stored, defaults included. When ``new`` carries an
    empty ``managedFields`` list the caller has asked to reset it, and so it is.
    """
    given = (new.get("metadata") or {}).get("managedFields")
    if given is not None and given in ([], [{}]):
        return []
    managers = entries.read(given) or entries.read(((old or {}).get("metadata") or {}).get("managedFields"))
    before = _without_fields(old) if old is not None else empty_object(new)
    change = compare(schema, before, _without_fields(new))
    touched = change.changed()
    managers = entries.taken_from(managers, touched | change.removed)
    mine = touched - entries.STRIPPED
    if old is None:
        mine = frozenset(path for path in mine - set_by_server(new) if path[0] != "f:status" or not _is_builtin(new))
    if mine:
        owner = Owner(manager or "unknown", "Update", api_version, subresource)
        previous = managers.get(owner)
        managers[owner] = Owned(mine | previous.paths if previous else mine, now, api_version)
    return entries.write(entries.stripped(managers))


def server_side_apply(
    live: Object | None,
    applied: Object,
    *,
    manager: str,
    force: bool,
    subresource: str,
    now: str,
    schema: Shape,
    status_is_separate: bool = True,
) -> Object | ApplyConflict:
    """The object after an apply (not yet defaulted or validated), with its ``managedFields``, or the conflict.

    ``live`` is ``None`` for an object that does not exist yet. ``status_is_separate``: the kind has a status
    subresource, so an apply on the main resource ignores status, and one on status ignores everything else.
    ``applied`` is what the caller sent, neither defaulted nor normalised: it owns exactly what it names.
    """
    config = _own_part(applied, subresource, status_is_separate=status_is_separate)
    before = _without_fields(live) if live is not None else empty_object(applied)
    managers = entries.read(((live or {}).get("metadata") or {}).get("managedFields"))
    task = Apply(before, config, managers, manager, subresource, now, schema, is_new=live is None)
    result = apply(task, force=force)
    if isinstance(result, Conflict):
        return ApplyConflict(result.message, result.causes)
    merged, owners = result
    # A new object is what was applied; the empty one it was compared with leaves no trace.
    base = config if live is None else merged
    return {**base, "metadata": {**(base.get("metadata") or {}), "managedFields": entries.write(owners)}}


def _is_builtin(obj: Object) -> bool:
    """Status of a new object is the server's; only kinds we know surely have it apart."""
    return bool(version_of(str(obj.get("apiVersion", "")).rpartition("/")[0], str(obj.get("kind", ""))))


def _without_fields(obj: Object) -> Object:
    metadata = {key: value for key, value in (obj.get("metadata") or {}).items() if key != "managedFields"}
    return {**obj, "metadata": metadata}


def _own_part(applied: Object, subresource: str, *, status_is_separate: bool) -> Object:
    """What this endpoint may change of what was sent."""
    config = _without_fields(applied)
    if subresource == "status":
        metadata = {key: config["metadata"][key] for key in ("name", "namespace", "uid") if key in config["metadata"]}
        kept: Object = {key: config[key] for key in ("apiVersion", "kind", "status") if key in config}
        return {**kept, "metadata": metadata}
    if status_is_separate and not subresource:
        return {key: value for key, value in config.items() if key != "status"}
    return config
