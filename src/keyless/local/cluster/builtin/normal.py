"""Objects of built-in kinds as Go's types write them.

The API server decodes into Go structs and encodes them again. So unknown fields vanish, a value of another type is an
error, non-pointer scalars without ``omitempty`` always appear, empty optional ones never do, and structs held by value
appear as ``{}``. One difference is kept: where Go writes ``null`` (empty times and lists), the field is left out, as
Kubernetes does itself since 1.34.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any

from keyless.local.cluster.builtin import quantity
from keyless.local.cluster.builtin.types import Field, Struct, struct, struct_of
from keyless.local.cluster.faults import Malformed, Object, type_name

TYPE_META = ("apiVersion", "kind")
LIMITS = {"int32": 1 << 31, "int64": 1 << 63}
ZEROS: dict[str, Any] = {
    "string": "",
    "bool": False,
    "int32": 0,
    "int64": 0,
    "float64": 0,
    "IntOrString": 0,
    "Quantity": "0",
}
JSON_NAMES = {"boolean": "bool", "integer": "number", "number": "number"}

Convert = Callable[[Any], Any]


class _Mismatch(Exception):
    """A value that does not fit; ``steps`` grows while the exception climbs. Never leaves this module."""

    def __init__(self, text: str, go_type: str = "") -> None:
        super().__init__(text)
        self.text, self.go_type = text, go_type
        self.steps: list[str] = []
        self.owner = ""


def normalize(group: str, version: str, kind: str, obj: Object) -> Object:
    """The object in Go's form; a kind without type is answered unchanged; raises ``Malformed`` with Go's sentence."""
    found = struct_of(group, version, kind)
    if found is None:
        return obj
    try:
        body = _struct(found.name)({key: value for key, value in obj.items() if key not in TYPE_META})
    except _Mismatch as mismatch:
        raise Malformed(_sentence(mismatch)) from None
    head = {key: obj[key] for key in TYPE_META if key in obj}
    return {**head, **body}


def unknown_fields(group: str, version: str, kind: str, obj: Object) -> list[str]:
    """Paths that the type of the kind does not know, in the order in which they stand."""
    found = struct_of(group, version, kind)
    if found is None:
        return []
    body = {key: value for key, value in obj.items() if key not in TYPE_META}
    return list(_unknown(found, body, ""))


def metadata_parts(metadata: Object) -> tuple[Object, list[str]]:
    """Metadata in Go's form, for kinds that have no type of their own, and the names it does not know."""
    kind = struct("meta/v1.ObjectMeta")
    foreign = [path.removeprefix("metadata.") for path in _unknown(kind, metadata, "metadata.")]
    try:
        known: Object = _struct(kind.name)(metadata)
    except _Mismatch as mismatch:
        path = ".".join(reversed(mismatch.steps[-1:]))
        if not mismatch.go_type:
            raise Malformed(mismatch.text) from None
        text = f"json: cannot unmarshal {mismatch.text} into Go struct field {mismatch.owner}.{path}"
        raise Malformed(f"{text} of type {mismatch.go_type}") from None
    return known, foreign


def _sentence(mismatch: _Mismatch) -> str:
    """Go's own sentence; the caller says of which kind it speaks."""
    if not mismatch.go_type:
        return mismatch.text
    place = f"{mismatch.owner}.{'.'.join(reversed(mismatch.steps))}"
    return f"json: cannot unmarshal {mismatch.text} into Go struct field {place} of type {mismatch.go_type}"


@cache
def _struct(name: str) -> Convert:
    kind = struct(name)
    plan = [
        (field.name, _converter(field.type), _absent(field), _zero_is_dropped(field)) for field in kind.fields.values()
    ]

    def convert(value: Any) -> Any:
        if not isinstance(value, dict):
            raise _Mismatch(_json_name(value), f"{name.split('/')[0]}.{kind.title}")
        result: dict[str, Any] = {}
        for key, inner, absent, drop_zero in plan:
            found = value.get(key)
            if found is None:
                if absent is not None:
                    result[key] = absent() if callable(absent) else absent
                continue
            try:
                made = inner(found)
            except _Mismatch as mismatch:
                mismatch.owner = mismatch.owner or kind.title
                mismatch.steps.append(key)
                raise
            if made is not None and not (drop_zero and not made):
                result[key] = made
        return result

    return convert


def _absent(field: Field) -> Any:
    """What appears for a missing field: a scalar's zero, or a maker of an empty struct."""
    if field.pointer:
        return None
    if field.type.startswith("@"):
        return lambda: _struct(field.type[1:])({})
    if field.type in {"IntOrString", "Quantity"}:
        return ZEROS[field.type]
    return None if field.omitempty else ZEROS.get(field.type)


def _zero_is_dropped(field: Field) -> bool:
    """``omitempty`` on a value or a collection; structs and pointers always stay."""
    return (
        field.omitempty
        and not field.pointer
        and not field.type.startswith("@")
        and field.type not in {"IntOrString", "Raw"}
    )


@cache
def _converter(kind: str) -> Convert:
    if kind.startswith("@"):
        name = kind[1:]
        return lambda value: _struct(name)(value)  # late: types are recursive
    if kind.startswith("[]"):
        return _list(_converter(kind[2:]), kind)
    if kind.startswith("{}"):
        return _map(_converter(kind[2:]), kind[2:])
    return SPECIAL[kind]


