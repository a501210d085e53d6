"""The entries of ``managedFields``: who owns what, read, written and kept in order.

An entry's identity is manager, operation, API version and subresource; an applier's does not depend on the API version.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from keyless.local.cluster.apply.fields import Paths, from_fields_v1, to_fields_v1

MAX_UPDATERS = 10
"""More managers of operation Update than this share one entry, as the object would grow without end."""

# The server writes these itself; nobody owns them.
STRIPPED = frozenset(
    {
        ("f:apiVersion",),
        ("f:kind",),
        ("f:metadata",),
        *(
            ("f:metadata", f"f:{name}")
            for name in (
                "name",
                "namespace",
                "creationTimestamp",
                "selfLink",
                "uid",
                "clusterName",
                "generation",
                "managedFields",
                "resourceVersion",
            )
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Owner:
    """The identity of an entry."""

    manager: str
    operation: str
    api_version: str
    subresource: str = ""

    def shown(self) -> str:
        """As conflicts name it."""
        text = f'"{self.manager}"'
        if self.subresource:
            text += f' with subresource "{self.subresource}"'
        return f"{text} using {self.api_version}" if self.operation == "Update" else text


@dataclass(frozen=True, slots=True)
class Owned:
    """What an owner owns, and since when."""

    paths: Paths
    time: str
    api_version: str


Managers = dict[Owner, Owned]


def applier(manager: str, subresource: str) -> Owner:
    """The identity of a server-side applier."""
    return Owner(manager, "Apply", "", subresource)


def read(entries: Any) -> Managers:
    """The managers of an object; entries that cannot be read are dropped."""
    found: Managers = {}
    for entry in entries if isinstance(entries, list) else ():
        if not isinstance(entry, dict) or entry.get("operation") not in {"Apply", "Update"}:
            continue
        version = entry.get("apiVersion", "")
        applies = entry["operation"] == "Apply"
        owner = Owner(
            entry.get("manager", ""), entry["operation"], "" if applies else version, entry.get("subresource", "")
        )
        paths = from_fields_v1(entry.get("fieldsV1"))
        before = found.get(owner)
        found[owner] = Owned(paths | before.paths if before else paths, entry.get("time", ""), version)
    return found


def write(managers: Managers) -> list[dict[str, Any]]:
    """The entries, appliers first, then by time and name."""
    rows = [(owner, owned) for owner, owned in _capped(managers).items() if owned.paths]
    rows.sort(key=lambda row: (row[0].operation, row[1].time, row[0].manager, row[1].api_version, row[0].subresource))
    return [_entry(owner, owned) for owner, owned in rows]


def _entry(owner: Owner, owned: Owned) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "manager": owner.manager,
        "operation": owner.operation,
        "apiVersion": owned.api_version,
        "time": owned.time,
        "fieldsType": "FieldsV1",
        "fieldsV1": to_fields_v1(owned.paths),
    }
    if not owned.time:
        del entry["time"]
    return {**entry, "subresource": owner.subresource} if owner.subresource else entry


def stripped(managers: Managers) -> Managers:
    """Without what nobody owns, and without owners of nothing."""
    kept = {owner: replace(owned, paths=owned.paths - STRIPPED) for owner, owned in managers.items()}
    return {owner: owned for owner, owned in kept.items() if owned.paths}


def _capped(managers: Managers) -> Managers:
    updaters = [(owned.time, owner) for owner, owned in managers.items() if owner.operation == "Update"]
    surplus = len(updaters) - MAX_UPDATERS
    if surplus <= 0:
        return managers
    oldest = [owner for _, owner in sorted(updaters, key=lambda row: (row[0], row[1].manager))[: surplus + 1]]
    kept = {owner: owned for owner, owned in managers.items() if owner not in oldest}
    for owner in oldest:
        bucket = Owner("ancient-changes", "Update", owner.api_version, owner.subresource)
        kept[bucket] = _joined(kept.get(bucket), managers[owner])
    return kept


def _joined(first: Owned | None, second: Owned) -> Owned:
    if first is None:
        return second
    return Owned(first.paths | second.paths, max(first.time, second.time), second.api_version)


def taken_from(managers: Managers, paths: Iterable[tuple[str, ...]], *, but: Owner | None = None) -> Managers:
    """The managers after ``paths`` were taken from all of them, except from ``but``."""
    gone = frozenset(paths)
    return {
        owner: owned if owner == but else replace(owned, paths=owned.paths - gone) for owner, owned in managers.items()
    }
