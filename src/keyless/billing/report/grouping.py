"""From uses to the lines of a report. Pure: the same uses give the same lines in the same order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, tzinfo
from fractions import Fraction
from typing import Protocol

from keyless.billing.ledger.corrections import FIRST
from keyless.billing.report.model import REVISION, UNKNOWN, Line, Quantity, Use, What
from keyless.billing.report.prices import Price, Rated, rates
from keyless.billing.report.teams import Rule, is_field, team_of, value_of

TIMES: Mapping[str, str] = {"day": "%Y-%m-%d", "month": "%Y-%m", "hour": "%Y-%m-%dT%H:%M%z"}
NO_PRICE = -1


@dataclass(slots=True)
class Cube:
    """Sums of uses by the values of ``by``, and by the price that applies."""

    by: tuple[str, ...]
    zone: tzinfo
    rules: Sequence[Rule]
    prices: Sequence[Price] = ()
    sums: dict[tuple[Rated, tuple[str, ...]], Quantity] = field(default_factory=dict)
    _values: dict[What, tuple[tuple[str, ...], tuple[int, ...]]] = field(default_factory=dict)
    _cells: dict[What | tuple[What, int], Quantity] = field(default_factory=dict)
    """Where uses of the hour at hand are summed."""
    _hour: datetime | None = None
    _day: date = date.min
    _times: tuple[str, ...] = ()

    def add(self, use: Use) -> None:
        """Count a use in."""
        if use.hour is not self._hour and use.hour != self._hour:
            self._turn(use.hour)
        key = use.what if use.revision == FIRST else (use.what, use.revision)
        cell = self._cells.get(key)
        if cell is None:
            cell = self._cells[key] = self._cell(use.what, use.revision)
        cell.maximum += use.maximum
        cell.milliseconds += use.milliseconds
        cell.created += use.created

    def _turn(self, hour: datetime) -> None:
        """Another hour: another day, maybe, and other prices."""
        before, local = (self._day, self._times), hour.astimezone(self.zone)
        self._hour, self._day = hour, local.date()
        self._times = tuple(local.strftime(TIMES[name]) if name in TIMES else "" for name in self.by)
        if before != (self._day, self._times):
            self._cells = {}

    def _cell(self, what: What, revision: int) -> Quantity:
        known = self._values.get(what)
        if known is None:
            known = self._values[what] = (self._fixed(what), self._applying(what))
        fixed, applying = known
        values = tuple(time or value or f"r{revision}" for time, value in zip(self._times, fixed, strict=True))
        number = next((n for n in applying if self.prices[n].holds_on(self._day)), None)
        account = what.plane.account
        rated = (NO_PRICE, "", account) if number is None else (number, f"{self._day:%Y-%m}", account)
        return self.sums.setdefault((rated, values), Quantity())

    def _fixed(self, what: What) -> tuple[str, ...]:
        place = (what.plane, what.dimensions, what.labels)
        return tuple(
            ""
            if name in TIMES or name == REVISION
            else team_of(self.rules, *place)
            if name == "team"
            else value_of(name, *place) or UNKNOWN
            for name in self.by
        )

    def _applying(self, what: What) -> tuple[int, ...]:
        place = (what.plane, what.dimensions, what.labels)
        return tuple(n for n, price in enumerate(self.prices) if price.applies(*place))

    def lines(self) -> tuple[tuple[Line, ...], tuple[Line, ...]]:
        """The lines in order, and the total of each account."""
        totals: dict[Rated, Quantity] = {}
        for (rated, _), quantity in self.sums.items():
            totals.setdefault(rated, Quantity()).add(quantity)
        average = rates(self.prices, {n: q for n, q in totals.items() if n[0] != NO_PRICE})
        grouped: dict[tuple[str, ...], dict[Rated, Quantity]] = {}
        for (rated, values), quantity in self.sums.items():
            grouped.setdefault(values, {})[rated] = quantity
        lines = tuple(self._line(values, grouped[values], average) for values in sorted(grouped, key=self._order))
        accounts = sorted({account for _, _, account in totals})
        of = [(each, {n: q for n, q in totals.items() if n[2] == each}) for each in accounts]
        return lines, tuple(self._line((account,), parts, average) for account, parts in of)

    def _order(self, values: tuple[str, ...]) -> tuple[str, ...]:
        """As texts sort, but hours as they came: where clocks go back, the later of two has the smaller offset."""
        return tuple(
            datetime.fromisoformat(value).astimezone(UTC).isoformat() if name == "hour" else value
            for name, value in zip(self.by, values, strict=True)
        )

    def _line(
        self, values: tuple[str, ...], parts: Mapping[Rated, Quantity], average: Mapping[Rated, Fraction]
    ) -> Line:
        quantity, unpriced = Quantity(), Quantity()
        costs: dict[str, Fraction] = {}
        for rated, part in sorted(parts.items(), key=lambda each: each[0]):
            quantity.add(part)
            if rated[0] == NO_PRICE:
                unpriced.add(part)
                continue
            price = self.prices[rated[0]]
            costs[price.currency] = costs.get(price.currency, Fraction(0)) + price.quantity(part) * average[rated]
        return Line(values, quantity, costs, unpriced)


def by_untrusted(names: Sequence[str]) -> tuple[str, ...]:
    """Check what a report is grouped by; raises ``ValueError`` that names what there is."""
    for name in names:
        if name not in TIMES and name not in {"team", REVISION} and not is_field(name):
            known = [
                *TIMES,
                "team",
                "account",
                "group",
                "control-plane",
                "meter",
                "kind",
                "version",
                "provider",
                "namespace",
            ]
            more = [REVISION, "composite", "claim", "claim-namespace", "composition", "label.KEY", "plane.KEY"]
            raise ValueError(f"expected some of {', '.join([*known, *more])}; found {name!r}")
    if len(set(names)) != len(names):
        raise ValueError("expected each field once")
    return tuple(names)


class Sums(Protocol):
    """Sums uses."""

    def add(self, use: Use) -> None:
        """Count a use in."""


def filled(cubes: Sequence[Sums], uses: Iterable[Use], wanted: Callable[[What], bool]) -> None:
    """Go through the uses once; what is ``wanted`` is asked once for each combination."""
    adding = [cube.add for cube in cubes]
    known: dict[What, bool] = {}
    for use in uses:
        if (is_wanted := known.get(use.what)) is None:
            is_wanted = known[use.what] = wanted(use.what)
        if is_wanted:
            for add in adding:
                add(use)
