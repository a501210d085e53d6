"""The order of a merged list: the patch's order for its own items, the server's for all others.

Items only the server has are put back before the first patch item that followed them; where no such item is known they
come last.
"""

from __future__ import annotations

from typing import Any


def position(items: list[Any], item: Any, key: str) -> int:
    """The index of the item with the same identity (the merge key, or the value itself), -1 when there is none."""
    wanted = _identity(item, key)
    for index, other in enumerate(items):
        if _identity(other, key) == wanted:
            return index
    return -1


def arrange(merged: list[Any], order: list[Any], server: list[Any], key: str) -> list[Any]:
    """``merged`` with the items of ``order`` in that order and the others where ``server`` has them."""
    named = [item for item in merged if position(order, item, key) >= 0]
    named.sort(key=lambda item: position(order, item, key))
    others = [item for item in merged if position(order, item, key) < 0]
    others.sort(key=lambda item: position(server, item, key))
    result: list[Any] = []
    for item in named:
        here = position(server, item, key)
        while others and 0 <= position(server, others[0], key) < here:
            result.append(others.pop(0))
        result.append(item)
    return result + others


def _identity(item: Any, key: str) -> Any:
    return item.get(key) if key and isinstance(item, dict) else item
