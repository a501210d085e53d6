"""What usage costs: a sheet of prices in decimal money, with tiers, currencies and dates. Pure.

    prices:
    - currency: EUR
      measure: maximum          # or exact
      price: "0.012"            # for a resource-hour
      match: {kind: "*.rds.aws.upbound.io"}
      from: 2026-10-01          # inclusive, in the report's time zone
      until: 2027-01-01         # exclusive
    - currency: EUR
      measure: exact
      tiers: [{upTo: 10000, price: "0.02"}, {price: "0.01"}]

Of every hour's usage the first price that matches counts. Tiers are graduated over the quantity of an account's month,
so that two months, or two accounts, cost what their reports say; a line has the share of the price's total that it has
of its quantity, so that lines add up to the total exactly.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

import yaml

from keyless.billing.ledger.model import Dimensions, Malformed
from keyless.billing.report.model import Plane, Quantity
from keyless.billing.report.teams import Labels, conditions_untrusted, value_of

MAXIMUM, EXACT = "maximum", "exact"
Rated = tuple[int, str, str]
"""The number of a price in its sheet, and the month and the account whose quantity it is graduated over."""
# ISO 4217: currencies that are not counted in hundredths.
_DIGITS = dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV"), 0)
_DIGITS |= dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3)
_MOST_DIGITS = 30
_KEYS = {"currency", "measure", "price", "tiers", "match", "from", "until", "name"}


@dataclass(frozen=True, slots=True)
class Tier:
    """Up to this much of the quantity in all; None: without end."""

    up_to: Fraction | None
    price: Fraction


@dataclass(frozen=True, slots=True)
class Price:
    """One entry of the sheet."""

    name: str
    currency: str
    measure: str
    tiers: tuple[Tier, ...]
    match: tuple[tuple[str, re.Pattern[str]], ...] = ()
    start: date | None = None
    end: date | None = None

    def applies(self, plane: Plane, dimensions: Dimensions | None, labels: Labels) -> bool:
        """Whether its conditions hold, whatever the date."""
        values = ((value_of(name, plane, dimensions, labels), pattern) for name, pattern in self.match)
        return all(value is not None and pattern.fullmatch(value) is not None for value, pattern in values)

    def holds_on(self, day: date) -> bool:
        """Whether it is in effect."""
        return (self.start is None or self.start <= day) and (self.end is None or day < self.end)

    def quantity(self, found: Quantity) -> Fraction:
        """What it is asked for, in resource-hours."""
        return Fraction(found.maximum) if self.measure == MAXIMUM else found.exact

    def cost(self, quantity: Fraction) -> Fraction:
        """Of a month's quantity: each tier's part at its own price."""
        total, below = Fraction(0), Fraction(0)
        for tier in self.tiers:
            top = quantity if tier.up_to is None else min(quantity, tier.up_to)
            total += max(top - below, Fraction(0)) * tier.price
            below = max(below, top)
        return total


def rates(prices: Sequence[Price], totals: Mapping[Rated, Quantity]) -> dict[Rated, Fraction]:
    """What a resource-hour costs on average in a month: a price's cost over all of its quantity."""
    found = {}
    for rated, total in totals.items():
        price = prices[rated[0]]
        quantity = price.quantity(total)
        found[rated] = price.cost(quantity) / quantity if quantity else Fraction(0)
    return found


def digits_of(currency: str) -> int:
    """How many decimals a currency's amounts have."""
    return _DIGITS.get(currency, 2)


