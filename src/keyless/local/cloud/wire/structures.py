"""Structured values between the wire and Python: JSON, XML and the query protocol's dotted names."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

from keyless.api.numbers import is_digits
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.wire.scalars import (
    SPECIAL_FLOATS,
    from_text,
    in_range,
    special_float,
    timestamp_from_text,
    timestamp_to_wire,
    to_text,
)
from keyless.local.cloud.wire.shapes import Shape

_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_ESCAPED = re.compile(f"[&<>\r{_NOT_XML.pattern[1:]}")
_DEEPEST = 64
#: ten thousand parts of an upload are less than half of it
_LARGEST_XML_BYTES = 4 * 2**20


def _malformed(subject: str) -> AwsError:
    return AwsError("SerializationException", f"{subject} has an unexpected type", status=400)


# JSON ---------------------------------------------------------------------------------------------------------------


def from_json(shape: Shape, value: Any, depth: int = 0) -> Any:
    """Read a decoded JSON ``value`` as ``shape``; members that the model does not know are dropped, as AWS does."""
    if depth > _DEEPEST:
        raise _malformed(shape.name)
    kind = shape.kind
    if kind == "structure":
        return _structure_from_json(shape, value, depth)
    if kind == "list":
        if not isinstance(value, list):
            raise _malformed(shape.name)
        return [from_json(shape.member, item, depth + 1) for item in value if item is not None]
    if kind == "map":
        if not isinstance(value, dict):
            raise _malformed(shape.name)
        return {key: from_json(shape.value, item, depth + 1) for key, item in value.items() if item is not None}
    return _scalar_from_json(shape, value)


def _structure_from_json(shape: Shape, value: Any, depth: int) -> Any:
    if shape.document:
        return value
    if not isinstance(value, dict):
        raise _malformed(shape.name)
    found = {}
    for name, member in shape.members.items():
        item = value.get(member.wire or name)
        if item is not None:
            found[name] = from_json(member, item, depth + 1)
    return found


def _scalar_from_json(shape: Shape, value: Any) -> Any:
    kind = shape.kind
    try:
        if kind == "timestamp":
            return timestamp_from_text(value) if isinstance(value, str) else datetime.fromtimestamp(value, UTC)
        if kind == "blob":
            return base64.b64decode(value, validate=True)
        if kind in {"float", "double"} and (type(value) in {int, float} or value in SPECIAL_FLOATS):
            return float(value)
    except (ValueError, TypeError, OverflowError, OSError, binascii.Error):
        raise _malformed(shape.name) from None
    wanted = {"integer": int, "long": int, "boolean": bool, "float": float, "double": float}.get(kind, str)
    if type(value) is not wanted or (isinstance(value, int) and not in_range(kind, value)):
        raise _malformed(shape.name)
    return value


def to_json(shape: Shape, value: Any) -> Any:
    """Write ``value`` as plain JSON values."""
    kind = shape.kind
    if kind == "structure" and isinstance(value, Mapping) and not shape.document:
        return {
            member.wire or name: to_json(member, value[name])
            for name, member in shape.members.items()
            if value.get(name) is not None
        }
    if kind == "list":
        return [to_json(shape.member, item) for item in value]
    if kind == "map":
        return {key: to_json(shape.value, item) for key, item in value.items()}
    if kind == "timestamp":
        return timestamp_to_wire(value, shape.timestamps or "unixTimestamp")
    if kind == "blob":
        return base64.b64encode(value).decode()
    return special_float(value) if kind in {"float", "double"} else value


# The query protocol -------------------------------------------------------------------------------------------------


def tree_of(fields: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Turn ``A.member.1.B=x`` into nested dicts; a node's own text is under the empty name."""
    root: dict[str, Any] = {}
    for name, value in fields:
        parts = name.split(".")
        if len(parts) > _DEEPEST:
            raise AwsError("MalformedInput", "A parameter name is nested too deeply")
        node = root
        for part in parts:
            node = node.setdefault(part, {})
        node[""] = value
    return root


def from_tree(shape: Shape, node: dict[str, Any]) -> Any:
    """Read a node of :func:`tree_of` as ``shape``."""
    kind = shape.kind
    if kind == "structure":
        found = {name: (member, _member_node(node, name, member)) for name, member in shape.members.items()}
        return {name: from_tree(member, inner) for name, (member, inner) in found.items() if inner is not None}
    if kind == "list":
        items = _numbered(_inside(shape, node, shape.member.wire or "member"))
        return [from_tree(shape.member, item) for item in items]
    if kind == "map":
        key = shape.key.wire or "key"
        value = shape.value.wire or "value"
        entries = _numbered(_inside(shape, node, "entry"))
        return {from_tree(shape.key, e.get(key, {})): from_tree(shape.value, e.get(value, {})) for e in entries}
    return from_text(shape, node.get("", ""))


def _member_node(node: dict[str, Any], name: str, shape: Shape) -> dict[str, Any] | None:
    """The node of member ``name``; a flattened list goes by the name of its items where they have one."""
    found: dict[str, Any] | None = node.get(shape.wire or name)
    if found is None and shape.kind == "list" and shape.flat:
        found = node.get(shape.member.wire)
    return found


def _inside(shape: Shape, node: dict[str, Any], level: str) -> dict[str, Any]:
    """The numbered items of a list or map; one that is not flattened has a level of its own around them."""
    if shape.flat:
        return node
    inner: dict[str, Any] = node.get(level, {})
    return inner


