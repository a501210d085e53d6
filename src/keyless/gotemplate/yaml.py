"""YAML as ``sigs.k8s.io/yaml`` reads and writes it: go-yaml's scalars, by way of JSON. Pure, for untrusted text.

    load("port: 0x1F")                 # {"port": 31.0}: every number is Go's float64
    dump({"port": 5432.0})             # "port: 5432"
    keys_and_values("on: yes\\nn: 1e3")  # {"true": "true", "n": "1000"}

Only the first document counts. Text, depth and what aliases stand for are bounded. Where Go's answer loses digits, the
text is kept. Errors (``Problem``) name lines, never what stands in them. Facts: docs/reference/facts/yaml.md
"""

from __future__ import annotations

import math
import re
from typing import Any

import yaml

from keyless.gotemplate.errors import Problem
from keyless.gotemplate.printing import float_text
from keyless.gotemplate.yamlorder import in_order
from keyless.gotemplate.yamlscalars import Number, reads_as_text
from keyless.gotemplate.yamltree import Tree, read

__all__ = ["dump", "keys_and_values", "load"]

MAX_DUMPED = 1 << 20
"""Characters in all strings of a value that is written."""
MAX_DEPTH = 100
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_WIDTH = 80
_NO_UTF_8 = re.compile("[\ud800-\udfff]")
_BREAKS = frozenset("\x85\u2028\u2029")
"""Line breaks that only quotes with escapes keep as they are."""


def load(text: str) -> Any:
    """Return the first document as templates know values: None, bool, float, str, list and dict.

    An integer that float64 cannot hold stays an int, any other such number its text. Raises ``Problem``.
    """
    return _loaded(read(text))


def _loaded(tree: Tree) -> Any:
    if isinstance(tree, dict):
        return {_key(key): _loaded(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_loaded(item) for item in tree]
    if isinstance(tree, Number):
        if not math.isfinite(tree.value):
            raise Problem("the input has a number that JSON cannot hold")
        return tree.exact()
    return tree


def keys_and_values(text: str) -> dict[str, str]:
    """Return the first document, a map, with every scalar as text and null as the empty text; raises ``Problem``."""
    tree = read(text)
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise Problem("the text is no YAML map of keys and values")
    found = {}
    for number, (key, value) in enumerate(tree.items(), 1):
        if isinstance(value, dict | list):
            raise Problem(f"the value of key {number} is a {'map' if isinstance(value, dict) else 'list'}, not a text")
        found[_key(key)] = _text(value)
    return found


def _text(value: Tree) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.text() if isinstance(value, Number) else str(value)


def _key(key: Tree) -> str:
    if key is None:
        raise Problem("a key is null")
    if isinstance(key, Number):
        return {"+Inf": ".inf", "-Inf": "-.inf", "NaN": ".nan"}.get(key.text(), key.text())
    return _text(key)


def dump(value: Any) -> str:
    """Return the value as YAML, without a last line break: keys in order, ``|`` for several lines. Raises ``Problem``.

    What is no UTF-8 becomes U+FFFD, as on Go's way through JSON.
    """
    events: list[yaml.Event] = [yaml.StreamStartEvent(), yaml.DocumentStartEvent(explicit=False)]
    _Events(events).add(value, 0)
    events += [yaml.DocumentEndEvent(explicit=False), yaml.StreamEndEvent()]
    try:
        text: str = yaml.emit(events, Dumper=_DUMPER, width=_WIDTH, allow_unicode=True)
    except (yaml.YAMLError, UnicodeError):
        raise Problem("the value cannot be written as YAML") from None
    # An only scalar is followed by the mark of the document's end.
    return text.removesuffix("...\n").removesuffix("\n")


class _Events:
    """Turns a value into a stream of events."""

    def __init__(self, events: list[yaml.Event]) -> None:
        self._events, self._left = events, MAX_DUMPED

    def add(self, value: Any, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise Problem(f"the value is nested more than {MAX_DEPTH} deep")
        if isinstance(value, dict):
            self._map(value, depth)
        elif isinstance(value, list | tuple):
            self._events.append(yaml.SequenceStartEvent(None, None, implicit=True, flow_style=not value))
            for item in value:
                self.add(item, depth + 1)
            self._events.append(yaml.SequenceEndEvent())
        elif isinstance(value, str):
            self._string(value)
        else:
            self._scalar(_plain(value), None)

    def _map(self, value: dict[str, Any], depth: int) -> None:
        self._events.append(yaml.MappingStartEvent(None, None, implicit=True, flow_style=not value))
        for key in in_order(value):
            self._string(key)
            self.add(value[key], depth + 1)
        self._events.append(yaml.MappingEndEvent())

    def _string(self, text: str) -> None:
        shown = _NO_UTF_8.sub("\ufffd", text)
        if "\n" in shown:
            self._scalar(shown, "|")
        else:
            self._scalar(shown, None if reads_as_text(shown) and not _BREAKS & set(shown) else '"')

    def _scalar(self, text: str, style: str | None) -> None:
        self._left -= len(text) + 1
        if self._left < 0:
            raise Problem(f"the value has more than {MAX_DUMPED} characters")
        self._events.append(yaml.ScalarEvent(None, None, (True, True), text, style=style))


def _plain(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        # JSON writes a whole number below 1e21 without an exponent, and go-yaml reads 64 bits of it as an integer.
        return str(int(value)) if value.is_integer() and -(2**63) <= value < 2**64 else float_text(value)
    raise Problem("the value has a number or type that JSON cannot hold")
