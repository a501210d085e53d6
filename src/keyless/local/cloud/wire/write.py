"""Write an answer: results and errors in the protocol of the service, as botocore's parsers expect them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from botocore.model import OperationModel, Shape

from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.wire.http import HttpResponse
from keyless.local.cloud.wire.models import Model
from keyless.local.cloud.wire.scalars import to_text
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
        return HttpResponse(200, {"content-type": f"application/x-amz-json-{_json_version(model)}"}, body)
    return _rest_result(model, operation, result, root)


def _json_version(model: Model) -> str:
    return str(model.description.metadata.get("jsonVersion", "1.1"))


def _query_result(model: Model, operation: OperationModel, result: Mapping[str, Any], request_id: str) -> HttpResponse:
    shape = operation.output_shape
    namespace = model.description.metadata.get("xmlNamespace", "")
    pieces = [f'<{operation.name}Response xmlns="{namespace}">']
    if shape:
        wrapper = shape.serialization.get("resultWrapper", f"{operation.name}Result")
        pieces += [f"<{wrapper}>", *members_to_xml(shape, result), f"</{wrapper}>"]
    pieces.append(
        f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{operation.name}Response>"
    )
    return HttpResponse(200, {"content-type": "text/xml"}, "".join(pieces).encode())


def _rest_result(model: Model, operation: OperationModel, result: Mapping[str, Any], root: str) -> HttpResponse:
    answer = HttpResponse(int(operation.http.get("responseCode", 200)))
    shape = operation.output_shape
    if shape is None:
        return answer
    for name, member in shape.members.items():
        if result.get(name) is not None:
            _place(answer, member, member.serialization.get("name", name), result[name])
    payload = shape.serialization.get("payload")
    if payload:
        value = result.get(payload)
        if value is not None:
            _write_payload(model, answer, shape.members[payload], value, payload, root)
    elif model.protocol == "rest-json":
        body = {
            k: v for k, v in result.items() if k in shape.members and "location" not in shape.members[k].serialization
        }
        answer.headers["content-type"] = "application/json"
        answer.body = orjson.dumps(to_json(shape, body))
    elif any("location" not in member.serialization for member in shape.members.values()):
        _write_xml(model, answer, shape, result, root or f"{operation.name}Result")
    return answer


def _place(answer: HttpResponse, member: Shape, wire: str, value: Any) -> None:
    location = member.serialization.get("location")
    if location == "statusCode":
        answer.status = int(value)
    elif location == "header":
        if member.type_name == "list":
            items = (to_text(member.member, item, timestamps="rfc822") for item in value)
            quoted = items if member.member.type_name == "timestamp" else map(_quoted, items)
            answer.headers[wire.lower()] = ", ".join(quoted)
        else:
            answer.headers[wire.lower()] = to_text(member, value, timestamps="rfc822")
    elif location == "headers":
        answer.headers.update({f"{wire}{key}".lower(): str(item) for key, item in value.items()})


def _quoted(item: str) -> str:
    """An item of a header's list: in quotes where a comma or a quote would be taken for the list's own."""
    if "," not in item and '"' not in item:
        return item
    escaped = item.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _write_payload(model: Model, answer: HttpResponse, member: Shape, value: Any, name: str, root: str) -> None:
    if member.type_name in {"blob", "string"}:
        answer.body = value.encode() if isinstance(value, str) else value
    elif model.protocol == "rest-json":
        answer.headers["content-type"] = "application/json"
        answer.body = orjson.dumps(to_json(member, value))
    else:
        _write_xml(model, answer, member, value, root or member.serialization.get("name", name))


def _write_xml(model: Model, answer: HttpResponse, shape: Shape, value: Mapping[str, Any], root: str) -> None:
    attributes = element_attributes(shape, value)
    namespace = model.description.metadata.get("xmlNamespace") or _NAMESPACES.get(model.description.service_name)
    if " xmlns=" not in attributes and namespace:
        attributes = f' xmlns="{namespace}"{attributes}'
    pieces = [f"<{root}{attributes}>", *members_to_xml(shape, value), f"</{root}>"]
    answer.headers["content-type"] = "application/xml"
    answer.body = (_DECLARATION + "".join(pieces)).encode()


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
