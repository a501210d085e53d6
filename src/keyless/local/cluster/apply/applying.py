"""One server-side apply: merge, drop what is no longer applied, find the conflicts, move the ownership."""

from __future__ import annotations

from dataclasses import dataclass, replace

import orjson

from keyless.local.cluster.apply import entries
from keyless.local.cluster.apply.entries import Managers, Owned, Owner
from keyless.local.cluster.apply.fields import EMPTY, Path, Paths, text
from keyless.local.cluster.apply.shapes import Shape
from keyless.local.cluster.apply.walks import Difference, compare, merge, paths_of, with_declared, without
from keyless.local.cluster.faults import Object

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
BEFORE_FIRST_APPLY = "before-first-apply"


@dataclass(frozen=True, slots=True)
class Apply:
    """What an apply is made from."""

    live: Object
    config: Object
    managers: Managers
    manager: str
    subresource: str
    now: str
    schema: Shape
    is_new: bool

    @property
    def owner(self) -> Owner:
        """The applier."""
        return entries.applier(self.manager, self.subresource)

    @property
    def api_version(self) -> str:
        """The version it speaks."""
        return str(self.config.get("apiVersion", ""))


@dataclass(frozen=True, slots=True)
class Conflict:
    """What others own and the apply would change."""

    found: tuple[tuple[Owner, Path], ...]

    @property
    def message(self) -> str:
        """Kubernetes' sentence."""
        if len(self.found) == 1:
            owner, path = self.found[0]
            return f"Apply failed with 1 conflict: conflict with {owner.shown()}: {text(path)}"
        lines: list[str] = []
        for shown in dict.fromkeys(owner.shown() for owner, _ in self.found):
            lines.append(f"conflicts with {shown}:")
            lines += [f"- {text(path)}" for owner, path in self.found if owner.shown() == shown]
        return f"Apply failed with {len(self.found)} conflicts: " + "\n".join(lines)

    @property
    def causes(self) -> tuple[dict[str, str], ...]:
        """One for each path."""
        return tuple(
            {"reason": "FieldManagerConflict", "message": f"conflict with {owner.shown()}", "field": text(path)}
            for owner, path in self.found
        )


def apply(task: Apply, *, force: bool) -> tuple[Object, Managers] | Conflict:
    """The merged object and its owners, or the conflict."""
    managers = _with_first(task)
    previous = managers.get(task.owner)
    merged: Object = merge(task.schema, task.live, task.config)
    mine = paths_of(task.schema, task.config) - entries.STRIPPED
    managers = {**managers, task.owner: Owned(mine, task.now, task.api_version)}
    merged = _pruned(task, merged, previous.paths if previous else EMPTY, managers)
    change = compare(task.schema, task.live, merged)
    conflict = _conflict(task, managers, change)
    if conflict and not force and not _is_our_own_past(task, conflict):
        return conflict
    managers = entries.taken_from(managers, change.changed() | change.removed, but=task.owner)
    unchanged = previous and previous.paths == mine and not change.changed() and not change.removed
    if unchanged and previous:
        managers[task.owner] = replace(previous, api_version=task.api_version)
    return merged, entries.stripped(managers)


def _with_first(task: Apply) -> Managers:
    """An object whose owners nobody recorded belongs to ``before-first-apply``."""
    if task.managers or task.is_new:
        return task.managers
    paths = paths_of(task.schema, task.live) - entries.STRIPPED
    owner = Owner(BEFORE_FIRST_APPLY, "Update", task.api_version)
    return {owner: Owned(paths, task.now, task.api_version)}


def _conflict(task: Apply, managers: Managers, change: Difference) -> Conflict | None:
    touched = change.changed()
    found = [
        (owner, path) for owner, owned in managers.items() if owner != task.owner for path in owned.paths & touched
    ]
    found.sort(key=lambda item: (item[0].shown(), text(item[1])))
    return Conflict(tuple(found)) if found else None


def _pruned(task: Apply, merged: Object, last: Paths, managers: Managers) -> Object:
    """``merged`` without what this manager applied before, applies no longer, and no other manager owns."""
    if not last:
        return merged
    schema = task.schema
    last = with_declared(schema, last)
    pruned: Object = without(schema, merged, last)
    owned = frozenset(path for entry in managers.values() for path in entry.paths)
    everything = with_declared(schema, paths_of(schema, merged))
    kept = with_declared(schema, paths_of(schema, pruned)) | with_declared(schema, owned)
    pruned = without(schema, merged, everything - kept)
    # What nobody applied must not vanish with its parent.
    remaining = with_declared(schema, paths_of(schema, pruned))
    result: Object = without(schema, merged, (everything - remaining) & last)
    return result


def _is_our_own_past(task: Apply, conflict: Conflict) -> bool:
    """kubectl may take over, without force, what its client-side apply wrote and nobody changed since."""
    if task.manager != "kubectl":
        return False
    noted = ((task.live.get("metadata") or {}).get("annotations") or {}).get(LAST_APPLIED)
    if not isinstance(noted, str):
        return False
    try:
        last = orjson.loads(noted)
    except orjson.JSONDecodeError:
        return False
    if not isinstance(last, dict):
        return False
    unchanged = paths_of(task.schema, last) - frozenset(compare(task.schema, last, task.live).modified)
    return all(path in unchanged for _, path in conflict.found)
