"""Modules that are loaded when a template first needs them: most processes only hand templates on.

``cryptography`` takes 10 MB of each process that has it.
"""

from __future__ import annotations

import importlib
from typing import Any

_NAMES: list[str] = []


class Later:
    """Stands for a module until one of its names is asked for."""

    def __init__(self, name: str) -> None:
        self._name = name
        _NAMES.append(name)

    def __getattr__(self, attribute: str) -> Any:
        return getattr(importlib.import_module(self._name), attribute)


def load_now() -> None:
    """Load all of them: for whoever renders, against the clock."""
    for name in _NAMES:
        importlib.import_module(name)
