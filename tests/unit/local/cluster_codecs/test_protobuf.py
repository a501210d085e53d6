"""Protobuf bodies: Go's zero values, and hostile input."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyless.local.cluster.protobuf import MAGIC, Malformed, decode


def number(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def chunk(field: int, data: bytes | str) -> bytes:
    raw = data.encode() if isinstance(data, str) else data
    return number(field << 3 | 2) + number(len(raw)) + raw


def integer(field: int, value: int) -> bytes:
    return number(field << 3) + number(value & (1 << 64) - 1)


def body(api_version: str, kind: str, raw: bytes) -> bytes:
    return MAGIC + chunk(1, chunk(1, api_version) + chunk(2, kind)) + chunk(2, raw)


def metadata(name: str) -> bytes:
    return chunk(1, chunk(1, name) + chunk(2, "") + chunk(4, "") + chunk(8, b""))


def test_zero_values_vanish_unless_go_holds_a_pointer() -> None:
    spec = integer(1, 0) + chunk(3, chunk(2, chunk(2, chunk(1, "c") + chunk(2, ""))))
    made = decode(body("apps/v1", "Deployment", metadata("d") + chunk(2, spec)))
    assert made["metadata"] == {"name": "d"}
    assert made["spec"]["replicas"] == 0
    assert made["spec"]["template"]["spec"]["containers"] == [{"name": "c", "resources": {}}]


def test_bytes_become_base64_and_maps_objects() -> None:
    entry = chunk(2, chunk(1, "key") + chunk(2, b"\x00\xff"))
    made = decode(body("v1", "Secret", metadata("s") + entry + chunk(2, chunk(1, "empty")) + chunk(3, "Opaque")))
    assert made["data"] == {"key": "AP8=", "empty": ""}
    assert made["type"] == "Opaque"


def test_times_are_written_as_json_has_them() -> None:
    spec = chunk(1, "me") + chunk(4, integer(1, 1767225600) + integer(2, 123456000))
    made = decode(body("coordination.k8s.io/v1", "Lease", metadata("l") + chunk(2, spec)))
    assert made["spec"]["renewTime"] == "2026-01-01T00:00:00.123456Z"


def test_delete_options_belong_to_every_group() -> None:
    made = decode(body("apps/v1", "DeleteOptions", integer(1, 0) + chunk(4, "Background")))
    assert made == {
        "apiVersion": "apps/v1",
        "kind": "DeleteOptions",
        "gracePeriodSeconds": 0,
        "propagationPolicy": "Background",
    }


def test_unknown_fields_of_newer_clients_are_skipped() -> None:
    assert decode(body("v1", "ConfigMap", metadata("c") + chunk(99, "x") + integer(98, 7)))["metadata"]["name"] == "c"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"k8s\x01abc",
        MAGIC,
        MAGIC + b"\xff",
        body("v1", "Bogus", b""),
        body("v1", "", b""),
        body("v1", "ConfigMap", b"\x0a\xff"),
        body("v1", "ConfigMap", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        body("v1", "ConfigMap", chunk(1, chunk(1, b"\xff\xfe"))),
        body("v1", "ConfigMap", integer(1, 5)),
        body("v1", "ConfigMap", b"\x0b\x0c"),
        body("apps/v1", "Deployment", chunk(2, chunk(1, "text for a number"))),
        body("v1", "Secret", chunk(1, chunk(8, integer(1, 1 << 62)))),
        body("apps/v1", "ControllerRevision", metadata("c") + chunk(2, chunk(1, "{no json"))),
    ],
)
def test_hostile_bodies_are_malformed_and_nothing_else(raw: bytes) -> None:
    with pytest.raises(Malformed):
        decode(raw)


def test_a_schema_that_contains_schemas_is_read() -> None:
    text = chunk(5, "string")
    inner = chunk(5, "array") + chunk(24, chunk(1, text))
    schema = chunk(5, "object") + chunk(29, chunk(1, "tags") + chunk(2, inner)) + integer(38, 1)
    version = chunk(7, chunk(1, "v1") + integer(2, 1) + chunk(4, chunk(1, schema)))
    made = decode(body("apiextensions.k8s.io/v1", "CustomResourceDefinition", metadata("c") + chunk(2, version)))
    found = made["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert found["properties"] == {"tags": {"type": "array", "items": {"type": "string"}}}


def test_a_message_that_nests_without_end_is_malformed() -> None:
    schema = b""
    for _ in range(500):
        schema = chunk(28, schema)
    version = chunk(7, chunk(1, "v1") + chunk(4, chunk(1, schema)))
    with pytest.raises(Malformed):
        decode(body("apiextensions.k8s.io/v1", "CustomResourceDefinition", chunk(2, version)))


@given(st.binary(max_size=120), st.sampled_from(["Pod", "Secret", "Event", "ServiceAccount"]))
@settings(max_examples=200, deadline=None)
def test_random_bytes_are_an_object_or_malformed(raw: bytes, kind: str) -> None:
    try:
        assert decode(body("v1", kind, raw))["kind"] == kind
    except Malformed:
        return
