"""Helm values and what a later upgrade did to them. Pure.

``helm upgrade`` without ``--reuse-values`` starts again from the chart's defaults, so following a second guide undoes
the first one. The release's history tells which revision did it and what it dropped.
"""

from __future__ import annotations

import itertools
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from keyless.identity.verify.model import Space, Unread


@dataclass(frozen=True, slots=True)
class Dropped:
    """``revision`` lost ``values`` that the revision before it had set."""

    revision: int
    before: int
    values: Mapping[str, str]


def flatten(values: Mapping[str, object], prefix: str = "") -> dict[str, str]:
    """Nested values as dotted paths; dots inside a key are escaped as ``helm --set`` wants them."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        path = f"{prefix}{str(key).replace('.', chr(92) + '.')}"
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{path}."))
        else:
            flat[path] = _text(value)
    return flat


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return json.dumps(value, separators=(",", ":"))
    return "" if value is None else str(value)


def dropped(space: Space, prefixes: tuple[str, ...]) -> Dropped | None:
    """The newest revision that lost values under ``prefixes`` which nothing set again since."""
    if isinstance(space.history, Unread):
        return None
    revisions = sorted(space.history, key=lambda revision: revision.number)
    for before, after in reversed(list(itertools.pairwise(revisions))):
        latest = revisions[-1].values
        lost = {
            path: value
            for path, value in before.values.items()
            if path.startswith(prefixes) and path not in after.values and path not in latest
        }
        if lost:
            return Dropped(after.number, before.number, lost)
    return None


def upgrade(space: Space, changes: Mapping[str, str]) -> str:
    """The helm command that sets ``changes`` and keeps the rest."""
    flags = "".join(_flag(path, value) for path, value in changes.items())
    return f"helm upgrade {space.release} {space.chart} --reuse-values{flags}"


def _flag(path: str, value: str) -> str:
    """A list travels as JSON: ``--set`` would make one text of it."""
    if value.startswith("["):
        return f" --set-json {shlex.quote(f'{path}={value}')}"
    return f' --set "{path}={value}"'
