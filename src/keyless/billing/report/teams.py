"""Which team used something: a file of rules over what was recorded, as of the hour. Pure.

    teams:
    - name: payments
      match: {label.team: payments}
    - name: search
      match: {group: "search-*", plane.env: prod}
    - from: label.team

The first rule whose conditions all hold decides; ``from`` takes the team's name from a field. What no rule matches is
``unallocated``, and is always shown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from keyless.billing.ledger.model import Dimensions, Malformed
from keyless.billing.report.model import PLANE_METER, UNALLOCATED, UNKNOWN, Plane

Labels = Sequence[tuple[str, str | None]]
FIELDS: Mapping[str, Callable[[Plane, Dimensions | None], str | None]] = {
    "group": lambda plane, _: plane.group,
    "control-plane": lambda plane, _: f"{plane.group}/{plane.name}",
    "control-plane-id": lambda plane, _: plane.id,
    "account": lambda plane, _: plane.account,
    "meter": lambda _, d: d.meter.value if d else PLANE_METER,
    "kind": lambda _, d: f"{d.gvk.kind}.{d.gvk.group}" if d and d.gvk.group else d.gvk.kind if d else "ControlPlane",
    "version": lambda _, d: d.gvk.version if d else None,
    "provider": lambda _, d: d.provider if d else None,
    "namespace": lambda _, d: d.namespace if d else None,
    "composite": lambda _, d: d.composite if d else None,
    "claim": lambda _, d: f"{d.claim_namespace or ''}/{d.claim}" if d and d.claim else None,
    "claim-namespace": lambda _, d: d.claim_namespace if d else None,
    "composition": lambda _, d: d.composition if d else None,
}
_PREFIXES = ("label.", "plane.")


@dataclass(frozen=True, slots=True)
class Rule:
    """Fields and the patterns that their values must match; the team's name, or the field that holds it."""

    name: str = ""
    source: str = ""
    match: tuple[tuple[str, re.Pattern[str]], ...] = ()


DEFAULT = (Rule(source="label.team"), Rule(source="plane.team"))
"""Without a file: the label ``team`` of the resource, else that of the control plane."""


def value_of(name: str, plane: Plane, dimensions: Dimensions | None, labels: Labels) -> str | None:
    """A field of what was used; None where it is not known. ``label.K``: of the resource, ``plane.K``: of the plane."""
    if name.startswith("label."):
        return dict(labels).get(name.removeprefix("label."))
    if name.startswith("plane."):
        return dict(plane.labels).get(name.removeprefix("plane."))
    return FIELDS[name](plane, dimensions) or None


def is_field(name: str) -> bool:
    """Whether there may be such a field."""
    return name in FIELDS or any(name.startswith(p) and len(name) > len(p) for p in _PREFIXES)


def team_of(rules: Sequence[Rule], plane: Plane, dimensions: Dimensions | None, labels: Labels) -> str:
    """The team that the first matching rule names."""
    for rule in rules:
        values = ((value_of(name, plane, dimensions, labels), pattern) for name, pattern in rule.match)
        if all(value is not None and pattern.fullmatch(value) for value, pattern in values):
            name = rule.name or value_of(rule.source, plane, dimensions, labels)
            if name:
                return name
    return UNALLOCATED


def rules_untrusted(name: str, text: str) -> tuple[Rule, ...]:
    """Read a file of rules; raises ``Malformed`` that names the file and the rule."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Malformed(f"{name}: expected YAML: {str(error)[:200]}") from None
    found = document.get("teams") if isinstance(document, dict) else None
    if not isinstance(found, list) or not found or set(document) != {"teams"}:
        raise Malformed(f"{name}: expected a list of rules under the one key teams")
    return tuple(_rule(f"{name}: teams[{at}]", each) for at, each in enumerate(found))


def conditions_untrusted(where: str, match: Any) -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Fields and patterns, in which ``*`` stands for any text."""
    if not isinstance(match, dict):
        raise Malformed(f"{where}: expected a mapping of fields to values, found {match!r}")
    for field, value in match.items():
        if not isinstance(field, str) or not is_field(field):
            raise Malformed(f"{where}: expected one of {known_fields()}, found {field!r}")
        if not isinstance(value, str) or not value:
            raise Malformed(f"{where}.{field}: expected a text (in quotes, where YAML reads something else)")
    return tuple(
        (field, re.compile(".*".join(map(re.escape, value.split("*"))), re.DOTALL)) for field, value in match.items()
    )


def known_fields() -> str:
    """For messages."""
    return ", ".join([*FIELDS, "label.KEY", "plane.KEY"])


def _rule(where: str, each: Any) -> Rule:
    if not isinstance(each, dict) or not set(each) <= {"name", "from", "match"}:
        raise Malformed(f"{where}: expected name or from, and match; found {each!r}")
    team, source = each.get("name", ""), each.get("from", "")
    if not isinstance(team, str) or not isinstance(source, str) or bool(team) == bool(source):
        raise Malformed(f"{where}: expected one of name and from, as a text")
    if team in {UNALLOCATED, UNKNOWN}:
        raise Malformed(f"{where}: {team!r} is what a report calls usage without a team: choose another name")
    if source and not is_field(source):
        raise Malformed(f"{where}.from: expected one of {known_fields()}, found {source!r}")
    if team and not each.get("match"):
        raise Malformed(
            f"{where}: expected match with at least one field: without it every team after this one is lost"
        )
    return Rule(team, source, conditions_untrusted(f"{where}.match", each.get("match", {})))