def _list(element: Convert, kind: str) -> Convert:
    def convert(value: Any) -> Any:
        if not isinstance(value, list):
            raise _Mismatch(_json_name(value), _go_name(kind))
        return [element(item) for item in value if item is not None]

    return convert


def _map(element: Convert, kind: str) -> Convert:
    zero = ZEROS.get(kind, "")

    def convert(value: Any) -> Any:
        if not isinstance(value, dict):
            raise _Mismatch(_json_name(value), f"map[string]{_go_name(kind)}")
        result = {}
        for key, item in value.items():
            try:
                result[key] = zero if item is None else element(item)
            except _Mismatch as mismatch:
                mismatch.steps.append(key)
                raise
        return result

    return convert


def _go_name(kind: str) -> str:
    if kind.startswith("[]"):
        return f"[]{_go_name(kind[2:])}"
    if kind.startswith("@"):
        package, _, name = kind[1:].partition("/")
        return f"{'v1' if package else ''}.{name.rpartition('.')[2]}"
    return {"bytes": "[]uint8", "items": "[]string"}.get(kind, kind)


def _json_name(value: Any) -> str:
    name = type_name(value)
    return JSON_NAMES.get(name, name)


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise _Mismatch(_json_name(value), "string")
    return value


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _Mismatch(_json_name(value), "bool")
    return value


def _integer(name: str) -> Convert:
    limit = LIMITS[name]

    def convert(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise _Mismatch(f"number {value}" if isinstance(value, float) else _json_name(value), name)
        if not -limit <= value < limit:
            raise _Mismatch(f"number {value}", name)
        return value

    return convert


def _float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _Mismatch(_json_name(value), "float64")
    return value


def _bytes(value: Any) -> str:
    text = _string(value) if isinstance(value, str) else _refuse_bytes(value)
    try:
        b64decode(text.replace("\n", "").replace("\r", ""), validate=True)
    except (binascii.Error, ValueError):
        # Go names the offset; the text itself may be a secret and is never repeated.
        raise _Mismatch("illegal base64 data at input byte 0") from None
    return text.replace("\n", "").replace("\r", "")


def _refuse_bytes(value: Any) -> str:
    raise _Mismatch(_json_name(value), "[]uint8")


def _time(value: Any) -> str:
    return _moment(value, "2006-01-02T15:04:05Z07:00").strftime("%Y-%m-%dT%H:%M:%SZ")


def _micro_time(value: Any) -> str:
    return _moment(value, "2006-01-02T15:04:05.000000Z07:00").strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _moment(value: Any, layout: str) -> datetime:
    text = _string(value)
    try:
        found = datetime.fromisoformat(text) if "T" in text else None
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise _Mismatch(f'parsing time "{text}" as "{layout}": cannot parse "{text}" as "2006"')
    return found.astimezone(UTC)


def _quantity(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise _Mismatch(quantity.REFUSAL)
    try:
        return quantity.canonical(str(value))
    except ValueError as error:
        raise _Mismatch(str(error)) from None


def _int_or_string(value: Any) -> int | str:
    if isinstance(value, str):
        return value
    found: int = _integer("int32")(value)
    return found


def _as_is(value: Any) -> Any:
    return value


def _schema(value: Any) -> Any:
    return _struct("apiextensions/v1.JSONSchemaProps")(value)


def _schema_or(value: Any) -> Any:
    """A schema, or what may stand in its place: a boolean, a list of schemas, a list of names."""
    if isinstance(value, list):
        return [item if isinstance(item, str) else _schema(item) for item in value]
    return value if isinstance(value, bool) else _schema(value)


SPECIAL: dict[str, Convert] = {
    "string": _string,
    "bool": _boolean,
    "int32": _integer("int32"),
    "int64": _integer("int64"),
    "float64": _float,
    "bytes": _bytes,
    "Time": _time,
    "MicroTime": _micro_time,
    "Quantity": _quantity,
    "IntOrString": _int_or_string,
    "Raw": _as_is,
    "items": _list(_string, "items"),
    "SchemaOrArray": _schema_or,
    "SchemaOrBool": _schema_or,
    "SchemaOrStrings": _schema_or,
}


def _unknown(kind: Struct, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        return
    for key, item in value.items():
        field = kind.fields.get(key)
        if field is None:
            yield f"{path}{key}"
        else:
            yield from _unknown_inside(field.type, item, f"{path}{key}")


def _unknown_inside(kind: str, value: Any, path: str) -> Iterator[str]:
    if kind.startswith("@"):
        yield from _unknown(struct(kind[1:]), value, f"{path}.")
    elif kind.startswith("[]@") and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unknown_inside(kind[2:], item, f"{path}[{index}]")
    elif kind.startswith("{}") and isinstance(value, dict):
        for key, item in value.items():
            yield from _unknown_inside(kind[2:], item, f"{path}.{key}")
    elif kind.startswith("Schema"):
        schema = struct("apiextensions/v1.JSONSchemaProps")
        if isinstance(value, list):
            for index, item in enumerate(value):
                yield from _unknown(schema, item, f"{path}[{index}].")
        else:
            yield from _unknown(schema, value, f"{path}.")
