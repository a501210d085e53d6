"""``spaces-helm-chart/README.md``: the chart's values, read from its defaults and its schema."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parents[2] / "spaces-helm-chart"

_HEAD = """# The chart `spaces`

Written by `make reference` from `values.yaml` and `values.schema.json`.

A self-hosted Space on Kubernetes whose components reach AWS by workload identity alone. How to install it says
`docs/install/kubernetes.md`, and for EKS `docs/install/eks.md`, beside the chart.

    helm upgrade --install spaces spaces-helm-chart --namespace spaces --create-namespace \\
      --set image.repository=YOUR_REGISTRY/keyless --wait
    helm test spaces --namespace spaces

A key that is not listed here is refused, with the one that was meant. A key set to null is as if it had not been
given: its default stands, but `resources`, `tolerations`, `priorityClassName` and `secretRef.name` are then empty. Helm
lets null take away what was set before with `--reset-then-reuse-values`, and with `--reuse-values` it does not.
"""


@dataclass(frozen=True, slots=True)
class Value:
    """One key: its path as ``--set`` takes it, its schema with references resolved, and whether it has children."""

    path: str
    schema: Mapping[str, Any]
    section: bool


def page() -> str:
    """The whole page."""
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    defaults = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    lines = [_HEAD]
    for name, part in schema["properties"].items():
        lines += [f"## {name}", "", resolved(schema, part)["description"], ""]
        rows = [_row(value, defaults) for value in _listed(schema, name, part)]
        lines += ["| value | type | default | |", "|---|---|---|---|", *rows, ""] if rows else []
    return "\n".join(lines)


def values(schema: Mapping[str, Any], path: str = "", part: Mapping[str, Any] | None = None) -> Iterator[Value]:
    """Every key that the schema knows, parents first; a key with a dot in it has it escaped."""
    node = resolved(schema, schema if part is None else part)
    children = node.get("properties") or {}
    if path:
        yield Value(path, node, bool(children))
    if "items" in node:
        inner = resolved(schema, node["items"])
        children, path = inner.get("properties") or {}, f"{path}[]"
    for key, child in children.items():
        escaped = key.replace(".", "\\.")
        yield from values(schema, f"{path}.{escaped}" if path else escaped, child)


def resolved(schema: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, Any]:
    """The node itself; what stands beside a reference says it better than what is referred to."""
    reference = part.get("$ref")
    return {**schema["definitions"][reference.rsplit("/", 1)[1]], **part} if reference else dict(part)


def default_of(defaults: Any, path: str) -> Any:
    """What ``values.yaml`` holds there; None where it holds nothing."""
    found = defaults
    for key in path.replace("\\.", "\0").split("."):
        found = found.get(key.replace("\0", ".")) if isinstance(found, Mapping) else None
    return found


def _listed(schema: Mapping[str, Any], name: str, part: Mapping[str, Any]) -> Iterator[Value]:
    """A section's own line says what its keys have in common; the top one is a heading already."""
    for value in values(schema, name, part):
        if value.path != name or not value.section:
            yield value


def _row(value: Value, defaults: Any) -> str:
    text = value.schema["description"].replace("|", "\\|")
    if value.section:
        return f"| **`{value.path}`** | | | {text} |"
    return f"| `{value.path}` | {_kind(value.schema)} | {_shown(default_of(defaults, value.path))} | {text} |"


def _kind(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        words = [word for word in schema["enum"] if word is not None]
        return " or ".join(f"`{json.dumps(word)}`" for word in words) + (" alone" if len(words) == 1 else "")
    kinds = (
        [kind for kind in schema["type"] if kind != "null"] if isinstance(schema["type"], list) else [schema["type"]]
    )
    return " or ".join(kinds)


def _shown(default: Any) -> str:
    return "" if default is None else f"`{json.dumps(default)}`"
