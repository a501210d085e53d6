"""Server-side apply: who owns which field, what an apply changes, and when it conflicts.

Pure: the caller passes the time. ``managedFields`` live in the objects, as in Kubernetes.
Spec: https://kubernetes.io/docs/reference/using-api/server-side-apply/
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keyless.local.cluster.apply.shapes import Shape, builtin_shape, schema_shape
from keyless.local.cluster.faults import Object

__all__ = ["ApplyConflict", "Shape", "builtin_shape", "schema_shape", "server_side_apply", "track_update"]


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
    raise NotImplementedError


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
    """
    raise NotImplementedError
