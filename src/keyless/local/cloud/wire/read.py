"""Read a request: which operation it means, and its parameters with the names of the service's model."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.wire.http import HttpRequest
from keyless.local.cloud.wire.models import Model
from keyless.local.cloud.wire.scalars import from_text
from keyless.local.cloud.wire.shapes import Shape
from keyless.local.cloud.wire.structures import from_json, from_tree, from_xml, parse_xml_untrusted, tree_of


@dataclass(frozen=True, slots=True)
class Meant:
    """The operation a request means; ``served`` is false for one of AWS's that is not here."""

    operation: str
    labels: Mapping[str, str]
    served: bool


def operation_meant(model: Model, served: Mapping[str, object], request: HttpRequest) -> Meant:
    """Find the operation; raises AWS's error for one that the service does not know."""
    labels: Mapping[str, str] = {}
    if model.protocol == "query":
        fields = dict(form_fields(request))
        name = fields.get("Action", "")
        if name not in model.known:
            version = fields.get("Version", model.version)
            raise AwsError("InvalidAction", f"Could not find operation {name} for version {version}", status=400)
    elif model.protocol == "json":
        name = request.header("x-amz-target").rpartition(".")[2]
        if name not in model.known:
            raise AwsError("UnknownOperationException", "", status=400)
    else:
        match = model.routes.match(request)
        if match is None:
            raise _no_route(model, request)
        name, labels = match.operation, match.labels
    return Meant(name, labels, name in served)


def _no_route(model: Model, request: HttpRequest) -> AwsError:
    if model.protocol == "rest-xml":
        message = "The specified method is not allowed against this resource."
        return AwsError("MethodNotAllowed", message, status=405, fields={"Method": request.method})
    return AwsError("UnknownOperationException", "", status=404)


def form_fields(request: HttpRequest) -> tuple[tuple[str, str], ...]:
    """The fields of a query-protocol request, from its body or (for GET) its query."""
    try:
        return request.form
    except ValueError:
        raise AwsError("MalformedInput", "The body is no form in UTF-8 of at most 5000 fields") from None


def read_parameters(model: Model, meant: Meant, request: HttpRequest) -> dict[str, Any]:
    """Read the parameters of ``meant`` by the protocol of the service."""
    shape = model.operation(meant.operation).input_shape
    if shape is None:
        return {}
    if model.protocol == "query":
        return dict(from_tree(shape, tree_of(form_fields(request))))
    if model.protocol == "json":
        return dict(from_json(shape, _json(request.body)))
    return _rest(model.protocol, shape, meant.labels, request)


def _json(body: bytes) -> Any:
    if not body:
        return {}
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        # Lone surrogates and numbers beyond 64 bits are JSON that AWS reads and orjson refuses. Half a character
        # becomes a question mark, as where Java writes one: nothing later could store it or show it.
        return json.loads(json.dumps(json.loads(body), ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        raise AwsError("SerializationException", "The body is not valid JSON", status=400) from None


def _rest(protocol: str, shape: Shape, labels: Mapping[str, str], request: HttpRequest) -> dict[str, Any]:
    found: dict[str, Any] = {}
    headers = request.header_map
    for name, wire, member in shape.placed:
        if member.location == "header" and wire not in headers:
            continue  # S3 knows dozens, and a request has a few
        if (value := _placed(member, wire, labels, request)) is not None:
            found[name] = value
    if shape.payload:
        value = _payload(protocol, shape.members[shape.payload], request)
        if value is not None:
            found[shape.payload] = value
    elif request.body and shape.inside:
        body = _body(protocol, shape, request)
        found.update({k: v for k, v in body.items() if not shape.members[k].location})
    return found


def _placed(member: Shape, wire: str, labels: Mapping[str, str], request: HttpRequest) -> Any:
    location = member.location
    if location == "header":
        text = request.header_map[wire]
        return _header_list(member.member, text) if member.kind == "list" else from_text(member, text)
    if location == "uri":
        return from_text(member, labels[wire])
    if location == "headers":
        return {k[len(wire) :]: v for k, v in request.header_map.items() if k.startswith(wire)} or None
    if location == "querystring":
        return _argument(member, wire, request)
    return None


_QUOTED = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([^,]*))\s*(?:,|$)')


def _header_list(item: Shape, text: str) -> list[Any]:
    """A comma separated header; items may be quoted, and dates bring a comma along."""
    if not text:
        return []
    if item.kind == "timestamp" and text[:1].isascii() and text[:1].isalpha():
        parts = text.split(",")
        return [from_text(item, ",".join(parts[at : at + 2]).strip()) for at in range(0, len(parts), 2)]
    found, at = [], 0
    while at < len(text) and (match := _QUOTED.match(text, at)):
        quoted, plain = match.groups()
        found.append(from_text(item, plain.strip() if quoted is None else re.sub(r"\\(.)", r"\1", quoted)))
        at = match.end()
    return found


def _argument_map(member: Shape, request: HttpRequest) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in request.arguments:
        if member.value.kind == "list":
            found.setdefault(name, []).append(value)
        else:
            found.setdefault(name, value)
    return found


def _argument(member: Shape, wire: str, request: HttpRequest) -> Any:
    if member.kind == "map":
        return _argument_map(member, request)
    values = [value for name, value in request.arguments if name == wire]
    if not values:
        return None
    if member.kind == "list":
        return [from_text(member.member, value) for value in values]
    return from_text(member, values[0])


def _payload(protocol: str, member: Shape, request: HttpRequest) -> Any:
    if member.kind == "blob":
        return request.body
    if member.kind == "string":
        return request.body.decode("utf-8", "replace")
    return _body(protocol, member, request) if request.body else None


def _body(protocol: str, shape: Shape, request: HttpRequest) -> Any:
    if protocol == "rest-xml":
        return from_xml(shape, parse_xml_untrusted(request.body))
    return from_json(shape, _json(request.body))
