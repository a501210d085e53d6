"""Typed settings of a component: flag over environment over file, unknown keys refused.

A component declares a frozen dataclass whose fields carry ``setting(...)`` metadata; ``load`` builds it from what it is
told. Nothing here reads the environment or a file by itself.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from keyless.api.errors import Permanent

T = TypeVar("T")


def setting(default: Any = dataclasses.MISSING, *, env: str, help: str) -> Any:  # noqa: A002 - argparse's word
    """Declare a field: its default (none: required), its environment variable, and one sentence of help."""
    return dataclasses.field(default=default, metadata={"env": env, "help": help})


def load(
    cls: type[T],
    *,
    flags: Mapping[str, str],
    environ: Mapping[str, str],
    file: Mapping[str, Any] | None = None,
) -> T:
    """Build ``cls``; raises ``Permanent`` that names every unknown, missing or unreadable key at once."""
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]  # a dataclass
    faults = [f"unknown key {key!r}" for source in (flags, file or {}) for key in source if key not in fields]
    values: dict[str, Any] = {}
    for name, field in fields.items():
        env = field.metadata.get("env", "")
        if name in flags:
            raw: Any = flags[name]
        elif env and env in environ:
            raw = environ[env]
        elif file and name in file:
            raw = file[name]
        elif field.default is not dataclasses.MISSING:
            continue
        else:
            faults.append(f"{name} is required: set --{name.replace('_', '-')} or {env}")
            continue
        try:
            values[name] = _read(hints[name], raw)
        except ValueError as error:
            faults.append(f"{name}: {error}")
    if faults:
        raise Permanent(f"{cls.__module__.split('.')[-2]} settings: " + "; ".join(faults))
    return cls(**values)


def _read(hint: Any, raw: Any) -> Any:
    if typing.get_origin(hint) is types.UnionType:
        hint = next(arg for arg in typing.get_args(hint) if arg is not type(None))
    if hint is bool:
        if isinstance(raw, bool):
            return raw
        if str(raw).lower() in {"true", "1", "yes"}:
            return True
        if str(raw).lower() in {"false", "0", "no"}:
            return False
        raise ValueError(f"expected true or false, found {raw!r}")
    if hint in {int, float}:
        try:
            return hint(raw)
        except (TypeError, ValueError):
            raise ValueError(f"expected a number, found {raw!r}") from None
    return str(raw)
