"""JSON patch (RFC 6902), merge patch (RFC 7386) and Kubernetes' strategic merge patch.

Pure; no argument is changed. What cannot be applied raises :class:`PatchError`.
"""

from __future__ import annotations

from keyless.local.cluster.patches.errors import PatchError
from keyless.local.cluster.patches.json_patch import json_patch
from keyless.local.cluster.patches.merge_patch import merge_patch
from keyless.local.cluster.patches.strategic import strategic_patch

__all__ = ["PatchError", "json_patch", "merge_patch", "strategic_patch"]
