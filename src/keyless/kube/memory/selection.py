"""Which objects a list or watch asks for. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from keyless.kube.memory.route import Key, Route
from keyless.kube.resources import KubeObject
from keyless.kube.selectors import matches_text


@dataclass(frozen=True, slots=True)
class Selection:
    """A collection narrowed by selectors."""

    route: Route
    labels: str
    fields: str

    @classmethod
    def of(cls, route: Route, params: Mapping[str, str]) -> Selection:
        """What the parameters ask for."""
        return cls(route, params.get("labelSelector", ""), params.get("fieldSelector", ""))

    def holds(self, key: Key, obj: KubeObject) -> bool:
        """Whether the object belongs to the answer."""
        return (
            self.route.holds(key)
            and matches_text(self.labels, obj["metadata"].get("labels") or {})
            and all(_field_matches(part, obj) for part in self.fields.split(",") if part)
        )


def _field_matches(part: str, obj: KubeObject) -> bool:
    unequal = "!=" in part
    path, _, value = part.replace("==", "=").partition("!=" if unequal else "=")
    found: object = obj
    for step in path.split("."):
        found = found.get(step, "") if isinstance(found, dict) else ""
    return (str(found) == value) != unequal
