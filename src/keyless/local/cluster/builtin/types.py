"""The table of built-in types: fields, JSON names, protobuf numbers, merge markers.

The data is distilled from Kubernetes' Go types by ``tests/generate/kubernetes_types.py``; nothing here knows a kind by
name. Fields of structs that Go inlines appear with their parent in JSON, but in a message of their own in protobuf.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import orjson

META = "meta/v1.ObjectMeta"


@dataclass(frozen=True, slots=True)
class Field:
    """One field; ``type``: ``string``, ``[]X``, ``{}X``, ``@package.Struct`` or a special name (``Time``, ``Raw``)."""

    name: str
    number: int
    type: str
    pointer: bool
    omitempty: bool
    inline: bool
    patch_strategy: frozenset[str]
    patch_key: str
    list_type: str
    list_keys: tuple[str, ...]
    default: str | int | None
    optional: bool
    """May be left out by a writer."""


@dataclass(frozen=True, slots=True)
class Struct:
    """One Go struct: ``fields`` by JSON name with inlined ones taken in, ``wire`` by protobuf number without."""

    name: str
    atomic: bool
    fields: Mapping[str, Field]
    wire: Mapping[int, Field]

    @property
    def title(self) -> str:
        """The Go name without its package."""
        return self.name.rpartition(".")[2]


@cache
def _table() -> dict[str, Any]:
    raw = files(__package__).joinpath("types.json.gz").read_bytes()
    table: dict[str, Any] = orjson.loads(gzip.decompress(raw))
    return table


def struct_of(group: str, version: str, kind: str) -> Struct | None:
    """The type of a kind, ``None`` when there is none. DeleteOptions belongs to every group."""
    if kind == "DeleteOptions":
        group, version = "meta", "v1"
    name = _table()["kinds"].get(f"{group}/{version}/{kind}")
    return struct(name) if name else None


@cache
def version_of(group: str, kind: str) -> str:
    """The version in which a kind is typed here; empty when it is not."""
    for key in _table()["kinds"]:
        found_group, found_version, found_kind = key.rsplit("/", 2)
        if found_group == group and found_kind == kind:
            return str(found_version)
    return ""


@cache
def struct(name: str) -> Struct:
    """A struct by its key in the table (``core/v1.PodSpec``)."""
    entry = _table()["structs"][name]
    own = [_field(raw) for raw in entry["fields"]]
    fields: dict[str, Field] = {}
    for field in own:
        if field.inline:
            fields.update(struct(field.type[1:]).fields)
    fields.update({field.name: field for field in own if not field.inline})
    wire = {field.number: field for field in own if field.number}
    return Struct(name, bool(entry.get("atomic")), fields, wire)


def _field(raw: Mapping[str, Any]) -> Field:
    return Field(
        name=raw["n"],
        number=raw["i"],
        type=raw["t"],
        pointer=bool(raw.get("p")),
        omitempty=bool(raw.get("o")),
        inline=bool(raw.get("in")),
        patch_strategy=frozenset(raw["ps"].split(",")) if "ps" in raw else frozenset(),
        patch_key=raw.get("pk", ""),
        list_type=raw.get("lt", ""),
        list_keys=tuple(raw.get("lk", ())),
        default=raw.get("d"),
        optional=bool(raw.get("o") or raw.get("q")),
    )
