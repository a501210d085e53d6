"""One kind as the counter follows it: by a watch, or asked in turn."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from keyless.api import KeylessError
from keyless.billing.collector.describing import Composite, Traits, composite_of, traits_of
from keyless.billing.collector.tallies import Tally
from keyless.billing.ledger.model import Gvk, Meter
from keyless.kube import Informer, KubeObject, Resource

# Of these the specification is read too: it names the composition, and what they are made of.
IN_FULL = frozenset({Meter.COMPOSITE, Meter.CLAIM})


@dataclass(slots=True)
class Followed:
    """A kind, the way it is followed, and what is known of it."""

    resource: Resource
    meter: Meter
    seen_at: datetime
    tally: Tally
    informer: Informer | None = None
    task: asyncio.Task[None] | None = None
    polled: int | None = None
    error: KeylessError | None = None
    known_at: datetime | None = None
    count: int = 0
    lists: int = 0
    told_lists: int = 0
    unknown: bool = False
    peaks: dict[datetime, int] = field(default_factory=dict)
    gvk: Gvk = field(init=False)

    def __post_init__(self) -> None:
        self.gvk = Gvk(self.resource.group, self.resource.version, self.resource.kind)

    @property
    def managed(self) -> bool:
        """Whether the peer counts it."""
        return self.meter is Meter.MANAGED

    @property
    def metadata_only(self) -> bool:
        return self.meter not in IN_FULL

    @property
    def failing(self) -> KeylessError | None:
        return self.informer.last_error if self.informer is not None else self.error

    @property
    def tried(self) -> bool:
        return self.failing is not None or self.known

    @property
    def known(self) -> bool:
        """Whether it was ever counted."""
        return self.informer.has_synced if self.informer is not None else self.polled is not None


class Keeper:
    """Makes what is kept of one kind's instances: objects that tell the same are one object in memory."""

    def __init__(self, meter: Meter, labels: Sequence[str]) -> None:
        self._meter = meter
        self._labels = labels
        self._kept: dict[Traits, KubeObject] = {}
        self._made = 0

    def __call__(self, obj: KubeObject) -> KubeObject:
        """Its version is what it tells: a new list shows what tells something else now, and nothing more."""
        traits = traits_of(obj, self._meter, self._labels)
        if self._meter is Meter.COMPOSITE:
            composite = composite_of(obj)
            return {"metadata": {"resourceVersion": repr((traits, composite))}, TOLD: traits, COMPOSITE: composite}
        found = self._kept.get(traits)
        if found is None:
            self._made += 1
            found = self._kept[traits] = {"metadata": {"resourceVersion": str(self._made)}, TOLD: traits}
        return found

    def forget(self, living: dict[Traits, int]) -> None:
        """Drop what no instance tells any more, where that is most of it."""
        if len(self._kept) > 2 * len(living) + 64:
            self._kept = {traits: kept for traits, kept in self._kept.items() if traits in living}


TOLD = "told"
COMPOSITE = "composite"


def told(kept: KubeObject | None) -> Traits | None:
    """What a kept object tells."""
    traits: Traits | None = None if kept is None else kept.get(TOLD)
    return traits


def composite_in(kept: KubeObject | None) -> Composite | None:
    """The composite in a kept object, if it is one."""
    found: Composite | None = None if kept is None else kept.get(COMPOSITE)
    return found


def tallied(kept: Sequence[KubeObject]) -> Counter[Traits]:
    """How many tell what."""
    return Counter(each[TOLD] for each in kept)
