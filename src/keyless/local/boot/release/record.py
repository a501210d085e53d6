"""From the carried record to what the API server is given. Pure but for reading the carried file."""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from typing import Any

import yaml

NAME = "spaces"
NAMESPACE = "default"


@dataclass(frozen=True, slots=True)
class Release:
    """``objects`` in the manifest's order, and the ``secret`` in which Helm keeps the release."""

    objects: tuple[dict[str, Any], ...]
    secret: dict[str, Any]


def installed(now: datetime) -> Release:
    """The release as if installed at ``now`` (which must know its time zone)."""
    record = _carried()
    objects = tuple(_owned_by_helm(document) for document in yaml.safe_load_all(record["manifest"]) if document)
    return Release(objects, _secret(record, now))


def chart_values() -> dict[str, Any]:
    """The chart's own values."""
    values: dict[str, Any] = _carried()["chart"]["values"]
    return values


def _carried() -> dict[str, Any]:
    record: dict[str, Any] = json.loads(
        resources.files(__package__).joinpath("release.json").read_text(encoding="utf-8")
    )
    return record


def _owned_by_helm(document: dict[str, Any]) -> dict[str, Any]:
    """Helm refuses to upgrade objects that do not carry its own label and annotations."""
    metadata = document["metadata"]
    labels = {**metadata.get("labels", {}), "app.kubernetes.io/managed-by": "Helm"}
    owner = {"meta.helm.sh/release-name": NAME, "meta.helm.sh/release-namespace": NAMESPACE}
    annotations = {**metadata.get("annotations", {}), **owner}
    return {**document, "metadata": {**metadata, "labels": labels, "annotations": annotations}}


def _secret(record: dict[str, Any], now: datetime) -> dict[str, Any]:
    stamp = now.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    info = {**record["info"], "first_deployed": stamp, "last_deployed": stamp, "deleted": ""}
    text = json.dumps({**record, "info": info}, separators=(",", ":")).encode()
    # Helm's own base64 around the gzip, then that of every Secret.
    packed = base64.b64encode(base64.b64encode(gzip.compress(text, mtime=0)))
    version = record["version"]
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "helm.sh/release.v1",
        "metadata": {
            "name": f"sh.helm.release.v1.{NAME}.v{version}",
            "namespace": NAMESPACE,
            "labels": {
                "name": NAME,
                "owner": "helm",
                "status": "deployed",
                "version": str(version),
                "modifiedAt": str(int(now.timestamp())),
            },
        },
        "data": {"release": packed.decode()},
    }
