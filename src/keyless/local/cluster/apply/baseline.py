"""What a new object is compared with: the empty object of its type.

Go's empty struct already has its struct fields and its required lists, so nobody owns these by creating an object.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from keyless.local.cluster.apply.fields import Path
from keyless.local.cluster.builtin.types import struct, struct_of, version_of

SET_BY_SERVER: Mapping[str, frozenset[Path]] = {
    "Pod": frozenset(("f:spec", f"f:{name}") for name in ("priority", "preemptionPolicy", "tolerations")),
    "Service": frozenset(
        ("f:spec", f"f:{name}") for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")
    ),
}


def empty_object(obj: dict[str, Any]) -> dict[str, Any]:
    """The baseline for the kind of ``obj``."""
    head: dict[str, Any] = {key: obj[key] for key in ("apiVersion", "kind") if key in obj}
    group = str(obj.get("apiVersion", "")).rpartition("/")[0]
    kind = str(obj.get("kind", ""))
    found = struct_of(group, version_of(group, kind), kind)
    return {**head, **_empty(found.name)} if found else head


def set_by_server(obj: dict[str, Any]) -> frozenset[Path]:
    """The paths that the server fills in when it stores a new object; the creator does not own them."""
    return SET_BY_SERVER.get(str(obj.get("kind", "")), frozenset())


@cache
def _empty(name: str) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for field in struct(name).fields.values():
        if field.pointer or field.name in {"apiVersion", "kind"}:
            continue
        if field.type.startswith("@"):
            result[field.name] = _empty(field.type[1:])
        elif field.type in {"Time", "MicroTime"} or (field.type[:2] in {"[]", "{}"} and not field.omitempty):
            result[field.name] = None
        elif not field.omitempty:
            result[field.name] = {"string": "", "bool": False}.get(field.type, 0)
    return result
