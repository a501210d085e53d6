"""The built-in kinds of the local Kubernetes API, by group and version, as a Markdown table."""

from __future__ import annotations

from itertools import groupby

from keyless.local.cluster.builtin.kinds import KINDS


def served_kinds() -> str:
    """One row for each group and version: its resources with their subresources."""
    lines = ["| group and version | resources (subresources) |", "|---|---|"]
    for version, kinds in groupby(KINDS, key=lambda kind: kind.api_version):
        shown = []
        for kind in kinds:
            parts = ", ".join(part.name for part in kind.subresources)
            shown.append(f"`{kind.plural}`" + (f" ({parts})" if parts else ""))
        lines.append(f"| `{version}` | {', '.join(shown)} |")
    return "\n".join(lines) + "\n"
