"""Whether manifests follow one another: each names the hash of the one before and counts one number up.

Manifests are told of day by day, in any order within a few days. What is remembered grows with the number of spools and
with what is wrong, not with time: a hash is looked for among those of the last days, and afterwards among what follows.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from keyless.billing.ledger.integrity import Fault
from keyless.billing.ledger.manifests import Covered
from keyless.billing.ledger.model import Chain, ChainHead

CHAIN_BROKEN = "ChainBroken"
NUMBER_MISSING = "NumberMissing"
NUMBER_TWICE = "NumberTwice"
HEAD_MISSING = "HeadMissing"

# A collector looks for the head before its own a day back; its segment may wait for its hour's end after that.
REMEMBERED = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class _Claim:
    """Somebody names a manifest that must be there; ``since`` is when the one who names it begins."""

    key: str
    control_plane: str
    sha256: str
    since: datetime
    follower: Covered | None = None
    head: ChainHead | None = None


@dataclass(frozen=True, slots=True)
class _Seen:
    control_plane: str
    spool: str
    sequence: int
    end: datetime


@dataclass(slots=True)
class _Spool:
    """One spool's numbers: stretches of those that are there, those that were skipped, and its ends."""

    there: list[_Stretch] = field(default_factory=list)
    skipped: set[int] = field(default_factory=set)
    begun: dict[int, tuple[Chain, str]] = field(default_factory=dict)
    """Manifests that follow none: number, why and key."""
    last: _Seen | None = None
    last_sha256: str = ""
    followed: set[str] = field(default_factory=set)
    """Hashes that manifests of other spools follow."""

    def add(self, number: int, key: str) -> bool:
        """Whether the number was free."""
        at = bisect_left(self.there, number + 1, key=lambda stretch: stretch.low)
        if at > 0 and number <= self.there[at - 1].high:
            return False
        self.there.insert(at, _Stretch(number, number, key))
        for left in (at, at - 1):
            if 0 <= left < len(self.there) - 1 and self.there[left].high + 1 == self.there[left + 1].low:
                self.there[left].high = self.there.pop(left + 1).high
        return True

    def holes(self) -> Iterator[_Stretch]:
        """Numbers that no manifest bears and none calls skipped; the key is that of the manifest after them."""
        first = self.there[0].low
        before = -1 if self.begun.get(first, ("",))[0] is Chain.FIRST else first - 1
        for stretch in self.there:
            for low, high in _without(before + 1, stretch.low, self.skipped):
                yield _Stretch(low, high, stretch.key)
            before = stretch.high


@dataclass(slots=True)
class _Stretch:
    """Numbers without a hole, and the key of the manifest that bears the lowest."""

    low: int
    high: int
    key: str


