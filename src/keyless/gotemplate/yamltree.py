"""Read the first YAML document into a tree with go-yaml's scalars, within bounds. Pure.

libyaml gives the events, so that nothing is built before it is counted: an alias counts for all that it stands for.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Any, TypeAlias

import yaml

from keyless.gotemplate.errors import Problem
from keyless.gotemplate.yamlscalars import BINARY, Mismatch, Scalar, resolved

MAX_TEXT = 1 << 20
MAX_DEPTH = 100
MAX_NODES = 50_000
MAX_EXPANDED = 1 << 22
"""Characters of all scalars, those that aliases stand for counted each time."""
Tree: TypeAlias = "Scalar | list[Tree] | dict[Scalar, Tree]"
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MERGE = "tag:yaml.org,2002:merge"


def read(text: str) -> Tree:
    """Return the first document; None for an empty text. Raises ``Problem``."""
    if len(text) > MAX_TEXT:
        raise Problem(f"the input is longer than {MAX_TEXT} characters")
    try:
        return _Reader(yaml.parse(text, Loader=_LOADER)).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Problem("the input is no YAML" + (f" (line {mark.line + 1})" if mark else "")) from None
    except (yaml.YAMLError, UnicodeError):
        raise Problem("the input is no YAML: it has characters that YAML does not allow") from None


class _Reader:
    """Builds a tree from events."""

    def __init__(self, events: Iterator[Any]) -> None:
        self._events = events
        self._nodes, self._characters = 0, 0
        self._anchors: dict[str, tuple[Tree, int, int] | None] = {}

    def document(self) -> Tree:
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                tree = self._value(next(self._events), 0)
                next(self._events)  # what follows the value on its lines is part of the document
                return tree
        return None

    def _count(self, nodes: int, characters: int) -> None:
        self._nodes += nodes
        self._characters += characters
        if self._nodes > MAX_NODES or self._characters > MAX_EXPANDED:
            raise Problem(
                f"the input stands for more than {MAX_NODES} values or {MAX_EXPANDED} characters, aliases counted"
            )

    def _value(self, event: Any, depth: int) -> Tree:
        if depth > MAX_DEPTH:
            raise Problem(f"the input is nested more than {MAX_DEPTH} deep")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        before = self._nodes, self._characters
        anchor = event.anchor
        if anchor is not None:
            self._anchors[anchor] = None
        self._count(1, 0)
        tree: Tree
        if isinstance(event, yaml.ScalarEvent):
            tree = self._scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            tree = []
            while not isinstance(item := next(self._events), yaml.SequenceEndEvent):
                tree.append(self._value(item, depth + 1))
        else:
            tree = self._map(depth)
        if anchor is not None:
            self._anchors[anchor] = (tree, self._nodes - before[0], self._characters - before[1])
        return tree

    def _alias(self, event: Any) -> Tree:
        if event.anchor not in self._anchors:
            raise Problem(f"line {event.start_mark.line + 1}: an alias has no anchor before it")
        known = self._anchors[event.anchor]
        if known is None:
            raise Problem(f"line {event.start_mark.line + 1}: an anchor contains itself")
        tree, nodes, characters = known
        self._count(nodes, characters)
        return tree

    def _map(self, depth: int) -> dict[Scalar, Tree]:
        found: dict[Scalar, Tree] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            merges = isinstance(event, yaml.ScalarEvent) and event.value == "<<" and _merges(event)
            key = self._value(event, depth + 1)
            line = event.start_mark.line + 1
            value = self._value(next(self._events), depth + 1)
            if merges:
                self._merge(found, value, line)
            elif isinstance(key, dict | list):
                raise Problem(f"line {line}: a key is a map or a list")
            else:
                found[key] = value
        return found

    def _merge(self, into: dict[Scalar, Tree], value: Tree, line: int) -> None:
        # Of several maps the first counts most, so it comes last.
        for one in reversed(value) if isinstance(value, list) else [value]:
            if not isinstance(one, dict):
                raise Problem(f"line {line}: only maps can be merged")
            self._count(len(one), 0)
            into.update(one)

    def _scalar(self, event: Any) -> Scalar:
        text: str = event.value
        self._count(0, len(text))
        tag = event.tag or ""
        if not tag and not event.implicit[0]:
            return text
        if tag == BINARY:
            return _binary(text, event.start_mark.line + 1)
        try:
            return resolved(tag, text)
        except Mismatch:
            raise Problem(f"line {event.start_mark.line + 1}: a value does not fit its tag") from None


def _merges(event: Any) -> bool:
    return event.tag == _MERGE or (event.tag is None and bool(event.implicit[0]))


def _binary(text: str, line: int) -> str:
    try:
        raw = base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True)
    except (binascii.Error, ValueError):
        raise Problem(f"line {line}: a !!binary value is no base64") from None
    # Go makes U+FFFD of what is no UTF-8 here, which loses it.
    return raw.decode("utf-8", "surrogateescape")
