"""Service models: botocore's descriptions, read when a service is first called and compiled to what we serve.

A whole model holds documentation and hundreds of shapes; only the operations that are served keep theirs, so that the
cloud stays small. The other operations are known by name and path, for the answer "not here". botocore is where the
files are; none of its code is loaded.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson

from keyless.local.cloud.wire.routes import Routes
from keyless.local.cloud.wire.shapes import Shape, Shapes

_REST = ("rest-json", "rest-xml")


@dataclass(frozen=True, slots=True)
class OperationModel:
    """One operation that is served: its parameters, its result, and the status of the answer."""

    name: str
    input_shape: Shape | None
    output_shape: Shape | None
    status: int


@dataclass(frozen=True, slots=True)
class Model:
    """One service: what its operations look like, and where each of them lives on the wire."""

    name: str
    #: ``query``, ``json``, ``rest-json`` or ``rest-xml``
    protocol: str
    version: str
    json_version: str
    namespace: str
    operations: Mapping[str, OperationModel]
    #: every operation of the service, served or not
    known: frozenset[str]
    #: which operation a path means, for the REST protocols
    routes: Routes
    #: HTTP statuses of error codes, where the model names one
    statuses: Mapping[str, int]

    def operation(self, name: str) -> OperationModel:
        """The model of an operation that is served."""
        return self.operations[name]

    def status_of(self, code: str) -> int:
        """The HTTP status the model gives to error ``code``; 400 where it gives none."""
        return self.statuses.get(code, 400)


@lru_cache(maxsize=32)
def load(name: str, served: tuple[str, ...]) -> Model:
    """Load the model of service ``name`` (botocore's folder name) for the operations ``served``."""
    return pruned(orjson.loads(_newest(name)), name, served)


def _newest(name: str) -> bytes:
    """The file of a service's newest API version."""
    found = find_spec("botocore")
    assert found is not None
    assert found.origin is not None
    folder = max((Path(found.origin).parent / "data" / name).glob("*-*-*"))
    return gzip.decompress((folder / "service-2.json.gz").read_bytes())


def pruned(raw: Mapping[str, Any], name: str, served: tuple[str, ...]) -> Model:
    """The model of a service from its raw description, for the operations ``served``."""
    operations, metadata = raw["operations"], raw["metadata"]
    shapes = Shapes(raw["shapes"])
    return Model(
        name=name,
        protocol=metadata["protocol"],
        version=metadata.get("apiVersion", ""),
        json_version=str(metadata.get("jsonVersion", "1.1")),
        namespace=metadata.get("xmlNamespace", ""),
        operations={key: _operation(key, operations[key], shapes) for key in served},
        known=frozenset(operations),
        routes=Routes(_places(raw) if metadata["protocol"] in _REST else ()),
        statuses=_statuses(raw["shapes"]),
    )


def _operation(name: str, raw: Mapping[str, Any], shapes: Shapes) -> OperationModel:
    taken, given = (shapes.of(raw[side]) if side in raw else None for side in ("input", "output"))
    return OperationModel(name, taken, given, int(raw["http"].get("responseCode", 200)))


def _places(raw: Mapping[str, Any]) -> Iterator[tuple[str, str, str, frozenset[str], frozenset[str]]]:
    for name, operation in raw["operations"].items():
        if operation.get("deprecated"):
            continue  # S3's have a successor at the same place, and a request cannot tell which is meant
        http = operation["http"]
        yield name, http["method"], http["requestUri"], *_required(raw["shapes"], operation)


def _required(shapes: Mapping[str, Any], operation: Mapping[str, Any]) -> tuple[frozenset[str], frozenset[str]]:
    """The query arguments and the headers without which a request cannot mean this operation."""
    shape = shapes[operation["input"]["shape"]] if "input" in operation else {}
    found: dict[str, set[str]] = {"querystring": set(), "header": set()}
    for member in shape.get("required", ()):
        reference = shape["members"][member]
        location = reference.get("location")
        if location in found:
            found[location].add(reference.get("locationName", member))
    return frozenset(found["querystring"]), frozenset(name.lower() for name in found["header"])


def _statuses(shapes: Mapping[str, Any]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, shape in shapes.items():
        if shape.get("exception"):
            error = shape.get("error", {})
            found[name] = found[str(error.get("code", name))] = int(error.get("httpStatusCode", 400))
    return found
