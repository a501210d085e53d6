"""A structural schema as compiled nodes, and what a CRD may not write into one.

Compiling refuses what Kubernetes refuses at CRD creation: missing types, forbidden keywords, bad patterns, CEL rules
that do not compile. So a schema that compiles never fails later.
Spec: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import re2

from keyless.api import Permanent
from keyless.local.cluster.faults import FieldError, aggregate, forbidden, invalid, required, unsupported
from keyless.local.cluster.schema.rules import Rule, compile_rule

TYPES = ("array", "boolean", "integer", "number", "object", "string")
ROOT = "spec.validation.openAPIV3Schema"
DEPTH = 100
LOGIC = ("allOf", "anyOf", "oneOf")


class SchemaError(Permanent):
    """A schema that no CRD may carry; ``errors`` are fit for the causes of a Status."""

    def __init__(self, errors: list[FieldError]) -> None:
        super().__init__(aggregate(errors))
        self.errors = errors


@dataclass(slots=True)
class Node:
    """One place of the schema. ``schema`` holds the validations as written; the rest is what the walks need."""

    schema: Mapping[str, Any]
    type: str = ""
    properties: dict[str, Node] = field(default_factory=dict)
    additional: Node | None = None
    open: bool = False
    """``additionalProperties: true``: any name, but the values have no fields of their own."""
    items: Node | None = None
    nullable: bool = False
    preserve: bool = False
    int_or_string: bool = False
    embedded: bool = False
    has_default: bool = False
    default: Any = None
    list_type: str = "atomic"
    list_keys: tuple[str, ...] = ()
    pattern: Any = None
    logic: dict[str, list[Node]] = field(default_factory=dict)
    negated: Node | None = None
    rules: tuple[Rule, ...] = ()
    has_rules_below: bool = False

    def child(self, name: str) -> Node | None:
        """The node of a field."""
        return self.properties.get(name) or self.additional


def compile_schema(schema: Mapping[str, Any], path: str = ROOT) -> Node:
    """Compile the schema at the root of a custom resource; raises :class:`SchemaError` with every fault."""
    errors: list[FieldError] = []
    kind = schema.get("type", "")
    if not kind:
        errors.append(required(f"{path}.type", "must not be empty at the root"))
    elif kind != "object":
        errors.append(invalid(f"{path}.type", kind, "must be object at the root"))
    _check_metadata(schema, path, errors)
    node = _Compiler(errors).node(schema, path, 0)
    if errors:
        raise SchemaError(errors)
    return node


def _check_metadata(schema: Mapping[str, Any], path: str, errors: list[FieldError]) -> None:
    metadata = (schema.get("properties") or {}).get("metadata") or {}
    if set(metadata.get("properties") or ()) - {"name", "generateName"}:
        text = "must not specify anything other than name and generateName, but metadata is implicitly specified"
        errors.append(forbidden(f"{path}.properties[metadata]", text))


class _Compiler:
    def __init__(self, errors: list[FieldError]) -> None:
        self.errors = errors

    def node(self, schema: Mapping[str, Any], path: str, depth: int, *, inside_logic: bool = False) -> Node:
        if depth > DEPTH:
            self.errors.append(forbidden(path, "the schema nests too deeply"))
            return Node(schema)
        node = Node(
            schema,
            type=schema.get("type") or "",
            nullable=bool(schema.get("nullable")),
            preserve=bool(schema.get("x-kubernetes-preserve-unknown-fields")),
            int_or_string=bool(schema.get("x-kubernetes-int-or-string")),
            embedded=bool(schema.get("x-kubernetes-embedded-resource")),
            has_default=schema.get("default") is not None,
            default=schema.get("default"),
            list_type=schema.get("x-kubernetes-list-type") or "atomic",
            list_keys=tuple(schema.get("x-kubernetes-list-map-keys") or ()),
        )
        self._check(node, path, inside_logic=inside_logic or depth == 0)
        self._children(node, path, depth, inside_logic=inside_logic)
        self._logic(node, path, depth)
        self._pattern(node, path)
        self._rules(node, path)
        return node

    def _children(self, node: Node, path: str, depth: int, *, inside_logic: bool) -> None:
        for name, inner in (node.schema.get("properties") or {}).items():
            place = f"{path}.properties[{name}]"
            node.properties[name] = self.node(inner, place, depth + 1, inside_logic=inside_logic)
        additional = node.schema.get("additionalProperties")
        if isinstance(additional, Mapping):
            place = f"{path}.additionalProperties"
            node.additional = self.node(additional, place, depth + 1, inside_logic=inside_logic)
        node.open = additional is True
        items = node.schema.get("items")
        if isinstance(items, Mapping):
            node.items = self.node(items, f"{path}.items", depth + 1, inside_logic=inside_logic)
        below = [*node.properties.values(), *(n for n in (node.additional, node.items) if n is not None)]
        node.has_rules_below = any(inner.rules or inner.has_rules_below for inner in below)

    def _logic(self, node: Node, path: str, depth: int) -> None:
        for word in LOGIC:
            schemas = node.schema.get(word)
            if schemas:
                node.logic[word] = [
                    self.node(inner, f"{path}.{word}[{index}]", depth + 1, inside_logic=True)
                    for index, inner in enumerate(schemas)
                ]
        if isinstance(node.schema.get("not"), Mapping):
            node.negated = self.node(node.schema["not"], f"{path}.not", depth + 1, inside_logic=True)

    def _check(self, node: Node, path: str, *, inside_logic: bool) -> None:
        schema = node.schema
        if node.type and node.type not in TYPES:
            self.errors.append(unsupported(f"{path}.type", node.type, TYPES))
        elif not node.type and not inside_logic and not node.int_or_string and not node.preserve:
            self.errors.append(required(f"{path}.type", "must not be empty for specified object fields"))
        if node.type == "array" and not isinstance(schema.get("items"), Mapping) and not inside_logic:
            self.errors.append(required(f"{path}.items", "must be specified"))
        if schema.get("uniqueItems"):
            text = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
            self.errors.append(forbidden(f"{path}.uniqueItems", text))
        if schema.get("properties") and schema.get("additionalProperties") not in (None, False):
            text = "additionalProperties and properties are mutual exclusive"
            self.errors.append(forbidden(f"{path}.additionalProperties", text))
        if node.list_type not in {"atomic", "set", "map"}:
            self.errors.append(unsupported(f"{path}.x-kubernetes-list-type", node.list_type, ("atomic", "map", "set")))
        if node.list_type == "map" and not node.list_keys:
            text = "must not be empty if x-kubernetes-list-type is map"
            self.errors.append(required(f"{path}.x-kubernetes-list-map-keys", text))
        if node.embedded and node.type != "object":
            text = "must be object if x-kubernetes-embedded-resource is true"
            self.errors.append(invalid(f"{path}.type", node.type, text))

    def _pattern(self, node: Node, path: str) -> None:
        pattern = node.schema.get("pattern")
        if not pattern:
            return
        try:
            # Kubernetes' patterns are RE2's: nothing a CRD's author writes can make matching slow.
            node.pattern = re2.compile(pattern)
        except re2.error as error:
            text = f"must be a valid regular expression, but isn't: {_reason(error)}"
            self.errors.append(invalid(f"{path}.pattern", pattern, text))

    def _rules(self, node: Node, path: str) -> None:
        rules = []
        for index, raw in enumerate(node.schema.get("x-kubernetes-validations") or ()):
            compiled = compile_rule(raw, node.schema, f"{path}.x-kubernetes-validations[{index}]")
            if isinstance(compiled, FieldError):
                self.errors.append(compiled)
            else:
                rules.append(compiled)
        node.rules = tuple(rules)


def _reason(error: Exception) -> str:
    text = error.args[0] if error.args else ""
    return f"error parsing regexp: {text.decode() if isinstance(text, bytes) else text}"
