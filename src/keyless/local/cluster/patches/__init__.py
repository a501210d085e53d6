"""JSON patch (RFC 6902), merge patch (RFC 7386) and Kubernetes' strategic merge patch.

Pure; no argument is changed. What cannot be applied raises :class:`PatchError`.
"""

from __future__ import annotations

from typing import Any

from keyless.local.cluster.faults import Object
from keyless.local.cluster.patches.errors import PatchError

__all__ = ["PatchError", "json_patch", "merge_patch", "strategic_patch"]


def json_patch(obj: Object, operations: Any) -> Object:
    """Apply a list of operations; a failed ``test`` or a missing path is 422."""
    raise NotImplementedError


def merge_patch(obj: Object, patch: Any) -> Object:
    """Merge objects, replace everything else, drop what the patch sets to null."""
    raise NotImplementedError


def strategic_patch(obj: Object, patch: Any, *, group: str, kind: str) -> Object:
    """Merge by the patch strategies of the built-in type."""
    raise NotImplementedError
