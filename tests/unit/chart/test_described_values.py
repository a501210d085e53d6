"""Every value of the chart is described, and a key that nobody reads is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from generate.chart_page import CHART, Value, default_of, page, resolved, values
from generate.known_keys import FREE, tree

SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
KEYS = tuple(values(SCHEMA))
# Sections of a chart that somebody comes from: what else they hold is not ours to know.
OPEN = {"features", "features.alpha"}


def _paths(found: Any, path: str = "") -> Iterator[str]:
    for key, value in found.items():
        inner = ".".join(part for part in (path, key.replace(".", "\\.")) if part)
        yield inner
        if isinstance(value, dict):
            yield from _paths(value, inner)


def _sections(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        inner = ".".join(part for part in (path, key.replace(".", "\\.")) if part)
        if isinstance(value, dict):
            yield inner, value
            yield from _sections(value, inner)


def test_every_key_has_a_description_that_is_a_sentence() -> None:
    silent = [key.path for key in KEYS if not key.schema.get("description", "").endswith(".")]
    assert not silent
    assert len(KEYS) > 80


def test_every_key_says_of_which_type_it_is() -> None:
    untyped = [key.path for key in KEYS if not {"type", "enum", "const"} & set(key.schema)]
    assert not untyped


def test_every_key_takes_null_which_helm_keeps_in_a_release() -> None:
    own = [key for key in KEYS if "[]" not in key.path]
    typed = [key.path for key in own if "type" in key.schema and "null" not in key.schema["type"]]
    listed = [key.path for key in own if "enum" in key.schema and None not in key.schema["enum"]]
    # Of null no pattern says anything, so what must fit none of some patterns says that it is a text.
    negated = [key.path for key in own if "not" in key.schema and key.schema["not"].get("type") != "string"]
    assert (typed, listed, negated) == ([], [], [])
    assert not [key.path for key in own if "const" in key.schema]


def test_every_default_is_in_the_schema() -> None:
    known = {key.path for key in KEYS}
    free = [key.path for key in KEYS if not key.section and key.schema.get("type") not in ("string", "boolean")]
    unknown = [
        path for path in _paths(DEFAULTS) if path not in known and not any(path.startswith(f"{each}.") for each in free)
    ]
    assert not unknown


def test_every_section_refuses_a_key_that_it_does_not_know() -> None:
    """By the templates, which say what was meant; the schema would refuse first, and could not."""
    permissive = {key.path for key in KEYS if key.section and key.schema.get("additionalProperties") is not None}
    assert permissive == OPEN
    assert "additionalProperties" not in SCHEMA
    refused = {path for path, node in _sections(tree(SCHEMA, SCHEMA)) if FREE not in node}
    assert refused == {key.path for key in KEYS if key.section} - OPEN
    assert '{{- include "spaces.refuseUnknownKeys" . -}}' in (CHART / "templates/values.yaml").read_text()


@pytest.mark.parametrize("key", [key for key in KEYS if "enum" in key.schema], ids=lambda key: key.path)
def test_a_default_is_one_of_the_words_that_are_allowed(key: Value) -> None:
    default = default_of(DEFAULTS, key.path)
    assert default is None or default in key.schema["enum"]


def test_the_readme_lists_every_key_with_its_default() -> None:
    text = page()
    for key in KEYS:
        assert f"`{key.path}`" in text or (key.section and f"## {key.path}\n" in text)
    assert '| `image.tag` | string | `"0.1.0"` |' in text
    assert "| `controlPlanes.sharedSecrets.scopes[].prefixes` | array |" in text


def test_what_stands_beside_a_reference_says_it_better_than_what_is_referred_to() -> None:
    schema = {"definitions": {"x": {"description": "any x", "type": "object"}}}
    beside = {"$ref": "#/definitions/x", "description": "this x"}
    assert resolved(schema, beside) == {"description": "this x", "type": "object", "$ref": "#/definitions/x"}
