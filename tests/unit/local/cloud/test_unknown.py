"""What is not here answers as AWS answers what it does not know, in a form that real clients read, and is listed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from keyless.local.cloud.wire.models import Model
from unit.local.cloud.support import World, ask, refusal

_SESSION = botocore.session.Session()
DIFFERENCES = Path(__file__).parents[4] / "docs" / "reference" / "aws-differences.md"
#: by protocol: the code, and the HTTP status
ANSWERS = {
    "query": ("InvalidAction", 400),
    "json": ("UnknownOperationException", 400),
    "rest-json": ("UnknownOperationException", 404),
    "rest-xml": ("NotImplemented", 501),
}


def unserved(name: str, model: Model) -> list[str]:
    """Operations of AWS's that are not here, and that a routing by path can tell from those that are."""
    known = _SESSION.get_service_model(name).operation_names
    return sorted(op for op in known if op not in model.operations)


#: what botocore wants before it sends anything; the gateway judges none of it
FILLING: dict[str, Any] = {
    "string": "aaaa1111",
    "integer": 1,
    "long": 1,
    "boolean": True,
    "double": 1.0,
    "float": 1.0,
    "blob": b"x",
    "timestamp": 0,
}


def filled(shape: Any) -> Any:
    """The least that a shape allows."""
    if shape.type_name == "structure":
        return {name: filled(shape.members[name]) for name in shape.required_members}
    if shape.type_name == "list":
        return [filled(shape.member)]
    if shape.type_name == "map":
        return {}
    enum = shape.metadata.get("enum")
    return enum[0] if enum else FILLING[shape.type_name]


def test_every_operation_that_is_not_here_answers_as_an_unknown_one(world: World) -> None:
    tried = 0
    for service in world.cloud.app.services:
        if service.name not in _SESSION.get_available_services():
            continue
        made, model = world.aws(service.name), service.model
        for name in unserved(service.name, model)[:12]:
            operation = _SESSION.get_service_model(service.name).operation_model(name)
            if operation.has_streaming_input or operation.auth_type == "none" or operation.endpoint:
                continue
            params = filled(operation.input_shape) if operation.input_shape else {}
            code, message, status = refusal(made._make_api_call, operation_name=name, api_params=params)
            assert (code, status) == ANSWERS[model.protocol], (service.name, name, message)
            assert name in message
            tried += 1
    assert tried > 40


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("sqs", "list_queues", "UnknownOperationException"),
        ("dynamodb", "list_tables", "UnknownOperationException"),
        ("sns", "list_topics", "InvalidAction"),
        ("ec2", "describe_vpcs", "InvalidAction"),
        ("lambda", "list_functions", "NotImplemented"),
        ("route53", "list_hosted_zones", "NotImplemented"),
        ("glacier", "list_vaults", "NotImplemented"),
    ],
)
def test_a_service_that_is_not_here_is_named_in_the_form_of_its_protocol(
    world: World, service: str, operation: str, code: str
) -> None:
    told, message, _ = refusal(getattr(world.aws(service), operation))
    assert told == code
    assert "is not part of this cloud, which serves" in message
    assert world.audit()[-1]["code"] == code


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status", "code"),
    [
        ("POST", "/", {"x-amz-target": "AmazonSSM.Nonsense"}, b"{}", 400, b"UnknownOperationException"),
        ("POST", "/", {"x-amz-target": "Nobody.Nonsense"}, b"{}", 400, b"UnknownOperationException"),
        ("PATCH", "/bucket", {}, b"", 405, b"MethodNotAllowed"),
        ("PATCH", "/clusters/keyless/nothing", {}, b"", 404, b""),
    ],
)
def test_what_no_service_of_aws_has_is_refused_in_its_protocol(
    world: World, method: str, path: str, headers: dict[str, str], body: bytes, status: int, code: bytes
) -> None:
    found, _, answer = world.loop.run(ask(world.cloud.app, method, path, headers=headers, body=body))
    assert found == status
    assert code in answer


def test_every_operation_that_is_named_as_missing_is_missing(world: World) -> None:
    """The list is checked both ways: what is served is generated from the tables."""
    section = DIFFERENCES.read_text(encoding="utf-8").partition("## Not served")[2].partition("## Served")[0]
    rows = re.findall(r"^\| `([a-z0-9-]+)` \|.*?\| (.*) \|$", section, re.MULTILINE)
    assert rows
    tables = {service.name: service.table for service in world.cloud.app.services}
    known = {name: set(_SESSION.get_service_model(name).operation_names) for name, _ in rows}
    for service, cells in rows:
        for operation in re.findall(r"`([A-Za-z0-9]+)`", cells):
            assert operation in known[service], f"{service} {operation}"
            assert operation not in tables[service], f"{service} {operation} is served"
