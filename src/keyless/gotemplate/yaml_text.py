"""YAML within an account: aliases and merge keys are counted before anything is built from them.

``fromYaml`` and ``toYaml`` are External Secrets' own functions.
"""

from __future__ import annotations

from typing import Any

import yaml

from keyless.gotemplate.account import Account
from keyless.gotemplate.errors import Problem
from keyless.gotemplate.values import MAX_DEPTH, List, Map, StringMap, decoded, encoded, given
from keyless.gotemplate.yaml import dump, load

_NO_YAML = "the input is no YAML"
# Where libyaml is there it is ten times faster; both build the same nodes.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def from_yaml(account: Account, text: bytes) -> Any:
    """Return what a YAML document holds; raises ``Problem``."""
    check_yaml(account, text)
    try:
        found = load(decoded(text))
        value = given({} if found is None else found)
    except RecursionError:
        raise Problem(_NO_YAML) from None
    if not isinstance(value, Map):
        raise Problem("the input is no YAML map")
    return _texts(value)


def _texts(value: Any) -> Any:
    # What is read is a map[string]interface{}, whatever is in it.
    return Map(value) if isinstance(value, StringMap) else value


def check_yaml(account: Account, text: bytes) -> None:
    """Pay for everything that a document becomes when its aliases and merge keys are followed; raises ``Problem``."""
    # Reading takes about a step for each sixteen bytes.
    account.step(len(text) // 16)
    account.make(len(text) * 16)
    try:
        _check_depth(account, decoded(text))
        root = yaml.compose(decoded(text), Loader=_Loader)
    except (yaml.YAMLError, RecursionError, ValueError):
        raise Problem(_NO_YAML) from None
    if root is not None:
        account.items(_nodes(root, {}, frozenset(), 0))


def _check_depth(account: Account, text: str) -> None:
    """Refuse a document that is nested too deeply, event by event: composing it would overflow the C stack."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        account.step()
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise Problem(_NO_YAML)


def _nodes(node: yaml.Node, known: dict[int, int], above: frozenset[int], depth: int) -> int:
    """Return how many values a node stands for when written out; shared parts are looked at once."""
    if id(node) in above or depth > MAX_DEPTH:
        raise Problem(_NO_YAML)
    if id(node) not in known:
        inside = above | {id(node)}
        match node:
            case yaml.MappingNode():
                children = [child for pair in node.value for child in pair]
            case yaml.SequenceNode():
                children = node.value
            case _:
                children = []
        known[id(node)] = 1 + sum(_nodes(child, known, inside, depth + 1) for child in children)
    return known[id(node)]


def to_yaml(account: Account, value: Any) -> bytes:
    """Return a value as YAML without the line break at its end."""
    account.walk(value)
    # The emitter is the slowest of all: about ten steps for a value.
    account.step(_count(value) * 10)
    return encoded(dump(plain(value)))


def _count(value: Any) -> int:
    if isinstance(value, List):
        return 1 + sum(map(_count, value))
    return 1 + sum(map(_count, value.values())) if isinstance(value, Map) else 1


def plain(value: Any) -> Any:
    """Return a value as Python's own types; a byte that is no UTF-8 becomes the replacement character."""
    match value:
        case bytes():
            return value.decode("utf-8", "replace")
        case List():
            return [plain(item) for item in value]
        case Map():
            return {plain(key): plain(item) for key, item in value.items()}
        case bool() | float() | None:
            return value
    return int(value)
