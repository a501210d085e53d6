"""The JSONPath of ``additionalPrinterColumns``: fields, indexes, wildcards and simple filters.

Syntax: https://kubernetes.io/docs/reference/kubectl/jsonpath/ without ranges over text, unions and scripts, which a
CRD may not use.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from keyless.local.cluster.faults import Malformed

Step = Callable[[Any], Iterator[Any]]
NAME = re.compile(r"(?:\\.|[^.\[\\])+")
NUMBER = re.compile(r"[+-]?[0-9]{1,40}(?:\.[0-9]{0,40}(?:[eE][+-]?[0-9]{1,3})?)?")
FILTER = re.compile(r"""\?\(\s*@\.?(?P<path>[^=!<>]*?)\s*(?:(?P<operator>==|!=|<=|>=|<|>)\s*(?P<value>.+?)\s*)?\)""")
QUOTED = re.compile(r"""(['"])(.*)\1""", re.DOTALL)
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda a, b: bool(a == b),
    "!=": lambda a, b: bool(a != b),
    "<": lambda a, b: bool(a < b),
    ">": lambda a, b: bool(a > b),
    "<=": lambda a, b: bool(a <= b),
    ">=": lambda a, b: bool(a >= b),
}


def find(path: str, obj: Any) -> list[Any]:
    """All values at ``path``, empty when there is none; a path that cannot be read raises ``Malformed``."""
    found = [obj]
    for step in compile_path(path):
        found = [result for value in found for result in step(value)]
    return found


@lru_cache(maxsize=1024)
def compile_path(path: str) -> tuple[Step, ...]:
    """The steps of a path."""
    steps: list[Step] = []
    rest = path.strip().removeprefix("{").removesuffix("}").removeprefix("$")
    while rest:
        if rest.startswith("["):
            inside, rest = _bracket(rest, path)
            steps.append(_bracket_step(inside, path))
            continue
        match = NAME.match(rest.removeprefix("."))
        if not rest.startswith(".") or match is None:
            if rest == ".":
                break
            raise Malformed(f"unrecognized character in JSONPath {path!r} at {rest[:20]!r}")
        steps.append(_field(re.sub(r"\\(.)", r"\1", match[0])))
        rest = rest[1 + match.end() :]
    return tuple(steps)


def _bracket(rest: str, path: str) -> tuple[str, str]:
    """The text between ``[`` and its ``]``, quotes respected."""
    quote = ""
    for index, character in enumerate(rest[1:], 1):
        if quote:
            quote = "" if character == quote and rest[index - 1] != "\\" else quote
        elif character in "'\"":
            quote = character
        elif character == "]":
            return rest[1:index], rest[index + 1 :]
    raise Malformed(f"unterminated array in JSONPath {path!r}")


def _bracket_step(inside: str, path: str) -> Step:
    if inside == "*":
        return _all
    if match := QUOTED.fullmatch(inside):
        return _field(re.sub(r"\\(.)", r"\1", match[2]))
    if inside.startswith("?"):
        match = FILTER.fullmatch(inside)
        if match is None:
            raise Malformed(f"the filter of JSONPath {path!r} cannot be read")
        return _filter(match["path"], match["operator"], match["value"])
    bounds = re.fullmatch(r"(-?[0-9]+)?(?:(:)(-?[0-9]+)?)?", inside)
    if bounds is None or not inside:
        raise Malformed(f"invalid array index in JSONPath {path!r}")
    start = int(bounds[1]) if bounds[1] else None
    if not bounds[2]:
        return _index(start or 0)
    return _slice(slice(start, int(bounds[3]) if bounds[3] else None))


def _field(name: str) -> Step:
    if name == "*":
        return _all

    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, dict) and name in value:
            yield value[name]

    return step


def _all(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _index(position: int) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, list) and -len(value) <= position < len(value):
            yield value[position]

    return step


def _slice(bounds: slice) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, list):
            yield from value[bounds]

    return step


def _filter(path: str, operator: str | None, literal: str | None) -> Step:
    inner = f".{path}" if path and not path.startswith("[") else path
    steps, wanted = compile_path(inner), _literal(literal or "")

    def matches(item: Any) -> bool:
        found = [item]
        for step in steps:
            found = [result for value in found for result in step(value)]
        if operator is None:
            return bool(found)
        try:
            return bool(found) and COMPARE[operator](found[0], wanted)
        except TypeError:
            return False

    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, list):
            yield from (item for item in value if matches(item))

    return step


def _literal(text: str) -> Any:
    if match := QUOTED.fullmatch(text):
        return match[2]
    if text in {"true", "false"}:
        return text == "true"
    if not NUMBER.fullmatch(text):
        return text
    return float(text) if "." in text else int(text)
