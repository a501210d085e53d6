"""Server-side apply, simplified: fields have owners, lists of named things are merged by name. Pure.

Lists whose items all carry ``type`` (conditions), ``name`` (containers, env, volumes) or ``controlPlane`` (rows of a
shared resource) are merged item by item, all other lists as one value. The real rules come from each schema; see
``keyless.local.cluster`` for those.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keyless.kube.resources import KubeObject

Step = str | tuple[str, str]
Path = tuple[Step, ...]
Owned = frozenset[Path]

_UNOWNED = frozenset({("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace")})


def merge(live: KubeObject, patch: Any) -> Any:
    """RFC 7386: objects merge, null removes, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    result = dict(live) if isinstance(live, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key, {}), value)
    return result


def fields_of(obj: KubeObject) -> dict[Path, Any]:
    """Every leaf of ``obj`` with its path."""
    return {path: value for path, value in _leaves(obj, ()) if path not in _UNOWNED}


def conflicts(live: KubeObject, applied: KubeObject, owners: Mapping[str, Owned], manager: str) -> list[str]:
    """Who else owns a field that ``applied`` would change: ``conflict with "m": .spec.replicas``."""
    now = fields_of(live)
    return [
        f'conflict with "{other}": {_text(path)}'
        for path, value in fields_of(applied).items()
        for other, owned in owners.items()
        if other != manager and path in owned and path in now and now[path] != value
    ]


def apply(live: KubeObject, applied: KubeObject, owners: Mapping[str, Owned], manager: str) -> KubeObject:
    """``live`` with the fields of ``applied``, without those that only ``manager`` had applied and now leaves out."""
    keep = set(fields_of(applied)).union(*(owned for other, owned in owners.items() if other != manager))
    gone = owners.get(manager, frozenset()) - keep
    result: KubeObject = _overlay(_without(live, gone), applied)
    return result


_KEYS = ("type", "name", "controlPlane")


def _leaves(value: Any, path: Path) -> list[tuple[Path, Any]]:
    key = _list_key(value)
    if isinstance(value, dict) and value:
        return [leaf for name, item in value.items() for leaf in _leaves(item, (*path, name))]
    if key:
        return [leaf for item in value for leaf in _leaves(item, (*path, (key, str(item[key]))))]
    return [(path, value)]


def _list_key(value: Any) -> str | None:
    if not isinstance(value, list) or not value or not all(isinstance(item, dict) for item in value):
        return None
    return next((key for key in _KEYS if all(key in item for item in value)), None)


def _overlay(live: Any, applied: Any) -> Any:
    if isinstance(live, dict) and isinstance(applied, dict):
        return {**live, **{key: _overlay(live.get(key), value) for key, value in applied.items()}}
    key = _list_key(applied)
    if applied == [] and _list_key(live):
        return live  # who applies no item of a list owns none, and takes none of another's away
    if key and _list_key(live) == key:
        wanted = {item[key]: item for item in applied}
        merged = [_overlay(item, wanted.pop(item[key], item)) for item in live]
        return [*merged, *wanted.values()]
    return applied


def _without(value: Any, gone: frozenset[Path] | set[Path], path: Path = ()) -> Any:
    """``value`` without the leaves in ``gone``; containers that become empty by it go too."""
    if isinstance(value, dict):
        kept = {name: (item, _without(item, gone, (*path, name))) for name, item in value.items()}
        return {
            name: after
            for name, (before, after) in kept.items()
            if (*path, name) not in gone and not (after in ({}, []) and before not in ({}, []))
        }
    if key := _list_key(value):
        items = [(item, _without(item, gone, (*path, (key, str(item[key]))))) for item in value]
        return [after for item, after in items if key in after or not item]
    return value


def _text(path: Path) -> str:
    return "".join(f".{step}" if isinstance(step, str) else f'[{step[0]}="{step[1]}"]' for step in path)
