"""Read a template's text, JSON or YAML with CloudFormation's short tags, into plain values. Pure.

Aliases and merges of YAML are refused, as CloudFormation refuses them: with them a short text could unfold without end.
Spec: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-formats.html
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson

from keyless.local.cloud.errors import AwsError, validation

LONGEST = 51_200
_DEEPEST = 100
#: what reading a value raises that has another shape than the template's anatomy says
MISSHAPEN = (AttributeError, IndexError, KeyError, RecursionError, TypeError, ValueError)
#: short tags whose long form has no ``Fn::``
_PLAIN = {"Ref": "Ref", "Condition": "Condition"}


def read_untrusted(text: str) -> dict[str, Any]:
    """The template as nested mappings, lists and scalars; raises ValidationError in AWS's words."""
    if len(text.encode()) > LONGEST:
        raise _too_long()
    found = _json(text) if text.lstrip().startswith("{") else _yaml(text)
    if not isinstance(found, dict):
        raise validation("Template format error: unsupported structure.")
    _check_depth(found)
    return found


@contextmanager
def well_shaped() -> Iterator[None]:
    """Where a template's values are taken apart: one of a shape that was not foreseen is the author's fault."""
    try:
        yield
    except MISSHAPEN as error:
        raise validation("Template format error: unsupported structure.") from error


def _too_long() -> AwsError:
    constraint = f"Member must have length less than or equal to {LONGEST}"
    return validation(
        f"1 validation error detected: Value at 'templateBody' failed to satisfy constraint: {constraint}"
    )


def _json(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise _not_well_formed("JSON", error.lineno, error.colno) from None


def _yaml(text: str) -> Any:
    import yaml  # 6 MB: loaded with the first YAML template

    class Loader(yaml.SafeLoader):
        """Knows the short tags; has no dates, which CloudFormation reads as text."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise validation("Template format error: YAML aliases are not allowed in CloudFormation templates")
            return super().compose_node(parent, index)

    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":timestamp", ":merge"))]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    Loader.add_multi_constructor("!", _short_form)
    try:
        return yaml.load(text, Loader)  # noqa: S506 - a SafeLoader with one more constructor
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise _not_well_formed("YAML", mark.line + 1 if mark else 1, mark.column + 1 if mark else 1) from None
    except (yaml.YAMLError, RecursionError, ValueError, TypeError):
        raise validation("Template format error: unsupported structure.") from None


def _short_form(loader: Any, suffix: str, node: Any) -> dict[str, Any]:
    import yaml

    name = _PLAIN.get(suffix, f"Fn::{suffix}")
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
        if suffix == "GetAtt":
            value = value.split(".", 1)
        return {name: value}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    return {name: loader.construct_mapping(node, deep=True)}


def _check_depth(found: Any) -> None:
    level, depth = [found], 0
    while level:
        depth += 1
        if depth > _DEEPEST:
            raise validation("Template format error: unsupported structure.")
        level = [
            child
            for value in level
            for child in (value.values() if isinstance(value, dict) else value)
            if isinstance(child, dict | list)
        ]


def _not_well_formed(form: str, line: int, column: int) -> AwsError:
    return validation(f"Template format error: {form} not well-formed. (line {line}, column {column})")
