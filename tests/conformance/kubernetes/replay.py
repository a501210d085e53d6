"""Reading the recordings, and comparing objects as far as the codecs alone are answerable."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "recordings"
IDENTITY = {"uid", "resourceVersion", "creationTimestamp", "managedFields", "generation", "namespace"}


def recording(name: str) -> Any:
    return json.loads(gzip.decompress((FOLDER / f"{name}.json.gz").read_bytes()))


def without_nulls(value: Any) -> Any:
    """Where Go writes null we write nothing."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def plain(obj: dict[str, Any]) -> dict[str, Any]:
    """The object without nulls and without what the server alone gives it."""
    made: dict[str, Any] = without_nulls(obj)
    metadata = {key: value for key, value in (made.get("metadata") or {}).items() if key not in IDENTITY}
    return {**made, "metadata": metadata}


def kind_of(obj: dict[str, Any]) -> tuple[str, str, str]:
    group, _, version = obj["apiVersion"].rpartition("/")
    return group, version, obj["kind"]


def differences(ours: Any, theirs: Any, path: str = "") -> list[str]:
    """Paths at which two values differ."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        keys = sorted(ours.keys() | theirs.keys())
        return [found for key in keys for found in _at(ours, theirs, key, f"{path}.{key}")]
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        pairs = enumerate(zip(ours, theirs, strict=True))
        return [found for index, (a, b) in pairs for found in differences(a, b, f"{path}[{index}]")]
    return [] if ours == theirs and type(ours) is type(theirs) else [path]


def _at(ours: dict[str, Any], theirs: dict[str, Any], key: str, path: str) -> list[str]:
    if key in ours and key in theirs:
        return differences(ours[key], theirs[key], path)
    return [path]
