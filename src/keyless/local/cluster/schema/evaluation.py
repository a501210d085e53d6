"""Ask the CEL rules about an object.

A rule without ``oldSelf`` is not asked again about a part that did not change; a transition rule is asked only where
there was something before. An error inside a rule counts as a failed rule.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from keyless.local.cluster.faults import FieldError, Object
from keyless.local.cluster.patches.json_patch import same
from keyless.local.cluster.schema.checks import ABSENT, counterpart
from keyless.local.cluster.schema.costs.observed import CALL_LIMIT, observed_cost
from keyless.local.cluster.schema.looping import ENDED, Answer, evaluated, plain
from keyless.local.cluster.schema.model import Node
from keyless.local.cluster.schema.names import escaped
from keyless.local.cluster.schema.rules import Rule

PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([a-zµμ]+)")
SECONDS = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ms": 1e-3,
    "s": 1,
    "m": 60,
    "h": 3600,
    "d": 86400,
    "w": 604800,
}
MISSING_KEY = re.compile(r'NOT_FOUND: Key not found in map : "(.*)"')


class OutOfBudget(Exception):
    """A rule was ended, and no other is asked: what is told of it."""

    def __init__(self, told: FieldError) -> None:
        super().__init__(told.message)
        self.told = told


def check_rules(node: Node, obj: Object, old: Any) -> list[FieldError]:
    """All failed rules of an object and its parts; that one was ended is told alone."""
    try:
        return _check(node, _visible(obj), old if old is ABSENT else _visible(old), "")
    except OutOfBudget as ended:
        return [ended.told]


def _visible(obj: Object) -> Object:
    """Rules at the root see no more of the metadata than the name."""
    metadata = obj.get("metadata") or {}
    return {**obj, "metadata": {key: metadata[key] for key in ("name", "generateName") if key in metadata}}


def _check(node: Node, value: Any, old: Any, path: str) -> list[FieldError]:
    if value is None:
        return []
    errors: list[FieldError] = []
    if node.rules:
        unchanged = old is not ABSENT and same(value, old)
        facts = _facts(node, value, old)
        for rule in node.rules:
            if _is_asked(rule, old, unchanged=unchanged):
                errors += _ask(rule, node, facts, path)
    if node.has_rules_below:
        errors += _below(node, value, old, path)
    return errors


def _is_asked(rule: Rule, old: Any, *, unchanged: bool) -> bool:
    if rule.transition:
        return rule.optional or old is not ABSENT
    return not unchanged


def _below(node: Node, value: Any, old: Any, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if isinstance(value, dict):
        before = old if isinstance(old, dict) else {}
        prefix = f"{path}." if path else ""
        for name in sorted(value):
            inner = node.child(name)
            if inner is not None:
                place = f"{prefix}{name}" if name in node.properties else f"{path}[{name}]"
                errors += _check(inner, value[name], before.get(name, ABSENT), place)
    elif isinstance(value, list) and node.items is not None:
        for index, item in enumerate(value):
            errors += _check(node.items, item, counterpart(node, item, old), f"{path}[{index}]")
    return errors


def _facts(node: Node, value: Any, old: Any) -> dict[str, Any]:
    before = None if old is ABSENT else to_cel(node, old)
    return {"self": to_cel(node, value), "oldSelf": before, "hasOld": old is not ABSENT, "rawOld": before}


def _ask(rule: Rule, node: Node, facts: dict[str, Any], path: str) -> list[FieldError]:
    answer = _answer(rule, node, facts, path)
    if answer.is_true:
        return []
    place = f"{path}{rule.field_path}" if path else rule.field_path.removeprefix(".") or "<nil>"
    if answer.kind not in {"BOOL", "DYN"}:
        text = f"{_reason(str(answer.value))} evaluating rule: {rule.message or rule.text}"
        return [FieldError(place, "FieldValueInvalid", f'Invalid value: "{node.type}": {text}')]
    return [_failed(rule, node, _message(rule, facts), place)]


def _answer(rule: Rule, node: Node, facts: dict[str, Any], path: str) -> Answer:
    """Raises ``OutOfBudget``."""
    try:
        return plain(rule.expression, facts)
    except RuntimeError as error:
        # The library ends what loops too long by raising; every other fault is a value.
        told = OutOfBudget(FieldError(path or "<nil>", "FieldValueInvalid", _ended(rule, node, error)))
        values = [facts[name] for name in ("self", "oldSelf") if facts[name] is not None]
        # Asked only of those: walking the value costs as much as a short rule.
        dear = observed_cost(rule.expression, node.schema, values, is_resource=node.embedded or not path) > CALL_LIMIT
        if dear or rule.optional or ENDED not in str(error):
            raise told from error
    try:
        return evaluated(rule.expression, rule.environment, facts)
    except RuntimeError as error:
        raise told from error


def _ended(rule: Rule, node: Node, error: RuntimeError) -> str:
    if ENDED not in str(error):
        return f'Invalid value: "{node.type}": {_reason(str(error))} evaluating rule: {rule.message or rule.text}'
    why = "no further validation rules will be run due to call cost exceeds limit for rule"
    told = f"'operation cancelled: actual cost limit exceeded': {why}: {rule.message or rule.text}"
    return f'Invalid value: "{node.type}": {told}'


def _message(rule: Rule, facts: dict[str, Any]) -> str:
    if rule.message_expression is not None:
        try:
            answer = rule.message_expression.eval(data=facts)
        except RuntimeError:
            # A message that loops too long is none: what failed is told by the rule itself.
            return rule.message or f"failed rule: {rule.text}"
        text = answer.plain_value() if answer.type().name() == "STRING" else ""
        if isinstance(text, str) and text.strip() and "\n" not in text:
            return text
    return rule.message or f"failed rule: {rule.text}"


def _failed(rule: Rule, node: Node, message: str, place: str) -> FieldError:
    body = {
        "FieldValueForbidden": f"Forbidden: {message}",
        "FieldValueRequired": f"Required value: {message}",
        "FieldValueDuplicate": f'Duplicate value: "{node.type}"',
    }.get(rule.reason, f'Invalid value: "{node.type}": {message}')
    return FieldError(place, rule.reason, body)


def _reason(text: str) -> str:
    if match := MISSING_KEY.search(text):
        return f"no such key: {match[1]}"
    return text.partition(": ")[2] or text


def to_cel(node: Node, value: Any) -> Any:
    """A value as rules see it: times and durations typed, numbers as doubles, field names escaped."""
    if isinstance(value, dict):
        return {
            escaped(key) if key in node.properties or node.additional is None else key: to_cel(
                node.child(key) or LOOSE, item
            )
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [to_cel(node.items or LOOSE, item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and node.type == "number":
        return float(value)
    if isinstance(value, str) and node.type == "string":
        return _text(node.schema.get("format", ""), value)
    return value


LOOSE = Node({})


def _text(form: str, value: str) -> Any:
    if form in {"date-time", "date"}:
        return _timestamp(value)
    return _duration(value) if form == "duration" else value


def _timestamp(value: str) -> Any:
    try:
        moment = datetime.fromisoformat(value.upper())
    except ValueError:
        return value
    stamp = Timestamp()
    stamp.FromDatetime((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).replace(tzinfo=None))
    return stamp


def _duration(value: str) -> Any:
    total = 0.0
    for amount, unit in PART.findall(value.lower()):
        factor = SECONDS.get(unit) or SECONDS.get({"mi": "m", "mo": "w"}.get(unit[:2], unit[:1]))
        total += float(amount) * (factor or 0)
    found = Duration()
    found.FromTimedelta(timedelta(seconds=-total if value.startswith("-") else total))
    return found
