"""Label selectors, as text and as the API's ``LabelSelector``. Pure.

Grammar: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from keyless.kube.resources import KubeObject

Labels = Mapping[str, str]
_Test = Callable[[Labels], bool]

_SET = re.compile(r"(?P<key>[^\s!=(),]+)\s+(?P<word>in|notin)\s+\((?P<values>[^()]*)\)")
_EQUAL = re.compile(r"(?P<key>[^\s!=(),]+)\s*(?P<word>==|=|!=)\s*(?P<value>[^\s!=(),]*)")
_EXISTS = re.compile(r"(?P<no>!?)\s*(?P<key>[^\s!=(),]+)")
_COMMA = re.compile(r",(?![^(]*\))")  # a comma outside parentheses


def matches_text(selector: str, labels: Labels) -> bool:
    """Whether ``labels`` satisfy a textual selector; raises ``ValueError`` when it is malformed."""
    return all(_requirement(part.strip())(labels) for part in _COMMA.split(selector) if part.strip())


def matches(selector: KubeObject | None, labels: Labels | None) -> bool:
    """Whether ``labels`` satisfy a ``LabelSelector``; an absent one selects nothing, an empty one everything."""
    if selector is None:
        return False
    have = labels or {}
    wanted: Labels = selector.get("matchLabels") or {}
    if any(have.get(key) != value for key, value in wanted.items()):
        return False
    return all(_expression(expression)(have) for expression in selector.get("matchExpressions") or ())


def _requirement(text: str) -> _Test:
    if found := _SET.fullmatch(text):
        values = [value.strip() for value in found["values"].split(",")]
        return _member(found["key"], values, wanted=found["word"] == "in")
    if found := _EQUAL.fullmatch(text):
        return _member(found["key"], [found["value"]], wanted=found["word"] != "!=")
    if found := _EXISTS.fullmatch(text):
        return _presence(found["key"], wanted=not found["no"])
    raise ValueError(f"unable to parse requirement: {text!r}")


def _expression(expression: KubeObject) -> _Test:
    key, operator = expression["key"], expression["operator"]
    if operator in {"In", "NotIn"}:
        return _member(key, expression.get("values") or (), wanted=operator == "In")
    return _presence(key, wanted=operator == "Exists")


def _member(key: str, values: list[str] | tuple[str, ...], *, wanted: bool) -> _Test:
    """A label that is missing is in no set: ``notin`` and ``!=`` hold for it."""
    return lambda labels: (key in labels and labels[key] in values) == wanted


def _presence(key: str, *, wanted: bool) -> _Test:
    return lambda labels: (key in labels) == wanted
