"""gjson's paths over JSON texts of any form, within a budget of steps. Pure.

    find(b'{"a": {"b": [1.50]}}', "a.b.0")      # Found, whose text() is b"1.5"

``find`` raises ``PathFault`` for a path that costs too much. Facts: docs/reference/facts/payloads.md
"""

from __future__ import annotations

from keyless.shared_secrets.sync.gjson.budget import Budget, PathFault
from keyless.shared_secrets.sync.gjson.search import get
from keyless.shared_secrets.sync.gjson.strict import Broken, broken, members
from keyless.shared_secrets.sync.gjson.values import Found, string_found

__all__ = ["Broken", "Budget", "Found", "PathFault", "broken", "find", "members", "string_found"]


def find(text: bytes, path: str, budget: Budget | None = None) -> Found:
    """Return what ``path`` finds; ``exists`` is false when there is none."""
    return get(text, path.encode("utf-8", "surrogateescape"), budget or Budget())
