"""The packed size of session policies and tags: a percentage of a limit that AWS does not publish.

An estimate: AWS's binary form is secret. Known points it is fitted to (identity.md S11, S12, pain point 12): a web
identity session without policies and tags reports 24–34; EKS's six tags take about 74.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

from keyless.local.cloud.errors import AwsError

_BUDGET_BYTES = 365
_WEB_IDENTITY = 24


def packed_percent(policies: Sequence[str], arns: Sequence[str], tags: Mapping[str, str], *, subject: str = "") -> int:
    """The percentage used; ``subject`` is that of a web identity token."""
    parts = [*policies, *arns, *(f"{key}={value}" for key, value in tags.items())]
    used = len(zlib.compress("\0".join(parts).encode(), 9)) * 100 // _BUDGET_BYTES if parts else 0
    if policies:
        used = used * _BUDGET_BYTES // (5 * _BUDGET_BYTES)  # policies have the larger room: 2048 characters always fit
    return used + (min(34, _WEB_IDENTITY + len(subject) // 8) if subject else 0)


def check_packed(percent: int, *, what: str) -> None:
    """Raise PackedPolicyTooLarge above the limit."""
    if percent > 100:
        text = f"Packed size of {what} consumes {percent}% of allotted space."
        raise AwsError("PackedPolicyTooLarge", text, status=400)