class Chains:
    """The chains of an account's control planes."""

    def __init__(self, *, since: datetime | None = None, until: datetime | None = None) -> None:
        """``since``, ``until``: nothing outside is read, so that what lies there cannot be asked for."""
        self._since, self._until = since, until
        self._spools: dict[tuple[str, str], _Spool] = {}
        self._seen: dict[str, _Seen] = {}
        self._days: deque[tuple[datetime, list[str]]] = deque()
        self._open: dict[str, list[_Claim]] = {}
        self._beginnings: dict[str, str] = {}
        self._earliest: dict[str, datetime] = {}
        self._names: dict[str, str] = {}

    def begin(self, day: datetime) -> None:
        """What follows is of this day; days come in order."""
        while self._days and self._days[0][0] + REMEMBERED < day:
            for sha256 in self._days.popleft()[1]:
                self._seen.pop(sha256, None)
        self._days.append((day, []))

    def add(self, key: str, covered: Covered) -> list[Fault]:
        """Count a manifest in; what is wrong with it as far as is known."""
        plane = covered.control_plane
        self._names[plane.id] = f"{plane.group}/{plane.name} ({plane.id})"
        spool = self._spools.setdefault((plane.id, covered.spool), _Spool())
        seen = _Seen(plane.id, covered.spool, covered.sequence, covered.end)
        faults = [*self._number(key, covered, spool), *self._beginning(key, covered, spool)]
        if spool.last is None or covered.sequence > spool.last.sequence:
            spool.last, spool.last_sha256 = seen, covered.sha256
        self._earliest[plane.id] = min(covered.start, self._earliest.get(plane.id, covered.start))
        self._seen[covered.sha256] = seen
        self._days[-1][1].append(covered.sha256)
        for claim in self._open.pop(covered.sha256, ()):
            faults += self._settled(claim, seen)
        if covered.previous:
            faults += self._claim(_Claim(key, plane.id, covered.previous, covered.start, covered))
        for head in covered.heads:
            faults += self.expect(head, key, since=covered.start)
        return faults

    def expect(self, head: ChainHead, who: str, *, since: datetime | None = None) -> list[Fault]:
        """Somebody (a key, a file, a cluster) has seen this head: its manifest must be there."""
        if (self._since and head.stored_to <= self._since) or (self._until and self._until < head.stored_to):
            return []
        return self._claim(_Claim(who, head.control_plane, head.sha256, since or head.stored_to, head=head))

    def unmet(self) -> tuple[ChainHead, ...]:
        """Heads that somebody has seen and that were not among what was read."""
        return tuple({claim.head for claims in self._open.values() for claim in claims if claim.head is not None})

    def there(self, head: ChainHead) -> None:
        """The head was found after all."""
        self._open[head.sha256] = [claim for claim in self._open[head.sha256] if claim.head != head]

    def end(self) -> list[Fault]:
        """What is missing, now that every manifest was told of."""
        faults: list[Fault] = []
        for claims in self._open.values():
            faults += [self._unmet(claim) for claim in claims if not self._before_what_was_read(claim)]
        for (plane, _), spool in self._spools.items():
            for hole in spool.holes():
                said = f"number {hole.low}" if hole.low == hole.high else f"numbers {hole.low} to {hole.high}"
                told = f"{self._names[plane]}: expected the manifest of {said} before it, found none"
                faults.append(Fault(hole.key, NUMBER_MISSING, told))
            faults += [
                Fault(key, CHAIN_BROKEN, f"{self._names[plane]}: expected it to follow number {number - 1}, found none")
                for number, (_, key) in spool.begun.items()
                if number != spool.there[0].low
            ]
        return faults

    def heads(self) -> tuple[ChainHead, ...]:
        """The manifests that none follows: the end of every chain."""
        found = [
            ChainHead(spool.last.control_plane, name, spool.last.sequence, spool.last_sha256, spool.last.end)
            for (_, name), spool in self._spools.items()
            if spool.last is not None and spool.last_sha256 not in spool.followed
        ]
        return tuple(sorted(found))

    def unknown_beginnings(self) -> tuple[str, ...]:
        """The keys of manifests before which others may have been: their collector could not know."""
        begun = (each for spool in self._spools.values() for each in spool.begun.values())
        return tuple(sorted(key for chain, key in begun if chain is Chain.UNKNOWN))

    def _number(self, key: str, covered: Covered, spool: _Spool) -> Iterable[Fault]:
        spool.skipped.update(each.sequence for each in covered.skipped)
        if not spool.add(covered.sequence, key):
            yield Fault(key, NUMBER_TWICE, f"expected the only number {covered.sequence} of its spool, found another")

    def _beginning(self, key: str, covered: Covered, spool: _Spool) -> Iterable[Fault]:
        chain = covered.chain or (Chain.CONTINUED if covered.previous else Chain.FIRST)
        if (chain is Chain.CONTINUED) != bool(covered.previous):
            yield Fault(key, CHAIN_BROKEN, f"chain: {chain}, but a hash before it: {covered.previous or 'none'}")
        if chain is Chain.CONTINUED:
            return
        spool.begun[covered.sequence] = chain, key
        if chain is Chain.FIRST:
            other = self._beginnings.setdefault(covered.control_plane.id, key)
            if other != key:
                yield Fault(key, CHAIN_BROKEN, f"expected one beginning of a control plane, found another in {other}")

    def _claim(self, claim: _Claim) -> list[Fault]:
        if (seen := self._seen.get(claim.sha256)) is not None:
            return self._settled(claim, seen)
        self._open.setdefault(claim.sha256, []).append(claim)
        return []

    def _settled(self, claim: _Claim, seen: _Seen) -> list[Fault]:
        if seen.control_plane != claim.control_plane:
            return [Fault(claim.key, CHAIN_BROKEN, f"expected to follow its own, found one of {seen.control_plane}")]
        follower = claim.follower
        if follower is None:
            return []
        skipped = len(follower.skipped)
        if not 0 < follower.sequence - seen.sequence <= skipped + 1:
            said = f"expected a number after {seen.sequence}, which it follows, found {follower.sequence}"
            return [Fault(claim.key, CHAIN_BROKEN, said)]
        if follower.spool != seen.spool:
            self._spools[seen.control_plane, seen.spool].followed.add(claim.sha256)
        return []

    def _unmet(self, claim: _Claim) -> Fault:
        if claim.head is not None:
            what = f"number {claim.head.sequence} of {self._names.get(claim.control_plane, claim.control_plane)}"
            said = f"expected {what} with SHA-256 {claim.sha256}, which was there once, found none"
            return Fault(claim.key, HEAD_MISSING, said)
        return Fault(
            claim.key,
            CHAIN_BROKEN,
            f"expected the manifest with SHA-256 {claim.sha256} that it follows, found none",
        )

    def _before_what_was_read(self, claim: _Claim) -> bool:
        """Whether it follows what lies before the first day that was read: nothing of its control plane is earlier."""
        return (
            self._since is not None
            and claim.follower is not None
            and claim.since <= self._earliest.get(claim.control_plane, claim.since)
        )


def _without(low: int, end: int, skipped: set[int]) -> Iterator[tuple[int, int]]:
    """The stretches of ``[low, end)`` without the numbers in ``skipped``."""
    for number in sorted(n for n in skipped if low <= n < end):
        if low < number:
            yield low, number - 1
        low = number + 1
    if low < end:
        yield low, end - 1
