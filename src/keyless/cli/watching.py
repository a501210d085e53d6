"""``keyless verify --watch``: the chains again and again, and a line for each link that is another than it was."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from keyless.api import KeylessError

if TYPE_CHECKING:
    from keyless.identity.verify import Chain, Link

Stand = Mapping[tuple[str, str], "Link"]
"""The links by chain and name."""
Look = Callable[[], Awaitable[Sequence["Chain"]]]


def stand_of(chains: Sequence[Chain]) -> Stand:
    """How everything stands."""
    return {(chain.title, link.name): link for chain in chains for link in chain.links}


def changes(before: Stand, after: Stand) -> Iterator[str]:
    """A line for each link whose state or reason changed, came or went; what is merely worded otherwise is none."""
    for place in dict.fromkeys((*before, *after)):
        old, new = before.get(place), after.get(place)
        if _standing(old) == _standing(new):
            continue
        chain, name = place
        found = f": {new.found}" if new else ""
        yield f"{chain}: {name}: {_standing(old)} -> {_standing(new)}{found}"
        if new and new.fix:
            yield f"           fix       {new.fix}"


def _standing(link: Link | None) -> str:
    if link is None:
        return "not there"
    return f"{link.state} ({link.reason})" if link.reason else str(link.state)


async def watched(
    look: Look, first: Sequence[Chain], pause: Callable[[], Awaitable[None]]
) -> AsyncIterator[tuple[Sequence[Chain], list[str]]]:
    """The chains after each look that changed something, with what changed; a look that fails is told once.

    Never ends by itself: whoever watches a bad day must see its end, too.
    """
    before, failing, last = stand_of(first), "", first
    while True:
        await pause()
        try:
            last = await look()
        except KeylessError as error:
            if failing != str(error):
                failing = str(error)
                yield last, [f"not seen: {failing}"]
            continue
        told = ["seen again"] if failing else []
        failing, after = "", stand_of(last)
        told += changes(before, after)
        before = after
        if told:
            yield last, told
