"""From what objects tell to the dimensions of a sample: who owns what is resolved here, and how many combinations fit.

Owners are looked up at the sample, not at the event: a composite may be seen after what it is made of.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from keyless.billing.collector.describing import Composite, Traits
from keyless.billing.collector.tallies import Tally
from keyless.billing.ledger.model import Dimensions, Gvk, Limited, Measure, Meter, Metered

_MILLISECOND = timedelta(milliseconds=1)
WHOLE_EVERY = timedelta(minutes=10)
"""How much of the dimensions a spoilt frame may cost."""
DEPTH = 16
"""Composites within composites that are followed to their root."""
Kind = tuple[Meter, Gvk]


@dataclass(frozen=True, slots=True)
class Counted:
    """One kind as it is counted now; ``unknown``: it cannot be."""

    meter: Meter
    gvk: Gvk
    package: str | None
    tally: Tally
    unknown: bool = False


@dataclass(slots=True)
class _Change:
    extra: int = 0
    created: int = 0


class Metering:
    """What was told of one control plane's dimensions, and what has changed since."""

    def __init__(self, limit: int) -> None:
        self.folded = 0
        """How many combinations did not fit, of those that there are."""
        self._limit = limit
        self._composites: dict[str, Composite] = {}
        self._stirred: set[str] = set()
        self._parts_stirred = False
        self._told: dict[tuple[Kind, Traits], tuple[Dimensions, int]] = {}
        self._parts: dict[Dimensions, int] = {}
        self._counts: Counter[Dimensions] = Counter()
        self._numbers: dict[Dimensions, int] = {}
        self._taken_at: datetime | None = None
        self._whole_at: datetime | None = None
        self._kinds: set[Kind] = set()

    def composite(self, before: Composite | None, after: Composite | None) -> None:
        """A composite came, went, or tells something else."""
        if before == after:
            return
        if before is not None:
            self._composites.pop(before.uid, None)
        if after is not None:
            self._composites[after.uid] = after
        self._parts_stirred = True
        if before is None or after is None or replace(before, parts=()) != replace(after, parts=()):
            self._stirred |= {each.uid for each in (before, after) if each is not None}

    def take(self, at: datetime, kinds: Iterable[Counted], *, whole: bool) -> Metered:
        """What has changed since the last call; everything, where a segment begins or some time has passed."""
        there = {(kind.meter, kind.gvk): kind for kind in kinds}
        whole = whole or self._whole_at is None or at - self._whole_at >= WHOLE_EVERY
        before = dict(self._counts) if whole else {}
        changes: dict[Dimensions, _Change] = {}
        if whole:
            # Combinations that were there in the segment before make room.
            self._numbers = {}
            self._unfold(there)
        passed = self._passed(at)
        peaks = list(self._read(there, at, passed, changes))
        self._leave(there, changes)
        self._resolve(there, changes)
        self._read_parts(there, changes)
        self._taken_at = at
        if whole:
            self._whole_at = at
            rows = self._whole_rows(before, changes, passed)
        else:
            rows = {d: Measure(self._counts[d], each.extra, each.created) for d, each in changes.items()}
        new: dict[int, Dimensions] = {}
        numbered = {self._number(dimensions, new): measure for dimensions, measure in rows.items()}
        told = tuple({self._number(d, new): n for d, n in sorted_counts(peak)} for peak in peaks)
        unknown = tuple(sorted(key for key, kind in there.items() if kind.unknown))
        if whole or any(dimensions.limited for dimensions in changes):
            self.folded = sum(1 for dimensions in self._counts if dimensions.limited)
        return Metered(at, whole, new, numbered, told, unknown)

    def _whole_rows(
        self, before: Mapping[Dimensions, int], changes: Mapping[Dimensions, _Change], passed: float
    ) -> dict[Dimensions, Measure]:
        """All of them; their exact time is told against the number now, for the one before is not in the segment."""
        rows = {}
        for dimensions in [*self._counts, *(each for each in changes if each not in self._counts)]:
            count, change = self._counts[dimensions], changes.get(dimensions)
            extra = round((before.get(dimensions, 0) - count) * passed) + (change.extra if change else 0)
            rows[dimensions] = Measure(count, extra, change.created if change else 0)
        return rows

    def _read(
        self, there: Mapping[Kind, Counted], at: datetime, passed: float, changes: dict[Dimensions, _Change]
    ) -> Iterator[Mapping[Dimensions, int]]:
        """Follow the tallies; yields kinds as they were at their height, where that is over."""
        for key, kind in there.items():
            for traits, news in kind.tally.take(at).items():
                told = self._told.get((key, traits))
                known = told[0] if told is not None else None
                target = self._dimensions(kind, traits) if known is None else known
                before = told[1] if told is not None else 0
                self._move(key, traits, target, news.count, changes)
                change = changes[target]
                # What was there when this process came, nobody here has timed.
                change.extra += round(news.milliseconds - before * passed) if self._taken_at is not None else 0
                change.created += news.created
            peak = kind.tally.peak
            if peak is not None and sum(peak.values()) > kind.tally.total:
                found: Counter[Dimensions] = Counter()
                for traits, count in peak.items():
                    told = self._told.get((key, traits))
                    found[told[0] if told is not None else self._dimensions(kind, traits)] += count
                yield found
            kind.tally.begin_peak()

    def _leave(self, there: Mapping[Kind, Counted], changes: dict[Dimensions, _Change]) -> None:
        """Kinds whose definition went; with other kinds, other parts of composites are counted by themselves."""
        kinds, self._kinds = self._kinds, set(there)
        self._parts_stirred |= kinds != self._kinds
        left = kinds - self._kinds
        for key, traits in [told for told in self._told if told[0] in left] if left else []:
            self._move(key, traits, self._told[key, traits][0], 0, changes)

    def _resolve(self, there: Mapping[Kind, Counted], changes: dict[Dimensions, _Change]) -> None:
        """What belongs to a composite that came, went or has changed belongs to another combination now."""
        if not self._stirred:
            return
        stirred, self._stirred = self._stirred, set()
        stirred |= {uid for uid in self._composites if not stirred.isdisjoint(self._line(uid))}
        for (key, traits), (old, count) in list(self._told.items()):
            if traits.owner in stirred and (new := self._dimensions(there[key], traits)) != old:
                self._move(key, traits, new, count, changes)

    def _unfold(self, there: Mapping[Kind, Counted]) -> None:
        if not self.folded:
            return
        changes: dict[Dimensions, _Change] = {}
        told, self._told = self._told, {}
        self._counts = Counter(self._parts)
        for (key, traits), (old, count) in told.items():
            target = self._dimensions(there[key], traits) if key in there else old
            self._move(key, traits, target, count, changes)

    def _read_parts(self, there: Mapping[Kind, Counted], changes: dict[Dimensions, _Change]) -> None:
        """What composites refer to and no watch counts."""
        if not self._parts_stirred:
            return
        self._parts_stirred = False
        watched = {(gvk.group, gvk.kind) for _, gvk in there}
        found: Counter[Dimensions] = Counter()
        for composite in self._composites.values():
            root, composition = self._root(composite.uid)
            for gvk, count in composite.parts:
                if (gvk.group, gvk.kind) not in watched:
                    wanted = Dimensions(Meter.COMPOSED, gvk, composite=root, composition=composition)
                    found[self._fitting(wanted)] += count
        for dimensions in found.keys() | self._parts.keys():
            if (by := found[dimensions] - self._parts.get(dimensions, 0)) != 0:
                changes.setdefault(dimensions, _Change())
                self._add(dimensions, by)
        self._parts = {dimensions: count for dimensions, count in found.items() if count}

    def _move(
        self, key: Kind, traits: Traits, target: Dimensions, count: int, changes: dict[Dimensions, _Change]
    ) -> None:
        old, before = self._told.pop((key, traits), (None, 0))
        if old is not None:
            changes.setdefault(old, _Change())
            self._add(old, -before)
        changes.setdefault(target, _Change())
        self._add(target, count)
        if count:
            self._told[key, traits] = (target, count)

    def _add(self, dimensions: Dimensions, by: int) -> None:
        count = self._counts[dimensions] + by
        if count > 0:
            self._counts[dimensions] = count
        else:
            self._counts.pop(dimensions, None)

    def _dimensions(self, kind: Counted, traits: Traits) -> Dimensions:
        root, composition = self._root(traits.owner)
        # The label is Crossplane's word: where it names one in the middle, that one's composition counts.
        if traits.composite is not None and root is not None and traits.composite != root:
            composition = next(
                (found.composition for found in self._owners(traits.owner) if found.name == traits.composite), None
            )
        return self._fitting(
            Dimensions(
                kind.meter,
                kind.gvk,
                kind.package,
                traits.namespace,
                traits.composite or root,
                traits.claim,
                traits.claim_namespace,
                traits.composition or composition,
                traits.labels,
                Limited.NAMES if traits.cut else Limited.NOTHING,
            )
        )

    def _fitting(self, wanted: Dimensions) -> Dimensions:
        """The combination, or a coarser one where there are too many: first the names go, then all but the kind."""
        if wanted in self._counts or wanted in self._numbers or self._room() > 0:
            return wanted
        names = replace(wanted, composite=None, claim=None, limited=Limited.NAMES)
        if names in self._counts or names in self._numbers or self._room() > -self._limit:
            return names
        return Dimensions(wanted.meter, wanted.gvk, wanted.provider, limited=Limited.ALL)

    def _room(self) -> int:
        return self._limit - max(len(self._counts), len(self._numbers))

    def _root(self, uid: str) -> tuple[str | None, str | None]:
        """The name of the outermost composite that something belongs to, and its composition."""
        line = list(self._owners(uid))
        return (line[-1].name, line[-1].composition) if line else (None, None)

    def _owners(self, uid: str) -> Iterator[Composite]:
        for _ in range(DEPTH):
            found = self._composites.get(uid)
            if found is None:
                return
            yield found
            uid = found.parent

    def _line(self, uid: str) -> set[str]:
        """The uids of all that decide to whom ``uid`` belongs, of one that is not known too."""
        line = {uid}
        for owner in self._owners(uid):
            line |= {owner.uid, owner.parent}
        return line

    def _number(self, dimensions: Dimensions, new: dict[int, Dimensions]) -> int:
        number = self._numbers.get(dimensions)
        if number is None:
            number = self._numbers[dimensions] = len(self._numbers)
            new[number] = dimensions
        return number

    def _passed(self, at: datetime) -> float:
        return 0.0 if self._taken_at is None else max((at - self._taken_at) / _MILLISECOND, 0.0)


def sorted_counts(counts: Mapping[Dimensions, int]) -> list[tuple[Dimensions, int]]:
    """In an order that does not change from run to run."""
    return sorted(counts.items(), key=lambda item: (item[1], _order(item[0])))


def _order(of: Dimensions) -> tuple[object, ...]:
    # No value is empty, so that empty may stand for None.
    names = (of.provider, of.namespace, of.composite, of.claim, of.claim_namespace, of.composition, *of.labels)
    return (of.meter, of.gvk, of.limited, *(name or "" for name in names))
