"""The arithmetic of a listing: keys, common prefixes, and where the next page begins. Pure.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from keyless.local.cloud.s3.storage import Stored


@dataclass(frozen=True, slots=True)
class Page:
    """One page; ``last`` is the last key or common prefix on it, ``truncated`` whether more follows."""

    objects: tuple[Stored, ...]
    prefixes: tuple[str, ...]
    truncated: bool
    last: str


def page(found: Iterable[Stored], *, prefix: str, delimiter: str, after: str, limit: int) -> Page:
    """Fold keys into common prefixes and cut after ``limit`` of both together."""
    objects: list[Stored] = []
    prefixes: list[str] = []
    last = ""
    for stored in found:
        folded = common_prefix(stored.key, prefix, delimiter)
        if folded and (folded == last or (after and after.startswith(folded))):
            continue
        if len(objects) + len(prefixes) >= limit:
            return Page(tuple(objects), tuple(prefixes), limit > 0, last)
        if folded:
            prefixes.append(folded)
            last = folded
        else:
            objects.append(stored)
            last = stored.key
    return Page(tuple(objects), tuple(prefixes), truncated=False, last=last)


def common_prefix(key: str, prefix: str, delimiter: str) -> str:
    """What stands for ``key`` in a folded listing; empty where it stands for itself."""
    if not delimiter:
        return ""
    end = key.find(delimiter, len(prefix))
    return key[: end + len(delimiter)] if end >= 0 else ""
