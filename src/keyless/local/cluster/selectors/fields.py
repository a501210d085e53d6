"""Field selectors (``metadata.name=x,status.phase!=Running``) and the fields each resource can be selected by.

Custom resources add their ``selectableFields``; everything has ``metadata.name`` and ``metadata.namespace``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from keyless.local.cluster.faults import Malformed, Object

METADATA = ("metadata.name", "metadata.namespace")
INVOLVED = tuple(
    f"involvedObject.{part}"
    for part in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
)
EVENTS = (*INVOLVED, "reason", "reportingComponent", "source", "type")
POD = (
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.nominatedNodeName",
)
FIELDS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("", "pods"): POD,
    ("", "events"): EVENTS,
    ("events.k8s.io", "events"): EVENTS,
    ("", "secrets"): ("type",),
    ("", "namespaces"): ("status.phase",),
    ("", "nodes"): ("spec.unschedulable",),
    ("", "services"): ("spec.clusterIP", "spec.type"),
    ("", "replicationcontrollers"): ("status.replicas",),
    ("apps", "replicasets"): ("status.replicas",),
    ("batch", "jobs"): ("status.successful",),
}
UNUSUAL = {
    "status.successful": ("status", "succeeded"),
    "reportingComponent": ("reportingController",),
}
TERM = re.compile(r"(?P<field>[^=!]*)(?P<operator>==|!=|=)(?P<value>.*)", re.DOTALL)


def selectable_fields(group: str, resource: str, custom: Iterable[str] = ()) -> frozenset[str]:
    """The field labels that a list or watch of the resource accepts; ``custom``: the CRD's own, with or without dot."""
    own = (path.removeprefix(".") for path in custom)
    return frozenset((*METADATA, *FIELDS.get((group, resource), ()), *own))


@dataclass(frozen=True, slots=True)
class Term:
    """One comparison; ``equal`` False means it must differ."""

    field: str
    value: str
    equal: bool


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """All terms must hold; none selects everything."""

    terms: tuple[Term, ...] = ()

    @classmethod
    def parse(cls, text: str, allowed: frozenset[str]) -> FieldSelector:
        """Read the query parameter; raises ``Malformed`` with Kubernetes' text for a field it cannot select by."""
        terms = tuple(_term(part, text) for part in _split(text) if part)
        for term in terms:
            if term.field not in allowed:
                raise Malformed(f"field label not supported: {term.field}")
        return cls(terms)

    def matches(self, obj: Object) -> bool:
        """Whether the object is selected."""
        return all((field_text(obj, term.field) == term.value) == term.equal for term in self.terms)

    @property
    def name(self) -> str | None:
        """The one name that can match, so that the caller can look it up instead of scanning."""
        for term in self.terms:
            if term.field == "metadata.name" and term.equal:
                return term.value
        return None


def field_text(obj: Object, field: str) -> str:
    """The field as a selector sees it: text, empty when missing."""
    path = UNUSUAL.get(field) or tuple(field.split("."))
    found: object = obj
    for step in path:
        found = found.get(step) if isinstance(found, dict) else None
    if field == "source":
        found = found.get("component") if isinstance(found, dict) else obj.get("reportingController")
    return _text(found, field)


def _text(value: object, field: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return {"spec.unschedulable": "false", "spec.hostNetwork": "false"}.get(
            field, "0" if field in {"status.replicas", "status.successful"} else ""
        )
    return str(value)


def _split(text: str) -> list[str]:
    """Cut at commas that no backslash escapes."""
    return re.split(r"(?<!\\),", text)


def _term(part: str, whole: str) -> Term:
    match = TERM.fullmatch(part)
    if match is None:
        raise Malformed(f"invalid selector: '{whole}'; can't understand '{part}'")
    value = re.sub(r"\\([\\,=])", r"\1", match["value"])
    return Term(match["field"].strip(), value, match["operator"] != "!=")
