"""``keyless verify --wait-seconds``: look again until it holds; pods need time to start, and AWS to be consistent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from keyless.api import Transient

_AGAIN_SECONDS = 2.0

Pause = Callable[[float], Awaitable[None]]
"""Waits so many seconds."""
_Seen = TypeVar("_Seen")


async def waited(
    look: Callable[[], Awaitable[_Seen]],
    holds: Callable[[_Seen], bool],
    seconds: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    pause: Pause = asyncio.sleep,
) -> _Seen:
    """What was seen when it held, or last within so many seconds; without a wait the first look is the last.

    Raises what a look raises: at once what no waiting mends, and what may pass (an API server that restarts) only
    when the wait is over.
    """
    until = clock() + seconds
    while True:
        try:
            found = await look()
        except Transient:
            # Written so that a number of seconds that is none (NaN) is no wait, not one without end.
            if not (left := until - clock()) > 0:
                raise
        else:
            if holds(found) or not (left := until - clock()) > 0:
                return found
        await pause(min(_AGAIN_SECONDS, left))
