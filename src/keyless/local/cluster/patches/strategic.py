"""Kubernetes' strategic merge patch."""

from __future__ import annotations

from typing import Any

from keyless.local.cluster.patches.merge_patch import merge_patch


def strategic_patch(obj: dict[str, Any], patch: Any, *, group: str, kind: str) -> dict[str, Any]:
    """Merge by the patch strategies of the built-in type."""
    return merge_patch(obj, patch)
