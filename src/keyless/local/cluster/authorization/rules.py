"""RBAC rules: does a rule allow a question, does a set of rules cover another. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from keyless.local.cluster.authorization.attributes import Asked

Rule = Mapping[str, Any]


def allows(rule: Rule, asked: Asked) -> bool:
    """Whether one rule allows the question."""
    if not _has(rule.get("verbs"), asked.verb):
        return False
    if not asked.resource:
        return any(_path_fits(pattern, asked.path) for pattern in rule.get("nonResourceURLs") or ())
    return (
        _has(rule.get("apiGroups"), asked.group)
        and _resource_fits(rule.get("resources") or (), asked)
        and _name_fits(rule.get("resourceNames") or (), asked.name)
    )


def _has(values: Sequence[str] | None, wanted: str) -> bool:
    return bool(values) and ("*" in values or wanted in values)  # type: ignore[operator]  # bool() has excluded None


def _path_fits(pattern: str, path: str) -> bool:
    return pattern == "*" or pattern == path or (pattern.endswith("*") and path.startswith(pattern[:-1]))


def _resource_fits(resources: Iterable[str], asked: Asked) -> bool:
    # "*" takes subresources in; "*/scale" is that subresource of every resource.
    wanted = {"*", asked.full_resource} | ({f"*/{asked.subresource}"} if asked.subresource else set())
    return not wanted.isdisjoint(resources)


def _name_fits(names: Sequence[str], name: str) -> bool:
    return not names or name in names


def uncovered(held: Sequence[Rule], wanted: Sequence[Rule]) -> list[Rule]:
    """The parts of ``wanted`` that ``held`` does not cover: what someone would gain."""
    return [part for rule in wanted for part in _parts(rule) if not any(_covers(one, part) for one in held)]


def _parts(rule: Rule) -> list[Rule]:
    """A rule taken apart into single permissions."""
    verbs = rule.get("verbs") or ()
    paths = [{"verbs": [v], "nonResourceURLs": [p]} for v in verbs for p in rule.get("nonResourceURLs") or ()]
    names = [[name] for name in rule.get("resourceNames") or ()] or [[]]
    return paths + [
        {"verbs": [verb], "apiGroups": [group], "resources": [resource], **({"resourceNames": one} if one else {})}
        for verb in verbs
        for group in rule.get("apiGroups") or ()
        for resource in rule.get("resources") or ()
        for one in names
    ]


def _covers(rule: Rule, part: Rule) -> bool:
    if not _has(rule.get("verbs"), part["verbs"][0]):
        return False
    if "nonResourceURLs" in part:
        path = part["nonResourceURLs"][0]
        return any(_path_fits(pattern, path) for pattern in rule.get("nonResourceURLs") or ())
    resource, _, subresource = part["resources"][0].partition("/")
    asked = Asked(part["verbs"][0], part["apiGroups"][0], resource, subresource)
    if not (_has(rule.get("apiGroups"), asked.group) and _resource_fits(rule.get("resources") or (), asked)):
        return False
    held, wanted = rule.get("resourceNames") or (), part.get("resourceNames") or ()
    return not held or (bool(wanted) and set(wanted) <= set(held))


def describe(rule: Rule) -> str:
    """A rule as Kubernetes prints it in a refusal."""
    order = (
        ("apiGroups", "APIGroups"),
        ("resources", "Resources"),
        ("resourceNames", "ResourceNames"),
        ("nonResourceURLs", "NonResourceURLs"),
        ("verbs", "Verbs"),
    )
    parts = [
        f"{title}:[" + " ".join(f'"{value}"' for value in rule[key]) + "]" for key, title in order if rule.get(key)
    ]
    return "{" + ", ".join(parts) + "}"