def rounded(amounts: Sequence[Fraction], digits: int, total: Fraction | None = None) -> list[Decimal]:
    """Amounts to so many decimals, whose sum is ``total``: the largest remainders are rounded up.

    Without ``total`` it is the rounded sum of all.
    """
    unit = 10**digits
    scaled = [amount * unit for amount in amounts]
    floors = [int(each // 1) for each in scaled]
    whole = round(sum(scaled, Fraction(0))) if total is None else round(total * unit)
    order = sorted(range(len(scaled)), key=lambda n: (floors[n] - scaled[n], n))
    # Of a total that was rounded in parts more, or less, than a unit a line may be to share.
    each, rest = divmod(whole - sum(floors), len(order)) if order else (0, 0)
    for place, at in enumerate(order):
        floors[at] += each + (place < rest)
    # From a text, for arithmetic of decimals is cut to the context's 28 digits.
    return [Decimal(f"{each}E-{digits}") for each in floors]


def prices_untrusted(name: str, text: str) -> tuple[Price, ...]:
    """Read a sheet; raises ``Malformed`` that names the file and the entry."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Malformed(f"{name}: expected YAML: {str(error)[:200]}") from None
    found = document.get("prices") if isinstance(document, dict) else None
    if not isinstance(found, list) or not found or set(document) != {"prices"}:
        raise Malformed(f"{name}: expected a list of prices under the one key prices")
    return tuple(_price(f"{name}: prices[{at}]", at, each) for at, each in enumerate(found))


def _price(where: str, at: int, each: Any) -> Price:
    if not isinstance(each, dict) or not set(each) <= _KEYS:
        raise Malformed(f"{where}: expected some of {', '.join(sorted(_KEYS))}; found {each!r}")
    currency, measure = each.get("currency"), each.get("measure", MAXIMUM)
    if not isinstance(currency, str) or not re.fullmatch("[A-Z]{3}", currency):
        raise Malformed(f"{where}.currency: expected a code of ISO 4217, as EUR, found {currency!r}")
    if measure not in {MAXIMUM, EXACT}:
        raise Malformed(f"{where}.measure: expected {MAXIMUM} or {EXACT}, found {measure!r}")
    if ("price" in each) == ("tiers" in each):
        raise Malformed(f"{where}: expected one of price and tiers")
    if "price" in each:
        tiers: tuple[Tier, ...] = (Tier(None, _money(f"{where}.price", each["price"])),)
    else:
        tiers = tuple(_tiers(where, each["tiers"]))
    start, end = _date(f"{where}.from", each.get("from")), _date(f"{where}.until", each.get("until"))
    if start and end and not start < end:
        raise Malformed(f"{where}: expected until after from, found {start} and {end}")
    match = conditions_untrusted(f"{where}.match", each.get("match", {}))
    return Price(str(each.get("name") or f"price {at + 1}"), currency, measure, tiers, match, start, end)


def _tiers(where: str, found: Any) -> Iterable[Tier]:
    if not isinstance(found, list) or not found:
        raise Malformed(f"{where}.tiers: expected a list, found {found!r}")
    below = Fraction(0)
    for at, each in enumerate(found):
        place, last = f"{where}.tiers[{at}]", at == len(found) - 1
        if not isinstance(each, dict) or not set(each) <= {"upTo", "price"} or ("upTo" in each) == last:
            raise Malformed(f"{place}: expected price, and upTo in all but the last, found {each!r}")
        top = None if last else _money(f"{place}.upTo", each["upTo"])
        if top is not None and top <= below:
            raise Malformed(f"{place}.upTo: expected more than {below}, found {top}")
        below = top or below
        yield Tier(top, _money(f"{place}.price", each.get("price")))


def _money(where: str, found: Any) -> Fraction:
    # A float is not what was written: 0.1 is a little more than that.
    if isinstance(found, int | str) and not isinstance(found, bool):
        try:
            value = Decimal(found)
            # Beyond that nobody means it, and a number of a million digits would be counted with.
            if value.is_finite() and value >= 0 and value.adjusted() < _MOST_DIGITS and _places(value) <= _MOST_DIGITS:
                return Fraction(value)
        except InvalidOperation:
            pass
    told = f'expected a decimal number from 0 in quotes, as "0.012", of at most {_MOST_DIGITS} digits before and after'
    raise Malformed(f"{where}: {told} its point; found {str(found)[:80]!r}")


def _places(value: Decimal) -> int:
    """How many digits stand after the point."""
    return -int(value.as_tuple().exponent)


def _date(where: str, found: Any) -> date | None:
    if found is None or type(found) is date:
        return found
    raise Malformed(f"{where}: expected a date as 2026-10-01, found {found!r}")
