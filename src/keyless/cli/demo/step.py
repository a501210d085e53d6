"""A step of the story, and the documents that its command names."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from keyless.cli.demo.stage import Stage


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that a reader does. ``stand_in`` makes the same requests where ``tool`` is not there."""

    title: str
    tool: str
    command: str
    stand_in: Callable[[], Awaitable[str]]
    look: Callable[[Stage], Awaitable[str]] | None = None
    #: what the command reads: name and text
    files: Mapping[str, str] = field(default_factory=dict)
    #: the exit code that the story expects
    code: int = 0


def texts(contents: dict[str, Any]) -> dict[str, str]:
    """The documents that a command names, as their files hold them."""
    return {
        name: yaml.safe_dump_all(content, sort_keys=False) if name.endswith(".yaml") else json.dumps(content, indent=2)
        for name, content in contents.items()
    }
