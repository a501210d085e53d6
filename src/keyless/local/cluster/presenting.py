"""How objects are shown: as they are, as Table rows, or their metadata alone, and in the version that was asked for.

Spec: https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import orjson

from keyless.local.cluster.catalogue import Served
from keyless.local.cluster.messages import Request
from keyless.local.cluster.status import not_acceptable
from keyless.local.cluster.tables import table

Form = Literal["plain", "table", "metadata"]
_AS = re.compile(r"as=(Table|PartialObjectMetadata(?:List)?)\b")
_PLAIN = ("application/json", "*/*", "application/*", "")


@dataclass(frozen=True, slots=True)
class View:
    """The form that a caller asked for. ``include`` is the Table's ``includeObject``."""

    form: Form
    served: Served
    now: Callable[[], datetime]
    include: str = "Metadata"

    def one(self, obj: dict[str, Any], data: bytes | None = None) -> bytes:
        """A single object; ``data`` are its stored bytes."""
        if self.form == "table":
            return orjson.dumps(self.table([obj], {"resourceVersion": obj["metadata"].get("resourceVersion", "")}))
        if self.form == "metadata":
            return orjson.dumps(_metadata(obj))
        return orjson.dumps(obj) if data is None else data

    def many(self, objects: Sequence[tuple[dict[str, Any], bytes]], metadata: dict[str, Any]) -> bytes:
        """A list."""
        if self.form == "table":
            return orjson.dumps(self.table([obj for obj, _ in objects], metadata))
        kind, version = self.served.list_kind or self.served.kind + "List", self.served.api_version
        if self.form == "metadata":
            kind, version = "PartialObjectMetadataList", "meta.k8s.io/v1"
        head = orjson.dumps({"kind": kind, "apiVersion": version, "metadata": metadata})
        return head[:-1] + b',"items":[' + b",".join(self.one(obj, data) for obj, data in objects) + b"]}"

    def table(self, objects: Sequence[dict[str, Any]], metadata: dict[str, Any]) -> dict[str, Any]:
        """A Table."""
        served = self.served
        return table(
            served.group,
            served.plural,
            served.version,
            list(objects),
            now=self.now(),
            include=self.include,
            crd_columns=list(served.custom.columns) if served.custom else None,
            list_metadata=metadata,
        )


def view(request: Request, served: Served, now: Callable[[], datetime]) -> View:
    """Read the Accept header: the first form that is known wins, protobuf is passed over."""
    for clause in request.accept.split(","):
        asked = _AS.search(clause)
        if asked and asked.group(1) == "Table":
            return View("table", served, now, request.params.get("includeObject") or "Metadata")
        if asked:
            return View("metadata", served, now)
        if clause.split(";")[0].strip() in _PLAIN:
            return View("plain", served, now)
    raise not_acceptable()


def _metadata(obj: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}
