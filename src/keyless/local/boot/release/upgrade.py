"""What ``helm upgrade spaces spaces-helm-chart --set …`` does to the carried release, without Helm. Pure.

``keyless demo`` uses it where no helm is on the PATH. The chart renders one object that varies, the ConfigMap with the
values, so an upgrade is: that ConfigMap, the next release record, and the old one marked as superseded.
"""

from __future__ import annotations

import base64
import copy
import gzip
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from keyless.local.boot.release.record import chart_values

_VALUES_LINE = re.compile(r'^  values\.json: ".*"$', re.MULTILINE)
Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Upgrade:
    """The text for the ConfigMap's ``values.json``, the new release Secret, and the old one as it must become."""

    values_json: str
    secret: dict[str, Any]
    superseded: dict[str, Any]


def upgraded(
    secret: Mapping[str, Any], sets: Mapping[Path, object], now: datetime, *, reuse_values: bool = False
) -> Upgrade:
    """Upgrade the release in ``secret`` with ``--set`` values; without ``reuse_values`` earlier ones are gone."""
    record = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(secret["data"]["release"]))))
    config = copy.deepcopy(record["config"] or {}) if reuse_values else {}
    for path, value in sets.items():
        _set(config, path, value)
    # Not the record's: after --reuse-values Helm keeps there what was set before.
    chart = {**record["chart"], "values": chart_values()}
    values = _coalesced(chart["values"], config)
    values_json = json.dumps(values, separators=(",", ":"), sort_keys=True)
    # A function as replacement: the text's backslashes are not a template's.
    manifest = _VALUES_LINE.sub(lambda _: f"  values.json: {json.dumps(values_json)}", record["manifest"])
    version = record["version"] + 1
    info = {
        **record["info"],
        "last_deployed": now.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "description": "Upgrade complete",
        "status": "deployed",
    }
    new = {**record, "chart": chart, "config": config, "manifest": manifest, "version": version, "info": info}
    old = {**record, "info": {**record["info"], "status": "superseded"}}
    return Upgrade(values_json, _packed(secret, new, now), _packed(secret, old, now))


def _packed(secret: Mapping[str, Any], record: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    text = json.dumps(record, separators=(",", ":")).encode()
    metadata, name = secret["metadata"], record["name"]
    labels = {
        **metadata["labels"],
        "status": record["info"]["status"],
        "version": str(record["version"]),
        "modifiedAt": str(int(now.timestamp())),
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": secret["type"],
        "metadata": {
            "name": f"sh.helm.release.v1.{name}.v{record['version']}",
            "namespace": metadata["namespace"],
            "labels": labels,
        },
        "data": {"release": base64.b64encode(base64.b64encode(gzip.compress(text, mtime=0))).decode()},
    }


def _set(config: dict[str, Any], path: Path, value: object) -> None:
    for key in path[:-1]:
        config = config.setdefault(key, {})
    config[path[-1]] = value


def _coalesced(defaults: Any, chosen: Any) -> Any:
    if not isinstance(defaults, dict) or not isinstance(chosen, dict):
        return chosen
    merged = dict(defaults)
    for key, value in chosen.items():
        merged[key] = _coalesced(defaults[key], value) if key in defaults else value
    return merged
