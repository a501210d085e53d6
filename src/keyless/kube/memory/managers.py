"""Who manages which field of a Secret: ``metadata.managedFields`` as a server keeps it. Pure; times are left out.

Rules: https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from keyless.kube.memory.apply import Owned, Path, Step, fields_of
from keyless.kube.resources import KubeObject

_SERVER_OWNED = frozenset({"uid", "creationTimestamp", "generation", "resourceVersion", "managedFields"})


def after_update(owners: Mapping[str, Owned], live: KubeObject, new: KubeObject, manager: str) -> dict[str, Owned]:
    """The owners once ``manager`` has written ``new``: what changed is its own, what is gone is nobody's."""
    before, after = _fields(live), _fields(new)
    changed = frozenset(path for path, value in after.items() if path not in before or before[path] != value)
    kept = {other: (owned & frozenset(after)) - changed for other, owned in owners.items()}
    kept[manager] = kept.get(manager, frozenset()) | changed
    return {other: owned for other, owned in kept.items() if owned}


def managed_fields(owners: Mapping[str, Owned]) -> list[KubeObject]:
    """The entries of ``metadata.managedFields``, one a manager."""
    return [
        {"manager": manager, "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": _tree(owned)}
        for manager, owned in sorted(owners.items())
    ]


def _fields(obj: KubeObject) -> dict[Path, Any]:
    return {
        path: value
        for path, value in fields_of(obj).items()
        if path and not (path[0] == "metadata" and len(path) > 1 and path[1] in _SERVER_OWNED)
    }


def _tree(owned: Owned) -> KubeObject:
    tree: KubeObject = {}
    for path in owned:
        at = tree
        for step in path:
            at = at.setdefault(_name(step), {})
    return tree


def _name(step: Step) -> str:
    return f"f:{step}" if isinstance(step, str) else "k:" + json.dumps({step[0]: step[1]}, separators=(",", ":"))
