"""``spaces-helm-chart/files/keys.json``: by which the chart's templates tell a misspelt key, and what was meant.

Helm asks the schema before any template, and a schema can refuse a key but cannot say which one is near. So the schema
holds types alone, and the templates refuse: with the tree of all keys, and with the places of each name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .chart_page import CHART, resolved, values

_TELLING = 5
_NOT_IMPLEMENTED = {"gcp", "azure"}
FREE = "*"
"""The mark of a section that takes any other key, too."""
ELSEWHERE = {
    # As the charts of cert-manager, External Secrets, Grafana's and Bitnami's call what this one has.
    "replicaCount": "operator.replicas",
    "installCRDs": "crds.enabled",
    "http_proxy": "proxy.httpProxy",
    "https_proxy": "proxy.httpsProxy",
    "no_proxy": "proxy.noProxy",
    "prometheus": "serviceMonitor.enabled",
    "metrics": "serviceMonitor.enabled",
    "pdb": "operator.podDisruptionBudget",
    "tls": "caBundle",
    "pullSecrets": "imagePullSecrets",
    "imagePullPolicy": "image.pullPolicy",
    "registry": "image.repository",
    "env": "operator.extraEnv",
    "logLevel": "operator.extraEnv",
    "leaderElection": "operator.replicas",
    "externalSecrets": "controlPlanes.sharedSecrets",
    "serviceAccount": "operator.serviceAccount",
    "tolerations": "operator.tolerations",
    "nodeSelector": "operator.nodeSelector",
    "affinity": "operator.affinity",
    "topologySpreadConstraints": "operator.topologySpreadConstraints",
    "priorityClassName": "operator.priorityClassName",
    "resources": "operator.resources",
    "extraEnv": "operator.extraEnv",
    "podLabels": "operator.podLabels",
    "podAnnotations": "operator.podAnnotations",
    "podDisruptionBudget": "operator.podDisruptionBudget",
    "irsa": "controlPlanes.vector.serviceAccount.customAnnotations",
}


def _is_fixed(schema: Mapping[str, Any]) -> bool:
    """Whether it takes a single value, so that nobody can have meant it."""
    return len([word for word in schema.get("enum", ()) if word is not None]) == 1


def tree(schema: Mapping[str, Any], part: Mapping[str, Any]) -> Any:
    """A section's keys; ``[one]`` where it is a list; True where any value does."""
    node = resolved(schema, part)
    if "properties" in node:
        keys = {name: tree(schema, child) for name, child in node["properties"].items()}
        return {**keys, **({FREE: True} if node.get("additionalProperties") else {})}
    if "items" in node and isinstance(inner := tree(schema, node["items"]), dict):
        return [inner]
    return True


def places(schema: Mapping[str, Any]) -> dict[str, list[str]]:
    """Where each name stands, in lower case; not those of a list's members, nor those that nobody reads."""
    found: dict[str, list[str]] = {}
    for value in values(schema):
        ours = not _NOT_IMPLEMENTED.intersection(value.path.split("."))
        dead = not ours or _is_fixed(value.schema) or "not read" in value.schema["description"]
        name = value.path.rsplit(".", 1)[-1].lower()
        # A word like kind or name stands in many places and says nothing of any.
        if not dead and len(name) >= _TELLING and "[]" not in value.path and "\\." not in value.path:
            found.setdefault(name, []).append(value.path)
    return found


def keys() -> str:
    """The whole file."""
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    elsewhere = {name.lower(): path for name, path in ELSEWHERE.items()}
    known = {"tree": tree(schema, schema), "places": places(schema), "elsewhere": elsewhere}
    return json.dumps(known, indent=1, sort_keys=True) + "\n"
