"""Structural OpenAPI v3 schemas of custom resources: prune, default and validate, CEL rules included.

Pure. The order for a request body: ``prune``, ``default``, admission, ``validate`` (which also looks at metadata).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keyless.local.cluster.builtin.metadata_rules import validate_change, validate_metadata
from keyless.local.cluster.faults import FieldError, Object, wrong_type
from keyless.local.cluster.schema import pruning
from keyless.local.cluster.schema.checks import ABSENT, check, check_embedded, check_lists
from keyless.local.cluster.schema.costs import places, too_dear
from keyless.local.cluster.schema.defaulting import fill
from keyless.local.cluster.schema.evaluation import check_rules
from keyless.local.cluster.schema.model import ROOT, Node, SchemaError, compile_schema

__all__ = ["SchemaError", "Structural"]

BLOCKING = {
    "FieldValueNotSupported",
    "FieldValueRequired",
    "FieldValueTooLong",
    "FieldValueTooMany",
    "FieldValueTypeInvalid",
}
NOT_CHECKED = FieldError(
    "<nil>",
    "FieldValueInvalid",
    'Invalid value: "null": some validation rules were not checked because the object was invalid; '
    "correct the existing errors to complete validation",
)


class Structural:
    """A compiled schema; immutable, so it can be shared."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._has_rules = bool(node.rules) or node.has_rules_below

    @classmethod
    def compile(cls, openapi_v3_schema: Mapping[str, Any], path: str = ROOT) -> Structural:
        """Compile the ``openAPIV3Schema`` of a CRD version; raises :class:`SchemaError` with all faults."""
        return cls(compile_schema(openapi_v3_schema, path))

    def too_dear(self, path: str = ROOT, *, each: bool = True) -> list[FieldError]:
        """Rules that may cost too much: one alone, unless ``each`` is false, or all together."""
        return too_dear(places(self._node, path), path, each=each) if self._has_rules else []

    def prune(self, obj: Object) -> tuple[Object, list[str]]:
        """The object without unknown fields, and their paths (``spec.bogus``)."""
        return pruning.prune(self._node, obj)

    def default(self, obj: Object) -> Object:
        """The object with the schema's defaults."""
        filled: Object = fill(self._node, obj)
        return filled

    def validate(self, obj: Object, old: Object | None = None) -> list[FieldError]:
        """All faults; transition rules run only with ``old``, and parts that equal ``old``'s are not judged again."""
        before = ABSENT if old is None else old
        errors: list[FieldError] = [wrong_type("", obj, "object")] if not isinstance(obj, dict) else []
        errors = errors or [*validate_metadata(obj), *check(self._node, obj, before, "")]
        if old is not None:
            errors += validate_change(obj, old)
        errors += check_embedded(self._node, obj, "")
        errors += check_lists(self._node, obj, "")
        if self._has_rules:
            if any(error.reason in BLOCKING for error in errors):
                return [*errors, NOT_CHECKED]
            errors += check_rules(self._node, obj, before)
        return errors
