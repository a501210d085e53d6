"""Keeps the annotation of client-side apply true while kubectl applies server-side, so that it can go back. Pure.

Spec: https://kubernetes.io/docs/reference/using-api/server-side-apply/#downgrading-from-server-side-apply-to-client-side-apply
"""

from __future__ import annotations

import orjson

from keyless.local.cluster.apply.applying import LAST_APPLIED
from keyless.local.cluster.faults import Object

_MOST_BYTES = 256 * 1024  # of all annotations; an object that outgrows it goes without the annotation
_HTML = {"&": r"\u0026", "<": r"\u003c", ">": r"\u003e"}  # as Go's encoder writes them


def with_last_applied(new: Object, live: Object, applied: Object) -> Object:
    """``new`` with what was applied noted, where the live object has such a note."""
    if not ((live.get("metadata") or {}).get("annotations") or {}).get(LAST_APPLIED):
        return new
    annotations = dict(new["metadata"].get("annotations") or {})
    annotations[LAST_APPLIED] = _noted(applied)
    if sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items()) > _MOST_BYTES:
        del annotations[LAST_APPLIED]
    return {**new, "metadata": {**new["metadata"], "annotations": annotations}}


def _noted(applied: Object) -> str:
    metadata = {key: value for key, value in applied["metadata"].items() if key != "managedFields"}
    if LAST_APPLIED in (metadata.get("annotations") or {}):
        metadata["annotations"] = {k: v for k, v in metadata["annotations"].items() if k != LAST_APPLIED}
    text = orjson.dumps({**applied, "metadata": metadata}, option=orjson.OPT_SORT_KEYS).decode()
    return "".join(_HTML.get(character, character) for character in text) + "\n"
