"""The arithmetic of a listing: keys, common prefixes, and where the next page begins. Pure.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class _Keyed(Protocol):
    @property
    def key(self) -> str: ...


K = TypeVar("K", bound=_Keyed)
#: sorts behind what else a key can go on with (but itself)
_LAST = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Page(Generic[K]):
    """One page; ``last`` is the last key or common prefix on it, ``truncated`` whether more follows."""

    objects: tuple[K, ...]
    prefixes: tuple[str, ...]
    truncated: bool
    last: str


def page(walk: Callable[[str], Iterator[K]], *, prefix: str, delimiter: str, after: str, limit: int) -> Page[K]:
    """Fold keys into common prefixes and cut after ``limit`` of both together.

    ``walk`` gives what has the prefix and comes after a key, in order: what is folded away is jumped over, not read.
    """
    objects: list[K] = []
    prefixes: list[str] = []
    last = ""
    found = walk(after)
    while (one := next(found, None)) is not None:
        folded = common_prefix(one.key, prefix, delimiter)
        if folded and (folded == last or (after and after.startswith(folded))):
            if one.key < (behind := folded + _LAST):
                found = walk(behind)
            continue
        if len(objects) + len(prefixes) >= limit:
            return Page(tuple(objects), tuple(prefixes), limit > 0, last)
        if folded:
            prefixes.append(folded)
            last = folded
        else:
            objects.append(one)
            last = one.key
    return Page(tuple(objects), tuple(prefixes), truncated=False, last=last)


def common_prefix(key: str, prefix: str, delimiter: str) -> str:
    """What stands for ``key`` in a folded listing; empty where it stands for itself."""
    if not delimiter:
        return ""
    end = key.find(delimiter, len(prefix))
    return key[: end + len(delimiter)] if end >= 0 else ""
