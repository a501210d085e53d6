"""Values that travel between the API server and its callers. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple

from keyless.kube.resources import KubeObject

EventType = Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
PatchKind = Literal["merge", "json", "strategic"]
Propagation = Literal["Background", "Foreground", "Orphan"]
Selector = str | Mapping[str, str] | None
"""A label or field selector: its text, or the labels that must be equal."""


class Name(NamedTuple):
    """An object's place inside one resource; ``namespace`` is empty for cluster-scoped objects."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Page:
    """A whole list (all of its chunks) and the resourceVersion from which a watch continues it."""

    items: list[KubeObject]
    resource_version: str


@dataclass(frozen=True, slots=True)
class Event:
    """One change. ``old`` is what the informer held before; a bare watch leaves it empty."""

    type: EventType
    object: KubeObject
    old: KubeObject | None = None


@dataclass(frozen=True, slots=True)
class TokenStatus:
    """A service account token; ``token`` stays out of the representation, which may end in a log."""

    token: str = field(repr=False)
    expires_at: datetime


def name_of(obj: KubeObject) -> Name:
    """Where ``obj`` lives."""
    metadata = obj["metadata"]
    return Name(metadata.get("namespace") or "", metadata["name"])


def version_of(obj: KubeObject) -> str:
    """The object's resourceVersion; empty when it was never stored."""
    return str(obj.get("metadata", {}).get("resourceVersion") or "")


def selector_text(selector: Selector) -> str | None:
    """The query parameter for ``selector``."""
    if selector is None or isinstance(selector, str):
        return selector
    return ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
