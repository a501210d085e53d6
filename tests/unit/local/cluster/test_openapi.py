"""The OpenAPI documents: complete, without loose ends, and the same in every form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyless.local.cluster import SYSTEM
from keyless.local.cluster.catalogue import BUILT_IN
from keyless.local.cluster.messages import Reply, Request
from keyless.local.cluster.openapi import version2
from keyless.local.cluster.protobuf import wire
from unit.local.cluster.support import Kubectl, crd

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
PROTOBUF = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"


async def asked(kubectl: Kubectl, path: str, accept: str = "application/json", known: str = "") -> Reply:
    headers = {"accept": accept, "if-none-match": known}
    return await kubectl.cluster.answer(Request("keyless", "GET", path, SYSTEM, {}, headers))


def references(value: Any) -> Iterator[str]:
    """Every $ref below a value."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def kinds(schemas: dict[str, Any]) -> set[tuple[str, str, str]]:
    """The kinds that some schemas say they are of."""
    return {
        (kind["group"], kind["version"], kind["kind"])
        for schema in schemas.values()
        for kind in schema.get("x-kubernetes-group-version-kind", ())
    }


async def test_every_served_kind_and_its_list_has_a_schema_and_no_reference_is_loose(kubectl: Kubectl) -> None:
    await kubectl.ok("POST", CRDS, crd())
    index = await kubectl.ok("GET", "/openapi/v3")
    found: set[tuple[str, str, str]] = set()
    for path in index["paths"]:
        schemas = (await kubectl.ok("GET", f"/openapi/v3/{path}"))["components"]["schemas"]
        missing = set(references(schemas)) - {f"#/components/schemas/{name}" for name in schemas}
        assert missing == set(), path
        found |= kinds(schemas)
    wanted = {(r.group, r.version, r.kind) for r in BUILT_IN} | {("example.org", "v1", "Widget")}
    wanted |= {(r.group, r.version, r.list_kind) for r in BUILT_IN if r.stored}
    assert wanted - found == set()
    v2 = orjson.loads((await asked(kubectl, "/openapi/v2")).body)
    assert kinds(v2["definitions"]) == found
    assert set(references(v2)) - {f"#/definitions/{name}" for name in v2["definitions"]} == set()


@pytest.mark.parametrize(
    ("group", "name", "required", "typed"),
    [
        ("api/v1", "io.k8s.api.core.v1.Container", ["name"], {"image": {"type": "string"}}),
        ("api/v1", "io.k8s.api.core.v1.Secret", None, {"immutable": {"type": "boolean"}}),
        (
            "apis/apps/v1",
            "io.k8s.api.apps.v1.RollingUpdateDeployment",
            None,
            {"maxSurge": {"allOf": [{"$ref": "#/components/schemas/io.k8s.apimachinery.pkg.util.intstr.IntOrString"}]}},
        ),
        (
            "api/v1",
            "io.k8s.api.core.v1.PodSpec",
            ["containers"],
            {
                "containers": {
                    "type": "array",
                    "items": {"allOf": [{"$ref": "#/components/schemas/io.k8s.api.core.v1.Container"}]},
                    "x-kubernetes-patch-strategy": "merge",
                    "x-kubernetes-patch-merge-key": "name",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                }
            },
        ),
    ],
)
async def test_a_schema_says_what_kubernetes_says(
    kubectl: Kubectl, group: str, name: str, required: list[str] | None, typed: dict[str, Any]
) -> None:
    schema = (await kubectl.ok("GET", f"/openapi/v3/{group}"))["components"]["schemas"][name]
    assert schema.get("required") == required
    assert {field: schema["properties"][field] for field in typed} == typed


async def test_a_custom_schema_is_its_authors_and_moves_the_etag(kubectl: Kubectl) -> None:
    await kubectl.ok("POST", CRDS, crd())
    path = "/openapi/v3/apis/example.org/v1"
    before = await asked(kubectl, path)
    schema = orjson.loads(before.body)["components"]["schemas"]["org.example.v1.Widget"]
    assert schema["properties"]["spec"]["properties"]["size"]["default"] == 3
    assert set(schema["properties"]) >= {"apiVersion", "kind", "metadata"}
    assert (await asked(kubectl, path, known=before.headers["ETag"])).status == 304
    definition = await kubectl.ok("GET", f"{CRDS}/widgets.example.org")
    size = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["size"]
    size["description"] = "How large."
    await kubectl.ok("PUT", f"{CRDS}/widgets.example.org", definition)
    after = await asked(kubectl, path, known=before.headers["ETag"])
    assert after.status == 200
    assert b"How large." in after.body


