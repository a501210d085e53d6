"""The values of a report. Quantities are whole numbers or exact fractions; nothing is rounded before it is shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from typing import NamedTuple

from keyless.billing.ledger.completeness import Missing
from keyless.billing.ledger.corrections import FIRST, Correction
from keyless.billing.ledger.integrity import Fault
from keyless.billing.ledger.model import ChainHead, Dimensions
from keyless.billing.ledger.waivers import Waiver

HOUR_MS = 3_600_000
UNKNOWN = "unknown"
"""What the objects did not say when they were there."""
UNALLOCATED = "unallocated"
"""What no rule gives to a team."""
REVISION = "revision"
"""``r1`` is what was there when an hour was closed; ``r2`` and so on are corrections."""
PLANE_METER = "control-plane"
"""The meter of control planes' own hours, beside those of resources."""


@dataclass(frozen=True, slots=True)
class Plane:
    """A control plane in one segment, with its labels then."""

    id: str
    group: str
    name: str
    labels: tuple[tuple[str, str], ...] = ()
    account: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class What:
    """Who used what: a combination in a control plane; ``dimensions`` is None for the control plane itself.

    ``labels`` are pairs of key and value. One is made for each combination and compared by identity, for a month
    names each of them thousands of times.
    """

    plane: Plane
    dimensions: Dimensions | None
    labels: tuple[tuple[str, str | None], ...] = ()


class Use(NamedTuple):
    """What one combination used in one hour: its share of the hour's maximum, and the exact time."""

    hour: datetime
    what: What
    maximum: int
    milliseconds: int
    created: int = 0
    revision: int = FIRST
    """Beyond the first: what was stored after the hour was closed, less what was there; may be negative."""


@dataclass(slots=True)
class Quantity:
    """Sums over hours. ``maximum`` are resource-hours by the hourly maximum, ``milliseconds`` the exact time."""

    maximum: int = 0
    milliseconds: int = 0
    created: int = 0

    def add(self, other: Quantity | Use) -> None:
        self.maximum += other.maximum
        self.milliseconds += other.milliseconds
        self.created += other.created

    @property
    def exact(self) -> Fraction:
        """Resource-hours."""
        return Fraction(self.milliseconds, HOUR_MS)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a report: the values of what it is grouped by, how much, and what it costs by currency."""

    values: tuple[str, ...]
    quantity: Quantity
    costs: Mapping[str, Fraction] = field(default_factory=dict)
    unpriced: Quantity = field(default_factory=Quantity)


@dataclass(frozen=True, slots=True)
class Report:
    """A whole report. ``collected_at`` is its newest manifest's closing time: who makes it again makes the same."""

    accounts: tuple[str, ...]
    period: tuple[datetime, datetime]
    zone: str
    by: tuple[str, ...]
    lines: tuple[Line, ...]
    totals: tuple[Line, ...]
    """One for each account that used something, by its name: what the account's own report says."""
    collected_at: datetime | None
    heads: tuple[ChainHead, ...]
    """For each spool its last manifest in the period."""
    missing: tuple[Missing, ...] = ()
    faults: tuple[Fault, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    without_dimensions: int = 0
    """Segments that were stored without dimensions: their numbers are known, neither whose they are nor their time."""
    limited: int = 0
    """Rows of segments that are coarser than they should be, since there were more combinations than the limit."""
    closed_until: datetime | None = None
    """The watermark: what is stored later of the hours before it is a correction."""
    corrections: tuple[Correction, ...] = ()

    @property
    def total(self) -> Line:
        """Of all accounts."""
        return summed(self.totals)


def summed(lines: Iterable[Line]) -> Line:
    """What they add up to."""
    quantity, unpriced = Quantity(), Quantity()
    costs: dict[str, Fraction] = {}
    for line in lines:
        quantity.add(line.quantity)
        unpriced.add(line.unpriced)
        for currency, amount in line.costs.items():
            costs[currency] = costs.get(currency, Fraction(0)) + amount
    return Line((), quantity, costs, unpriced)


HOUR = timedelta(hours=1)
