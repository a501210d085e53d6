"""Lists cut into pages, as EKS does: ``maxResults`` up to 100, and an opaque token for what follows."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

from keyless.api.numbers import whole_number
from keyless.local.cloud.errors import AwsError

_MOST = 100


def page(name: str, items: Sequence[Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """One page of ``items`` under ``name``; raises InvalidParameter for a token of somebody else's."""
    start = _start(params.get("nextToken"))
    end = start + int(params.get("maxResults") or _MOST)
    fields: dict[str, Any] = {name: list(items[start:end])}
    if end < len(items):
        fields["nextToken"] = base64.urlsafe_b64encode(f"from:{end}".encode()).decode()
    return fields


def _start(token: str | None) -> int:
    if not token:
        return 0
    try:
        return whole_number(base64.urlsafe_b64decode(token).decode().removeprefix("from:"))
    except (ValueError, binascii.Error):
        raise AwsError("InvalidParameterException", "The nextToken parameter is invalid", status=400) from None
