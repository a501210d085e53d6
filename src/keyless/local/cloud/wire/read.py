"""Read a request: which operation it means, and its parameters with the names of the service's model."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import orjson
from botocore.model import OperationModel, Shape

from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.wire.http import HttpRequest
from keyless.local.cloud.wire.models import Model
from keyless.local.cloud.wire.scalars import from_text
from keyless.local.cloud.wire.structures import from_json, from_tree, from_xml, parse_xml_untrusted, tree_of

_MOST_FIELDS = 5000


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
            version = fields.get("Version", model.description.api_version)
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


def form_fields(request: HttpRequest) -> list[tuple[str, str]]:
    """The fields of a query-protocol request, from its body or (for GET) its query."""
    try:
        text = request.body.decode("utf-8") if request.body else request.query
        return parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise AwsError("MalformedInput", "The body is no form in UTF-8 of at most 5000 fields") from None


def read_parameters(model: Model, meant: Meant, request: HttpRequest) -> dict[str, Any]:
    """Read the parameters of ``meant`` by the protocol of the service."""
    operation = model.operation(meant.operation)
    shape = operation.input_shape
    if shape is None:
        return {}
    if model.protocol == "query":
        return dict(from_tree(shape, tree_of(form_fields(request))))
    if model.protocol == "json":
        return dict(from_json(shape, _json(request.body)))
    return _rest(operation, shape, meant.labels, request)


def _json(body: bytes) -> Any:
    if not body:
        return {}
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        # Lone surrogates and numbers beyond 64 bits are JSON that AWS reads and orjson refuses.
        return json.loads(body)
    except (ValueError, RecursionError):
        raise AwsError("SerializationException", "The body is not valid JSON", status=400) from None


def _rest(operation: OperationModel, shape: Shape, labels: Mapping[str, str], request: HttpRequest) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, member in shape.members.items():
        value = _placed(member, member.serialization.get("name", name), labels, request)
        if value is not None:
            found[name] = value
    payload = shape.serialization.get("payload")
    if payload:
        value = _payload(operation, shape.members[payload], request)
        if value is not None:
            found[payload] = value
    elif request.body and any("location" not in member.serialization for member in shape.members.values()):
        body = _body(operation, shape, request)
        found.update({k: v for k, v in body.items() if "location" not in shape.members[k].serialization})
    return found


def _placed(member: Shape, wire: str, labels: Mapping[str, str], request: HttpRequest) -> Any:
    location = member.serialization.get("location")
    if location == "uri":
        return from_text(member, labels[wire])
    if location == "header" and (text := request.header_map.get(wire.lower())) is not None:
        return _header_list(member.member, text) if member.type_name == "list" else from_text(member, text)
    if location == "headers":
        prefix = wire.lower()
        return {k[len(prefix) :]: v for k, v in request.header_map.items() if k.startswith(prefix)} or None
    if location == "querystring":
        return _argument(member, wire, request)
    return None


_QUOTED = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([^,]*))\s*(?:,|$)')


def _header_list(item: Shape, text: str) -> list[Any]:
    """A comma separated header; items may be quoted, and dates bring a comma along."""
    if not text:
        return []
    if item.type_name == "timestamp" and text[:1].isalpha():
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
        if member.value.type_name == "list":
            found.setdefault(name, []).append(value)
        else:
            found.setdefault(name, value)
    return found


def _argument(member: Shape, wire: str, request: HttpRequest) -> Any:
    if member.type_name == "map":
        return _argument_map(member, request)
    values = [value for name, value in request.arguments if name == wire]
    if not values:
        return None
    if member.type_name == "list":
        return [from_text(member.member, value) for value in values]
    return from_text(member, values[0])


def _payload(operation: OperationModel, member: Shape, request: HttpRequest) -> Any:
    if member.type_name == "blob":
        return request.body
    if member.type_name == "string":
        return request.body.decode("utf-8", "replace")
    return _body(operation, member, request) if request.body else None


def _body(operation: OperationModel, shape: Shape, request: HttpRequest) -> Any:
    if operation.service_model.metadata["protocol"] == "rest-xml":
        return from_xml(shape, parse_xml_untrusted(request.body))
    return from_json(shape, _json(request.body))