def _numbered(node: dict[str, Any]) -> list[dict[str, Any]]:
    return [node[key] for key in sorted((k for k in node if is_digits(k) and len(k) < 10), key=int)]


# XML ----------------------------------------------------------------------------------------------------------------


def parse_xml_untrusted(body: bytes) -> ElementTree.Element:
    """Parse a peer's XML; a document type (hence entities and their bombs) and encodings but UTF-8 are refused."""
    try:
        if len(body) > _LARGEST_XML_BYTES:
            raise ValueError
        text = body.decode("utf-8")
        if "<!DOCTYPE" in text or "<!ENTITY" in text or "\x00" in text:
            raise ValueError
        return ElementTree.fromstring(text)  # noqa: S314 - no document type, so no entities to expand or fetch
    except (ValueError, ElementTree.ParseError):
        raise AwsError(
            "MalformedXML",
            "The XML you provided was not well-formed or did not validate against our published schema",
            status=400,
        ) from None


def from_xml(shape: Shape, element: ElementTree.Element, depth: int = 0) -> Any:
    """Read ``element`` as ``shape``."""
    if depth > _DEEPEST:
        raise AwsError("MalformedXML", "The XML is nested too deeply", status=400)
    kind = shape.kind
    if kind == "structure":
        return _structure_from_xml(shape, element, depth)
    if kind == "list":
        return [from_xml(shape.member, child, depth + 1) for child in element]
    if kind == "map":
        return _map_from_xml(shape, list(element), depth)
    return from_text(shape, element.text or "")


def _structure_from_xml(shape: Shape, element: ElementTree.Element, depth: int) -> dict[str, Any]:
    children: dict[str, list[ElementTree.Element]] = {}
    for child in element:
        children.setdefault(_local(child.tag), []).append(child)
    attributes = {_local(name): value for name, value in element.attrib.items()}
    found: dict[str, Any] = {}
    for name, member in shape.members.items():
        wire = member.wire or name
        if member.attribute:
            if (attribute := attributes.get(wire.split(":")[-1])) is not None:
                found[name] = from_text(member, attribute)
        elif member.flat and member.kind in {"list", "map"}:
            own = member.member.wire or wire if member.kind == "list" else wire
            if items := children.get(own) or children.get(wire):
                many = member.kind == "list"
                found[name] = (
                    [from_xml(member.member, i, depth + 1) for i in items]
                    if many
                    else _map_from_xml(member, items, depth)
                )
        elif wire in children:
            found[name] = from_xml(member, children[wire][0], depth + 1)
    return found


def _map_from_xml(shape: Shape, entries: list[ElementTree.Element], depth: int) -> dict[str, Any]:
    key, value = shape.key.wire or "key", shape.value.wire or "value"
    found: dict[str, Any] = {}
    for entry in entries:
        parts = {_local(child.tag): child for child in entry}
        if key in parts and value in parts:
            found[parts[key].text or ""] = from_xml(shape.value, parts[value], depth + 1)
    return found


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def to_xml(shape: Shape, value: Any, name: str, pieces: list[str]) -> None:
    """Write ``value`` as element ``name`` behind ``pieces``."""
    kind = shape.kind
    if kind == "structure":
        pieces.append(f"<{name}{element_attributes(shape, value)}>")
        members_to_xml(shape, value, pieces)
        pieces.append(f"</{name}>")
    elif kind == "list":
        _list_to_xml(shape, value, name, pieces)
    elif kind == "map":
        _map_to_xml(shape, value, name, pieces)
    else:
        pieces.append(f"<{name}>{xml_text(to_text(shape, value, timestamps='iso8601'))}</{name}>")


def members_to_xml(shape: Shape, value: Mapping[str, Any], pieces: list[str]) -> None:
    """Write the members of a structure that belong into the body."""
    for member_name, wire, member in shape.inside:
        item = value.get(member_name)
        if item is not None:
            to_xml(member, item, wire, pieces)


def _list_to_xml(shape: Shape, value: Iterable[Any], name: str, pieces: list[str]) -> None:
    if shape.flat:
        for item in value:
            to_xml(shape.member, item, shape.member.wire or name, pieces)
        return
    pieces.append(f"<{name}>")
    for item in value:
        to_xml(shape.member, item, shape.member.wire or "member", pieces)
    pieces.append(f"</{name}>")


def _map_to_xml(shape: Shape, value: Mapping[str, Any], name: str, pieces: list[str]) -> None:
    key_name, value_name = shape.key.wire or "key", shape.value.wire or "value"
    entry = name if shape.flat else "entry"
    if not shape.flat:
        pieces.append(f"<{name}>")
    for key, item in value.items():
        pieces.append(f"<{entry}><{key_name}>{xml_text(key)}</{key_name}>")
        to_xml(shape.value, item, value_name, pieces)
        pieces.append(f"</{entry}>")
    if not shape.flat:
        pieces.append(f"</{name}>")


def element_attributes(shape: Shape, value: Mapping[str, Any]) -> str:
    """The attributes of the element that a structure is written as, its namespace first."""
    text = shape.namespace
    for name, wire in shape.attributes:
        if value.get(name) is not None:
            text += f" {wire}={quoteattr(str(value[name]))}"
    return text


def xml_text(text: str) -> str:
    """Escape ``text``; characters that XML cannot hold become U+FFFD."""
    if not _ESCAPED.search(text):
        return text
    return escape(_NOT_XML.sub("\ufffd", text), {"\r": "&#13;"})
