"""How values merge: atomic, field by field, item by item. Built from Go's type markers or a CRD's schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Shape:
    """One value's way to merge.

    ``kind``: ``atomic`` (replaced whole), ``struct`` (``fields``, else ``element``), ``set`` (a list of unique scalars)
    or ``map`` (a list of objects told apart by ``keys``). Fields are looked up lazily, as types may be recursive.
    """

    kind: str
    field: Callable[[str], Shape | None] | None = None
    element: Callable[[], Shape] | None = None
    keys: tuple[str, ...] = ()


def builtin_shape(group: str, kind: str) -> Shape:
    """The shape of a built-in kind."""
    raise NotImplementedError


def schema_shape(openapi_v3_schema: Mapping[str, Any]) -> Shape:
    """The shape of a custom resource; metadata merges as for every object."""
    raise NotImplementedError
