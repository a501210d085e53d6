"""The packed size of session policies and tags: a percentage of a limit that AWS does not publish.

An estimate: AWS's binary form is secret. Known points it is fitted to (facts/identity.md#sts): a web
identity session without policies and tags reports 24–34; EKS's six tags take about 74; 2048 characters of policy fit.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence

from keyless.local.cloud.errors import AwsError

_TAG_BYTES = 242
_POLICY_BYTES = 2400
_WEB_IDENTITY = 24
_WEB_IDENTITY_MOST = 34


def packed_percent(policies: Sequence[str], arns: Sequence[str], tags: Mapping[str, str], *, subject: str = "") -> int:
    """The percentage used; ``subject`` is that of a web identity token."""
    share = _share((f"{key}={value}" for key, value in tags.items()), _TAG_BYTES)
    share += _share((*policies, *arns), _POLICY_BYTES)
    return share + (min(_WEB_IDENTITY_MOST, _WEB_IDENTITY + len(subject) // 8) if subject else 0)


def _share(parts: Iterable[str], room_bytes: int) -> int:
    text = "\0".join(parts)
    return len(zlib.compress(text.encode(), 9)) * 100 // room_bytes if text else 0


def check_packed(percent: int, *, what: str) -> None:
    """Raise PackedPolicyTooLarge above the limit."""
    if percent > 100:
        text = f"Packed size of {what} consumes {percent}% of allotted space."
        raise AwsError("PackedPolicyTooLarge", text, status=400)
