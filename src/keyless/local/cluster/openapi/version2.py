"""The OpenAPI v2 document: what kubectl still asks for when it must validate a list or a kind that nobody serves.

kubectl reads it as a protobuf message of the gnostic project, others as JSON. v2 cannot say all that v3 can: what it
lacks is left out, so that it refuses nothing that v3 admits.

Message numbers: https://github.com/google/gnostic-models/blob/main/openapiv2/OpenAPIv2.proto
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import orjson

from keyless.api.varint import varint

MEDIA_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_COMPONENTS, _DEFINITIONS = "#/components/schemas/", "#/definitions/"
_KEPT = frozenset({"format", "title", "description", "default", "maximum", "minimum", "pattern", "required", "enum"})
_KEPT |= {"exclusiveMaximum", "exclusiveMinimum", "maxLength", "minLength", "maxItems", "minItems", "multipleOf"}
_KEPT |= {"maxProperties", "minProperties", "uniqueItems", "type"}


def definition(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a v3 schema as v2 can say it."""
    references: Sequence[Any] = schema.get("allOf") or []
    if len(references) == 1 and "$ref" in references[0]:
        extensions = {key: value for key, value in schema.items() if key.startswith("x-kubernetes-patch")}
        return {"$ref": references[0]["$ref"].replace(_COMPONENTS, _DEFINITIONS), **extensions}
    kept = {key: value for key, value in schema.items() if key in _KEPT or key.startswith("x-kubernetes-")}
    if schema.get("x-kubernetes-int-or-string") or ("oneOf" in schema and "type" not in schema):
        # v2 has no word for "one of two types": without a type it takes both.
        kept.pop("type", None)
        return kept
    if schema.get("nullable") or schema.get("x-kubernetes-preserve-unknown-fields"):
        # null and unknown members would be refused by a reader that knows types and properties.
        kept.pop("type", None)
        kept.pop("required", None)
        return kept
    if isinstance(schema.get("properties"), dict):
        kept["properties"] = {name: definition(inner) for name, inner in schema["properties"].items()}
    for word in ("items", "additionalProperties"):
        if isinstance(schema.get(word), dict):
            kept[word] = definition(schema[word])
    return kept


def operation(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return a v3 operation as v2 says it."""
    kept = {key: value for key, value in found.items() if key.startswith("x-") or key == "responses"}
    if "requestBody" in found:
        kept["consumes"] = list(found["requestBody"]["content"])
    return {**kept, "parameters": [_parameter(parameter) for parameter in found["parameters"]]}


def _parameter(found: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": found["name"], "in": "query", **found["schema"]}


def message(document: Mapping[str, Any]) -> bytes:
    """Return the document as gnostic's ``Document``."""
    info = document["info"]
    return b"".join(
        (
            _text(1, document["swagger"]),
            _part(2, _text(1, info["title"]) + _text(2, info["version"])),
            _part(8, b"".join(_part(2, _named(path, _path_item(item))) for path, item in document["paths"].items())),
            _part(9, _schemas(document["definitions"])),
        )
    )


# the wire


def _part(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def _text(number: int, value: str) -> bytes:
    return _part(number, value.encode())


def _whole(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value & 0xFFFFFFFFFFFFFFFF)


def _double(number: int, value: float) -> bytes:
    return varint(number << 3 | 1) + struct.pack("<d", value)


def _named(name: str, value: bytes) -> bytes:
    return _text(1, name) + _part(2, value)


def _any(value: Any) -> bytes:
    # Readers take YAML, and JSON is YAML.
    return _text(2, orjson.dumps(value).decode())


def _extensions(number: int, values: Mapping[str, Any]) -> bytes:
    found = ((key, value) for key, value in values.items() if key.startswith("x-"))
    return b"".join(_part(number, _named(key, _any(value))) for key, value in found)


# schemas

_SCHEMA: Mapping[str, tuple[int, Callable[[int, Any], bytes]]] = {
    "$ref": (1, _text),
    "format": (2, _text),
    "title": (3, _text),
    "description": (4, _text),
    "default": (5, lambda number, value: _part(number, _any(value))),
    "multipleOf": (6, _double),
    "maximum": (7, _double),
    "exclusiveMaximum": (8, _whole),
    "minimum": (9, _double),
    "exclusiveMinimum": (10, _whole),
    "maxLength": (11, _whole),
    "minLength": (12, _whole),
    "pattern": (13, _text),
    "maxItems": (14, _whole),
    "minItems": (15, _whole),
    "uniqueItems": (16, _whole),
    "maxProperties": (17, _whole),
    "minProperties": (18, _whole),
    "required": (19, lambda number, names: b"".join(_text(number, name) for name in names)),
    "enum": (20, lambda number, values: b"".join(_part(number, _any(value)) for value in values)),
    "additionalProperties": (21, lambda number, value: _part(number, _part(1, _schema(value)))),
    "type": (22, lambda number, value: _part(number, _text(1, value))),
    "items": (23, lambda number, value: _part(number, _part(1, _schema(value)))),
    "properties": (25, lambda number, value: _part(number, _schemas(value))),
}


def _schema(value: Mapping[str, Any]) -> bytes:
    known = b"".join(_SCHEMA[key][1](_SCHEMA[key][0], found) for key, found in value.items() if key in _SCHEMA)
    return known + _extensions(31, value)


def _schemas(values: Mapping[str, Any]) -> bytes:
    return b"".join(_part(1, _named(name, _schema(value))) for name, value in values.items())


# paths

_VERBS = {"get": 2, "put": 3, "post": 4, "delete": 5, "patch": 7}


def _path_item(item: Mapping[str, Any]) -> bytes:
    return b"".join(_part(_VERBS[verb], _operation(operation)) for verb, operation in item.items())


def _operation(value: Mapping[str, Any]) -> bytes:
    response = _part(1, _named("200", _part(1, _text(1, "OK"))))
    return b"".join(
        (
            b"".join(_text(7, consumed) for consumed in value.get("consumes", ())),
            _parameters(value["parameters"]),
            _part(9, response),
            _extensions(13, value),
        )
    )


def _parameters(values: Iterable[Mapping[str, Any]]) -> bytes:
    out = b""
    for value in values:
        query = _text(2, "query") + _text(4, value["name"]) + _text(6, "string") + _whole(19, 1)
        # ParametersItem > Parameter > NonBodyParameter > QueryParameterSubSchema
        out += _part(8, _part(1, _part(2, _part(3, query))))
    return out
