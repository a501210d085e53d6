"""The last refusals with everything that led to them, by the authorization id that AWS's newest refusals carry.

Kept in memory and bounded: the record of calls (``audit.py``) is what outlives a restart. The id is the request's own,
in the characters that AWS's ids have.
"""

from __future__ import annotations

from collections import OrderedDict

from keyless.policy import Decision

_KEPT = 1000
_MOST_DECISIONS = 100


def authorization_id(request_id: str) -> str:
    """The id of a refusal: digits and small letters alone."""
    return request_id.replace("-", "").lower()


class Denials:
    """Refused questions by the request that asked them."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, list[Decision]] = OrderedDict()

    def keep(self, request_id: str, decision: Decision) -> None:
        """Remember a refused question; the oldest request gives way."""
        decisions = self._kept.setdefault(authorization_id(request_id), [])
        if len(decisions) < _MOST_DECISIONS:
            decisions.append(decision)
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)

    def of(self, identifier: str) -> tuple[Decision, ...]:
        """The refused questions of a request; none for an id that is not, or no longer, known."""
        return tuple(self._kept.get(identifier, ()))
