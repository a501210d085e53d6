"""Schemas that no CRD may carry, and rules that never fail open (the rest is held against recordings)."""

from __future__ import annotations

from typing import Any

import pytest

from keyless.local.cluster.schema import SchemaError, Structural


def spec(inner: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {"spec": inner}}


PATH = "spec.validation.openAPIV3Schema"
AT_SPEC = f"{PATH}.properties[spec]"


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({}, f"{PATH}.type: Required value: must not be empty at the root"),
        ({"type": "string"}, f'{PATH}.type: Invalid value: "string": must be object at the root'),
        (spec({}), f"{AT_SPEC}.type: Required value: must not be empty for specified object fields"),
        (spec({"type": "array"}), f"{AT_SPEC}.items: Required value: must be specified"),
        (
            spec({"type": "array", "items": {"type": "object"}, "x-kubernetes-list-type": "map"}),
            f"{AT_SPEC}.x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map",
        ),
        (
            spec({"type": "array", "items": {"type": "string"}, "uniqueItems": True}),
            f"{AT_SPEC}.uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes"
            " quadratic",
        ),
        (
            spec(
                {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": {"type": "string"}}
            ),
            f"{AT_SPEC}.additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive",
        ),
        (
            {
                "type": "object",
                "properties": {"metadata": {"type": "object", "properties": {"labels": {"type": "object"}}}},
            },
            f"{PATH}.properties[metadata]: Forbidden: must not specify anything other than name and generateName, but"
            " metadata is implicitly specified",
        ),
    ],
)
def test_a_schema_that_is_not_structural_is_refused_in_kubernetes_words(schema: dict[str, Any], message: str) -> None:
    with pytest.raises(SchemaError) as refusal:
        Structural.compile(schema)
    assert str(refusal.value) == message


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("self.nope == 1", "undefined field 'nope'"),
        ("self.a +", "Syntax error"),
        ("foo(self)", "undeclared reference to 'foo'"),
        ("1 + 1", "must evaluate to a bool"),
        ("", "rule is not specified"),
    ],
)
def test_a_rule_that_does_not_compile_never_reaches_an_object(rule: str, text: str) -> None:
    inner = {"type": "object", "properties": {"a": {"type": "string"}}, "x-kubernetes-validations": [{"rule": rule}]}
    with pytest.raises(SchemaError) as refusal:
        Structural.compile(spec(inner))
    assert text in str(refusal.value)
    assert refusal.value.errors[0].path == f"{AT_SPEC}.x-kubernetes-validations[0].rule"


def test_a_bad_pattern_and_a_bad_reason_are_refused() -> None:
    rule = {"rule": "true", "reason": "Whatever"}
    schema = spec({"type": "string", "pattern": "(", "x-kubernetes-validations": [rule]})
    with pytest.raises(SchemaError) as refusal:
        Structural.compile(schema)
    assert [error.path for error in refusal.value.errors] == [
        f"{AT_SPEC}.pattern",
        f"{AT_SPEC}.x-kubernetes-validations[0].reason",
    ]


def rules(*texts: str, **schema: Any) -> Structural:
    validations = [{"rule": text} for text in texts]
    return Structural.compile(spec({"type": "object", **schema, "x-kubernetes-validations": validations}))


def test_an_error_inside_a_rule_counts_as_failed() -> None:
    compiled = rules(
        "self.m['x'] == 1", properties={"m": {"type": "object", "additionalProperties": {"type": "integer"}}}
    )
    (error,) = compiled.validate({"spec": {"m": {}}})
    assert error.body.startswith('Invalid value: "object": no such key: x evaluating rule')


def test_a_part_that_did_not_change_is_not_judged_again() -> None:
    schema = Structural.compile(
        spec({"type": "object", "properties": {"a": {"type": "string", "maxLength": 2}, "b": {"type": "string"}}})
    )
    old = {"spec": {"a": "too long"}}
    assert schema.validate({"spec": {"a": "too long", "b": "new"}}, old) == []
    assert [error.path for error in schema.validate({"spec": {"a": "longer still"}}, old)] == ["spec.a"]


def test_timestamps_inside_objects_can_be_compared() -> None:
    when = {"type": "string", "format": "date-time"}
    compiled = rules("self.a < self.b", properties={"a": when, "b": when})
    early, late = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00+01:00"
    assert compiled.validate({"spec": {"a": early, "b": late}}) == []
    assert len(compiled.validate({"spec": {"a": late, "b": early}})) == 1


def test_metadata_of_a_custom_resource_is_checked_and_pruned() -> None:
    compiled = Structural.compile(spec({"type": "object"}))
    pruned, unknown = compiled.prune({"metadata": {"name": "n", "bogus": 1}, "status": {}})
    assert unknown == ["metadata.bogus", "status"]
    assert pruned == {"metadata": {"name": "n"}}
    errors = compiled.validate({"metadata": {"name": "n", "labels": {"a b": "c"}}})
    assert [error.path for error in errors] == ["metadata.labels"]