def decoded(message: bytes) -> dict[str, Any]:
    """gnostic's Document: the definitions by name, as the numbers of its fields tell them."""
    document = {number: value for number, _, value in wire.fields(message)}
    found = {}
    for _, _, entry in wire.fields(document[9]):
        parts = {number: value for number, _, value in wire.fields(entry)}
        found[parts[1].decode()] = schema_of(parts.get(2, b""))
    return found


def schema_of(message: bytes) -> dict[str, Any]:
    found: dict[str, Any] = {"required": [], "properties": {}, "extensions": {}}
    for number, _, value in wire.fields(message):
        match number:
            case 1:
                found["$ref"] = value.decode()
            case 19:
                found["required"].append(value.decode())
            case 22:
                found["type"] = {n: v for n, _, v in wire.fields(value)}[1].decode()
            case 23:
                found["items"] = schema_of({n: v for n, _, v in wire.fields(value)}[1])
            case 25:
                for _, _, entry in wire.fields(value):
                    parts = {n: v for n, _, v in wire.fields(entry)}
                    found["properties"][parts[1].decode()] = schema_of(parts.get(2, b""))
            case 31:
                parts = {n: v for n, _, v in wire.fields(value)}
                text = {n: v for n, _, v in wire.fields(parts[2])}[2]
                found["extensions"][parts[1].decode()] = orjson.loads(text)
    return found


async def test_the_protobuf_form_holds_what_the_json_form_holds(kubectl: Kubectl) -> None:
    def same(binary: dict[str, Any], plain: dict[str, Any]) -> None:
        assert binary.get("$ref") == plain.get("$ref")
        assert binary.get("type") == plain.get("type")
        assert binary["required"] == plain.get("required", [])
        assert binary["extensions"] == {key: value for key, value in plain.items() if key.startswith("x-")}
        assert set(binary["properties"]) == set(plain.get("properties", {}))
        for name, inner in binary["properties"].items():
            same(inner, plain["properties"][name])
        if "items" in plain:
            same(binary["items"], plain["items"])

    reply = await asked(kubectl, "/openapi/v2", PROTOBUF)
    assert reply.media_type == version2.MEDIA_TYPE
    plain = orjson.loads((await asked(kubectl, "/openapi/v2")).body)["definitions"]
    binary = decoded(reply.body)
    assert set(binary) == set(plain)
    for name in plain:
        same(binary[name], plain[name])


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {"a": {"type": "string"}}},
        {"type": "object", "nullable": True, "required": ["a"], "properties": {"a": {"type": "string"}}},
        {"x-kubernetes-int-or-string": True, "type": "integer"},
        {"oneOf": [{"type": "integer"}, {"type": "string"}]},
    ],
)
def test_version_two_is_silent_where_it_would_refuse_what_is_admitted(schema: dict[str, Any]) -> None:
    found = version2.definition(schema)
    assert {"type", "properties", "required"} & set(found) == set()


_LEAF = st.fixed_dictionaries(
    {"type": st.sampled_from(["string", "integer", "boolean"])},
    optional={
        "maxLength": st.integers(0, 2**40),
        "minimum": st.floats(allow_nan=False, allow_infinity=False),
        "enum": st.lists(st.text(), max_size=3),
        "default": st.none() | st.booleans() | st.text(),
        "uniqueItems": st.booleans(),
        "description": st.text(),
    },
)
_SCHEMAS = st.recursive(
    _LEAF,
    lambda inner: st.fixed_dictionaries(
        {"type": st.just("object")},
        optional={
            "properties": st.dictionaries(st.text(), inner, max_size=3),
            "additionalProperties": inner | st.booleans(),
            "items": inner,
        },
    ),
    max_leaves=6,
)


@given(_SCHEMAS)
def test_whatever_schema_an_author_writes_has_a_protobuf_form(schema: dict[str, Any]) -> None:
    document = {
        "swagger": "2.0",
        "info": {"title": "t", "version": "v"},
        "paths": {},
        "definitions": {"x": version2.definition(schema)},
    }
    assert decoded(version2.message(document))["x"].get("type") == schema["type"]


async def test_a_form_that_nobody_serves_is_not_acceptable(kubectl: Kubectl) -> None:
    assert (await asked(kubectl, "/openapi/v2", "text/html")).status == 406
