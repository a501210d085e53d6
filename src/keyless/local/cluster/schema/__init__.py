"""Structural OpenAPI v3 schemas of custom resources: prune, default and validate, CEL rules included."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keyless.local.cluster.faults import FieldError, Object

__all__ = ["Structural"]


class Structural:
    """A compiled schema. ``compile`` raises ``SchemaError`` for what a CRD may not carry."""

    @classmethod
    def compile(cls, openapi_v3_schema: Mapping[str, Any]) -> Structural:
        """Compile the ``openAPIV3Schema`` of a CRD version."""
        raise NotImplementedError

    def prune(self, obj: Object) -> tuple[Object, list[str]]:
        """The object without unknown fields, and their paths (``spec.bogus``)."""
        raise NotImplementedError

    def default(self, obj: Object) -> Object:
        """The object with the schema's defaults."""
        raise NotImplementedError

    def validate(self, obj: Object, old: Object | None = None) -> list[FieldError]:
        """All faults; transition rules run only with ``old``."""
        raise NotImplementedError
