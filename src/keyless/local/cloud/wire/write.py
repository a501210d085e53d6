"""Write an answer: results and errors in the protocol of the service, as botocore's parsers expect them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.wire.http import HttpResponse
from keyless.local.cloud.wire.models import Model, OperationModel
from keyless.local.cloud.wire.scalars import to_text
from keyless.local.cloud.wire.shapes import Shape
from keyless.local.cloud.wire.structures import element_attributes, members_to_xml, to_json, xml_text

#: where AWS answers in a namespace that the model does not mention
_NAMESPACES = {"s3": "http://s3.amazonaws.com/doc/2006-03-01/"}
_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'


def write_result(
    model: Model, name: str, result: Mapping[str, Any], *, request_id: str, root: str = ""
) -> HttpResponse:
    """Write ``result`` of operation ``name``; ``root`` is the XML root where AWS's differs from the shape's name."""
    operation = model.operation(name)
    if model.protocol == "query":
        return _query_result(model, operation, result, request_id)
    if model.protocol == "json":
        shape = operation.output_shape
        body = orjson.dumps(to_json(shape, result)) if shape else b"{}"
        return HttpResponse(200, {"content-type": f"application/x-amz-json-{model.json_version}"}, body)
    return _rest_result(model, operation, result, root)


def _query_result(model: Model, operation: OperationModel, result: Mapping[str, Any], request_id: str) -> HttpResponse:
    shape = operation.output_shape
    pieces = [f'<{operation.name}Response xmlns="{model.namespace}">']
    if shape:
        wrapper = shape.wrapper or f"{operation.name}Result"
        pieces.append(f"<{wrapper}>")
        members_to_xml(shape, result, pieces)
        pieces.append(f"</{wrapper}>")
    pieces.append(
        f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{operation.name}Response>"
    )
    return HttpResponse(200, {"content-type": "text/xml"}, "".join(pieces).encode())


def _rest_result(model: Model, operation: OperationModel, result: Mapping[str, Any], root: str) -> HttpResponse:
    answer = HttpResponse(operation.status)
    shape = operation.output_shape
    if shape is None:
        return answer
    for name, wire, member in shape.placed:
        if result.get(name) is not None:
            _place(answer, member, wire, result[name])
    if shape.payload:
        value = result.get(shape.payload)
        if value is not None:
            _write_payload(model, answer, shape.members[shape.payload], value, shape.payload, root)
    elif model.protocol == "rest-json":
        body = {k: v for k, v in result.items() if k in shape.members and not shape.members[k].location}
        answer.headers["content-type"] = "application/json"
        answer.body = orjson.dumps(to_json(shape, body))
    elif shape.inside:
        _write_xml(model, answer, shape, result, root or f"{operation.name}Result")
    return answer


def _place(answer: HttpResponse, member: Shape, wire: str, value: Any) -> None:
    location = member.location
    if location == "statusCode":
        answer.status = int(value)
    elif location == "header":
        if member.kind == "list":
            items = (to_text(member.member, item, timestamps="rfc822") for item in value)
            quoted = items if member.member.kind == "timestamp" else map(_quoted, items)
            answer.headers[wire] = ", ".join(quoted)
        else:
            answer.headers[wire] = to_text(member, value, timestamps="rfc822")
    elif location == "headers":
        answer.headers.update({f"{wire}{key}".lower(): str(item) for key, item in value.items()})


def _quoted(item: str) -> str:
    """An item of a header's list: in quotes where a comma or a quote would be taken for the list's own."""
    if "," not in item and '"' not in item:
        return item
    escaped = item.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _write_payload(model: Model, answer: HttpResponse, member: Shape, value: Any, name: str, root: str) -> None:
    if member.kind in {"blob", "string"}:
        answer.body = value.encode() if isinstance(value, str) else value
    elif model.protocol == "rest-json":
        answer.headers["content-type"] = "application/json"
        answer.body = orjson.dumps(to_json(member, value))
    else:
        _write_xml(model, answer, member, value, root or member.wire or name)


def _write_xml(model: Model, answer: HttpResponse, shape: Shape, value: Mapping[str, Any], root: str) -> None:
    attributes = element_attributes(shape, value)
    namespace = model.namespace or _NAMESPACES.get(model.name)
    if " xmlns=" not in attributes and namespace:
        attributes = f' xmlns="{namespace}"{attributes}'
    pieces = [_DECLARATION, f"<{root}{attributes}>"]
    members_to_xml(shape, value, pieces)
    pieces.append(f"</{root}>")
    answer.headers["content-type"] = "application/xml"
    answer.body = "".join(pieces).encode()


def write_error(protocol: str, error: AwsError, *, status: int, request_id: str, head: bool = False) -> HttpResponse:
    """Write ``error`` in ``protocol``; the answer to HEAD, and Not Modified, have no body."""
    if protocol in {"json", "rest-json"}:
        return _json_error(protocol, error, status)
    if status == 304:
        return HttpResponse(status, dict(error.headers))
    if head:
        return HttpResponse(status, {"content-type": "application/xml", **error.headers})
    fields = "".join(f"<{name}>{xml_text(value)}</{name}>" for name, value in error.fields.items())
    inner = f"<Code>{xml_text(error.code)}</Code><Message>{xml_text(error.message)}</Message>{fields}"
    if protocol == "rest-xml":
        text = f"<Error>{inner}<RequestId>{request_id}</RequestId><HostId>{request_id}</HostId></Error>"
        headers = {"content-type": "application/xml", **error.headers}
        return HttpResponse(status, headers, (_DECLARATION + text).encode())
    fault = "Sender" if status < 500 else "Receiver"
    text = (
        f"<ErrorResponse><Error><Type>{fault}</Type>{inner}</Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    )
    return HttpResponse(status, {"content-type": "text/xml"}, text.encode())


def _json_error(protocol: str, error: AwsError, status: int) -> HttpResponse:
    body: dict[str, Any] = {"message": error.message, **error.fields}
    headers = {"content-type": "application/json", "x-amzn-errortype": error.code}
    if protocol == "json":
        # The JSON services spell it both ways; botocore reads either, other clients only one.
        body = {"__type": error.code, "message": error.message, "Message": error.message, **error.fields}
        headers["content-type"] = "application/x-amz-json-1.1"
    return HttpResponse(status, headers, orjson.dumps(body))
