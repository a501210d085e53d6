"""Helm values and what a later upgrade did to them. Pure.

``helm upgrade`` without ``--reuse-values`` starts again from the chart's defaults, so following a second guide undoes
the first one. The release's history tells which revision did it and what it dropped.
"""

from __future__ import annotations

import itertools
import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from keyless.identity.verify.model import Space, Unread

_SPECIAL, _ESCAPED = re.compile(r"[\\.,=\[\]]"), r"\\\g<0>"
_PLAIN = re.compile(r"[\w./:@+*-]*", re.ASCII)
# What helm --set makes a number, a truth or nothing of, or YAML may.
_TYPED = re.compile(r"(?i:true|false|null)|[-+.]?[0-9].*", re.ASCII)
_SHELL_PLAIN = re.compile(r"(?:[\w./:@+*=-]|\\\.)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Dropped:
    """``revision`` lost ``values`` that the revision before it had set."""

    revision: int
    before: int
    values: Mapping[str, str]


class Value(str):
    """A value of the release: its text, and in ``json`` what it is, which the text alone does not tell."""

    __slots__ = ("json",)
    json: object

    def __new__(cls, value: object) -> Value:
        """The text of a value, as people read it."""
        made = super().__new__(cls, _text(value))
        made.json = value
        return made


def flatten(values: Mapping[str, object], prefix: str = "") -> dict[str, str]:
    """Nested values as dotted paths; what has a meaning to ``helm --set`` inside a key is escaped."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        path = f"{prefix}{_SPECIAL.sub(_ESCAPED, str(key))}"
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{path}."))
        else:
            flat[path] = Value(value)
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
    """The helm command that sets ``changes``, None takes a value away, and keeps the rest."""
    flags = "".join(_flag(path, value) for path, value in changes.items())
    # With --reuse-values helm lets what was set before stand where null takes it away.
    reuse = "--reset-then-reuse-values" if None in map(_exactly, changes.values()) else "--reuse-values"
    return f"helm upgrade {space.release} {space.chart} {reuse}{flags}"


def _exactly(value: str) -> object:
    return value.json if isinstance(value, Value) else _meant(value)


def _flag(path: str, value: str) -> str:
    """``--set`` where it takes the text for the value it is; else JSON, which leaves nothing to be guessed."""
    meant = _exactly(value)
    if isinstance(meant, str) and _PLAIN.fullmatch(meant) and not _TYPED.fullmatch(meant):
        return f" --set {_quoted(f'{path}={meant}')}"
    if meant is None or isinstance(meant, (bool, int)):  # as JSON a whole number would become a float
        return f" --set {_quoted(f'{path}={json.dumps(meant)}')}"
    exact = json.dumps(meant, separators=(",", ":"))
    return f" --set-json {shlex.quote(f'{path}={exact}')}"


def _meant(text: str) -> object:
    """What a text of ours means: a yes or a no, or just itself."""
    return {"true": True, "false": False}.get(text, text)


def _quoted(assignment: str) -> str:
    """In double quotes, as the guides write it, where a shell finds nothing in it to expand."""
    return f'"{assignment}"' if _SHELL_PLAIN.fullmatch(assignment) else shlex.quote(assignment)
