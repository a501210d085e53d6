"""Service models: botocore's descriptions, loaded when a service is first called and pruned to what we serve.

A whole model holds documentation and hundreds of shapes; only the operations that are served keep theirs, so that the
cloud stays small. The other operations are known by name and path, for the answer "not here".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel

from keyless.local.cloud.wire.routes import Routes

_DOCUMENTATION = {"documentation", "documentationUrl", "examples"}


@dataclass(frozen=True)
class Model:
    """One service: the pruned botocore model and where each of its operations lives on the wire."""

    description: ServiceModel
    known: frozenset[str]
    requests: Mapping[str, tuple[str, str]]
    members: Mapping[str, tuple[frozenset[str], frozenset[str]]]
    statuses: Mapping[str, int]

    @property
    def protocol(self) -> str:
        """``query``, ``json``, ``rest-json`` or ``rest-xml``."""
        return str(self.description.metadata["protocol"])

    def operation(self, name: str) -> OperationModel:
        """The model of an operation that is served."""
        return self.description.operation_model(name)

    @cached_property
    def routes(self) -> Routes:
        """Which operation a path means, for the REST protocols."""
        return Routes(self.requests, self.members)

    def status_of(self, code: str) -> int:
        """The HTTP status the model gives to error ``code``; 400 where it gives none."""
        return self.statuses.get(code, 400)


@lru_cache(maxsize=32)
def load(name: str, served: tuple[str, ...]) -> Model:
    """Load the model of service ``name`` (botocore's folder name) for the operations ``served``."""
    # A loader of our own: botocore's sessions keep every model they ever loaded.
    return pruned(Loader().load_service_model(name, "service-2"), name, served)


def pruned(raw: Mapping[str, Any], name: str, served: tuple[str, ...]) -> Model:
    """The model of a service from its raw description, for the operations ``served``."""
    operations = raw["operations"]
    requests = {key: (op["http"]["method"], op["http"]["requestUri"]) for key, op in operations.items()}
    members = {key: _required(raw["shapes"], op) for key, op in operations.items()}
    kept = {key: operations[key] for key in served}
    shapes = _reachable(raw["shapes"], kept)
    description = {
        "metadata": raw["metadata"],
        "operations": _without_documentation(kept),
        "shapes": _without_documentation(shapes),
    }
    model = ServiceModel(description, service_name=name)
    return Model(model, frozenset(operations), requests, members, _statuses(raw["shapes"]))


def _statuses(shapes: Mapping[str, Any]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, shape in shapes.items():
        if shape.get("exception"):
            error = shape.get("error", {})
            found[name] = found[str(error.get("code", name))] = int(error.get("httpStatusCode", 400))
    return found


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


def _reachable(shapes: Mapping[str, Any], operations: Mapping[str, Any]) -> dict[str, Any]:
    todo = [op[side]["shape"] for op in operations.values() for side in ("input", "output") if side in op]
    kept: dict[str, Any] = {}
    while todo:
        name = todo.pop()
        if name in kept:
            continue
        shape = kept[name] = shapes[name]
        references = [*shape.get("members", {}).values(), *(shape[k] for k in ("member", "key", "value") if k in shape)]
        todo.extend(reference["shape"] for reference in references)
    return kept


def _without_documentation(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            k: _without_documentation(v) for k, v in value.items() if k not in _DOCUMENTATION or isinstance(v, dict)
        }
    if isinstance(value, list):
        return [_without_documentation(item) for item in value]
    return value
