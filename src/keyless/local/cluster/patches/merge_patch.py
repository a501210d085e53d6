"""JSON merge patch, RFC 7386, on immutable objects."""

from __future__ import annotations

from typing import Any

from keyless.local.cluster.patches.errors import bad_request


def merge_patch(obj: dict[str, Any], patch: Any) -> dict[str, Any]:
    """Merge ``patch`` into ``obj``."""
    if not isinstance(patch, dict):
        raise bad_request("error decoding patch: a merge patch is an object")
    return _merge(obj, patch)


def _merge(target: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    merged = dict(target)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            found = merged.get(key)
            # Nulls inside a new object mean "absent" too.
            merged[key] = _merge(found if isinstance(found, dict) else {}, value)
        else:
            merged[key] = value
    return merged
