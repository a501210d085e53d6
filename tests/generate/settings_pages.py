"""``docs/reference/settings.md``: the settings of every component, read from their dataclasses."""

from __future__ import annotations

import dataclasses
import importlib
import typing
from typing import Any

from keyless.cli.run import COMPONENTS

_HEAD = """# Settings of the components

Written by `make reference` from the settings themselves.

A component starts as `keyless run NAME`. Each setting is a flag; its environment variable is read where the flag is
missing, a file (`--config FILE`, YAML with the same names) where both are, then the default. Unknown names are refused.
`--print-config` prints what would be used and starts nothing. In a Space the chart and the operator set these: see the
values of `spaces-helm-chart/values.yaml`. `KEYLESS_LOG_LEVEL` (default `info`) holds for all of them.
"""


def settings() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *(_component(name, module) for name, module in COMPONENTS.items())])


def _component(name: str, module: str) -> str:
    cls = importlib.import_module(f"{module}.settings").Settings
    hints = typing.get_type_hints(cls)
    lines = [f"## {name}", "", "| flag | environment | default | |", "|---|---|---|---|"]
    for field in dataclasses.fields(cls):
        flag = "--" + field.name.replace("_", "-")
        environment = f"`{field.metadata['env']}`" if field.metadata.get("env") else ""
        text = str(field.metadata.get("help", "")).replace("|", "\\|")
        lines.append(f"| `{flag}` {_kind(hints[field.name])} | {environment} | {_default(field)} | {text} |")
    return "\n".join([*lines, ""])


def _kind(hint: Any) -> str:
    return {"str": "text", "int": "number", "float": "number", "bool": "true or false"}.get(
        getattr(hint, "__name__", ""), "text"
    )


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default is dataclasses.MISSING:
        return "required"
    if field.default == "":
        return "empty"
    shown = str(field.default).lower() if isinstance(field.default, bool) else str(field.default)
    return f"`{shown}`"
