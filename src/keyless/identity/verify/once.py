"""One look at AWS asks each question once, however many chains need the answer.

A hundred control planes have one role, one bucket and one provider between them: asked for each, IAM would throttle the
caller, and two chains of one look could be judged by two states of one role. A failure is an answer, too.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from keyless.aws import Session

_Asked = dict[tuple[str, str, str, str], "asyncio.Task[dict[str, Any]]"]


class Once(Session):
    """Reads through a session; for the time of one look, and for operations that write nothing."""

    def __init__(self, behind: Session, asked: _Asked | None = None) -> None:
        self.region, self._behind = behind.region, behind
        self._asked: _Asked = {} if asked is None else asked

    def in_region(self, region: str) -> Session:
        """The same look in another region."""
        return self if region == self.region else Once(self._behind.in_region(region), self._asked)

    async def call(self, service: str, operation: str, /, **params: Any) -> dict[str, Any]:
        """What was answered, or will be, to the same question; raises what ``Session.call`` does."""
        place = (self.region, service, operation, json.dumps(params, sort_keys=True))
        if (task := self._asked.get(place)) is None:
            task = self._asked[place] = asyncio.ensure_future(self._behind.call(service, operation, **params))
        # Shielded: a chain that is given up must not take the answer from the others.
        return await asyncio.shield(task)
