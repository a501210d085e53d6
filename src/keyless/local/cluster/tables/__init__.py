"""Lists and objects as ``meta.k8s.io/v1`` Tables, with the columns and cells that kubectl users know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from keyless.local.cluster.faults import Object

__all__ = ["table"]


def table(
    group: str,
    resource: str,
    version: str,
    items: Sequence[Object],
    *,
    now: datetime,
    include: str = "Metadata",
    crd_columns: Sequence[Mapping[str, Any]] | None = None,
    list_metadata: Mapping[str, Any] | None = None,
) -> Object:
    """The Table of ``items``; ``include`` is ``None``, ``Metadata`` or ``Object``; unknown values mean Metadata.

    ``crd_columns`` are ``additionalPrinterColumns`` of the version (an empty list: Name and Age); ``None`` means a
    built-in resource.
    """
    raise NotImplementedError
