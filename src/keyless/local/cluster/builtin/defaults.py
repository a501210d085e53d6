"""The defaults that an API server fills in, type by type.

``FILLS`` are constants for missing fields, ``RULES`` what depends on the rest of the struct; both are keyed by the Go
type, so a container is defaulted the same way in a Pod, a Deployment and a CronJob. Only what changes is copied.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from keyless.local.cluster.builtin.default_rules import FILLS, KIND_RULES, RULES
from keyless.local.cluster.builtin.types import Struct, struct, struct_of, version_of
from keyless.local.cluster.faults import Object

Walk = Callable[[dict[str, Any]], dict[str, Any]]


def default(group: str, kind: str, obj: Object) -> Object:
    """The object with its defaults; a kind without type is answered unchanged.

    Pods also get what the admission plugins that are always on would give them: priority and the two tolerations.
    Not done here: names, uids, cluster IPs, service account volumes.
    """
    found = struct_of(group, version_of(group, kind), kind)
    if found is None:
        return obj
    prepare = KIND_RULES.get(found.name)
    prepared = prepare(obj) if prepare else obj
    walk = _walk(found.name)
    return walk(prepared) if walk else prepared


@cache
def _walk(name: str) -> Walk | None:
    if not _leads_to_defaults(name, frozenset()):
        return None
    kind = struct(name)
    fills, rule = _fills(kind), RULES.get(name)
    inside = [
        (field.name, field.type)
        for field in kind.fields.values()
        if (target := _target(field.type)) and _leads_to_defaults(target, frozenset())
    ]

    def walk(obj: dict[str, Any]) -> dict[str, Any]:
        made = dict(obj)
        for key, constant in fills:
            if made.get(key) in (None, ""):
                made[key] = constant
        if rule:
            made = rule(made)
        for key, kind_of_field in inside:
            value = made.get(key)
            if value or isinstance(value, dict):
                made[key] = _into(kind_of_field, value)
        return made

    return walk


def _into(kind: str, value: Any) -> Any:
    if kind.startswith("[]"):
        return [_into(kind[2:], item) for item in value]
    if kind.startswith("{}"):
        return {key: _into(kind[2:], item) for key, item in value.items()}
    walk = _walk(kind[1:])
    return walk(value) if walk else value


def _fills(kind: Struct) -> list[tuple[str, Any]]:
    marked = {field.name: field.default for field in kind.fields.values() if field.default is not None}
    return list({**marked, **FILLS.get(kind.name, {})}.items())


def _target(kind: str) -> str:
    """The struct inside a field's type, if any."""
    while kind[:2] in {"[]", "{}"}:
        kind = kind[2:]
    return kind[1:] if kind.startswith("@") else ""


@cache
def _has_defaults(name: str) -> bool:
    return bool(_fills(struct(name))) or name in RULES


@cache
def _leads_to_defaults(name: str, seen: frozenset[str]) -> bool:
    if _has_defaults(name):
        return True
    fields: Mapping[str, Any] = struct(name).fields
    targets = {_target(field.type) for field in fields.values()} - {"", name} - seen
    return any(_leads_to_defaults(target, seen | {name}) for target in sorted(targets))
