"""A report in the columns of FOCUS 1.0 or 1.3: one line for each day, account, control plane, kind, provider and team.

https://focus.finops.org/focus-specification/v1-0/ and v1-3/: columns that a version requires are there; those that do
not apply are empty in 1.0, whose validator asks for them, and left out of 1.3, which makes them depend on what a
provider offers (facts/focus.md). Our own begin with ``x_``. Times are UTC, ends exclusive, numbers have a point.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from keyless.billing.ledger.corrections import FIRST, GRACE, Closing
from keyless.billing.ledger.model import stamp
from keyless.billing.report.model import UNALLOCATED, UNKNOWN, Report
from keyless.billing.report.output import costs, currencies, digest, exact_hours, harmless

FIELDS = ("day", "account", "group", "control-plane", "control-plane-id", "meter", "kind", "version", "provider",
          "team", "revision")  # fmt: skip
COLUMNS = (
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd", "BillingPeriodStart",
    "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargeFrequency", "ChargePeriodEnd", "ChargePeriodStart",
    "CommitmentDiscountCategory", "CommitmentDiscountId", "CommitmentDiscountName", "CommitmentDiscountStatus",
    "CommitmentDiscountType", "ConsumedQuantity", "ConsumedUnit", "ContractedCost", "ContractedUnitPrice",
    "EffectiveCost", "InvoiceIssuerName", "ListCost", "ListUnitPrice", "PricingCategory", "PricingQuantity",
    "PricingUnit", "ProviderName", "PublisherName", "RegionId", "RegionName", "ResourceId", "ResourceName",
    "ResourceType", "ServiceCategory", "ServiceName", "SkuId", "SkuPriceId", "SubAccountId", "SubAccountName", "Tags",
    "x_ControlPlaneId", "x_Crossplane_Provider", "x_ExactResourceHours", "x_Complete", "x_ReportDigest",
)  # fmt: skip
_NOT_OFFERED = {
    *(f"CommitmentDiscount{each}" for each in ("Category", "Id", "Name", "Status", "Type")),
    *("ContractedUnitPrice", "ListUnitPrice", "RegionId", "RegionName"),
}
"""Commitment discounts, published unit prices, regions: 1.3 has such columns where a provider has the thing."""
_SINCE_1_0 = {"HostProviderName", "InvoiceId", "ServiceProviderName", "ServiceSubcategory", "SkuMeter"}
COLUMNS_1_3 = tuple(
    sorted({*COLUMNS, *_SINCE_1_0} - _NOT_OFFERED, key=lambda name: (name.startswith("x_"), name)),
)
NOBODY = "USD"
"""Without prices every amount is zero; a currency there must be."""
ISSUER = "Keyless"


@dataclass(frozen=True, slots=True)
class Version:
    """A version of FOCUS: its name and its columns in order."""

    name: str
    columns: tuple[str, ...]


V1_0, V1_3 = Version("1.0", COLUMNS), Version("1.3", COLUMNS_1_3)
VERSIONS = {"focus": V1_0, "focus-1.3": V1_3}
"""By the name of the output."""


def as_focus(report: Report, version: Version = V1_0) -> str:
    """CSV; a line for each currency of a price that applied."""
    out = io.StringIO()
    writer = csv.DictWriter(out, version.columns, extrasaction="ignore")
    writer.writeheader()
    for row in focus_rows(report):
        writer.writerow({name: _text(row.get(name)) for name in version.columns})
    return out.getvalue()


def _text(value: object) -> object:
    """As NumericFormat has it; a number without a point is read back as a whole one, which no column is."""
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text if "." in text else f"{text}.0"
    return harmless(value) if isinstance(value, str) else value


def focus_rows(report: Report) -> Iterator[dict[str, Any]]:
    """Values of every column of every version: texts, decimals, None."""
    money = currencies(report) or [NOBODY]
    hours = exact_hours(report).lines
    amounts = {currency: costs(report, currency).lines for currency in money}
    for at, line in enumerate(report.lines):
        mine = [currency for currency in money if currency in line.costs] or money[:1]
        for number, currency in enumerate(mine):
            # The quantity counts once, whatever number of currencies it is priced in.
            quantity = line.quantity.maximum if number == 0 else 0
            yield _row(report, line.values, currency, amounts[currency][at], quantity, hours[at])


def _row(
    report: Report, values: tuple[str, ...], currency: str, cost: Decimal, quantity: int, exact: Decimal
) -> dict[str, Any]:
    day, account, group, plane, plane_id, meter, kind, version, provider, team, revision = values
    zone = ZoneInfo(report.zone)
    start = datetime.fromisoformat(day).replace(tzinfo=zone)
    end = (start.replace(tzinfo=None) + timedelta(days=1)).replace(tzinfo=zone)
    first, last = month_of(start)
    name = "" if kind == UNKNOWN else kind
    return {
        "BilledCost": cost,
        "BillingAccountId": account,
        "BillingAccountName": account,
        "BillingCurrency": currency,
        "BillingPeriodStart": stamp(first),
        "BillingPeriodEnd": stamp(last),
        "ChargeCategory": "Usage",
        # Of a billing period that was closed, and may have been invoiced: section ChargeClass.
        "ChargeClass": "" if revision == f"r{FIRST}" else "Correction",
        "ChargeDescription": f"{meter} {name} in {plane}, resource-hours by the hourly maximum",
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodStart": stamp(start.astimezone(UTC)),
        "ChargePeriodEnd": stamp(end.astimezone(UTC)),
        "ConsumedQuantity": Decimal(quantity),
        "ConsumedUnit": "Resource-Hours",
        "ContractedCost": cost,
        "EffectiveCost": cost,
        # Where a Space runs its owner chose, and no record tells: section HostProviderName.
        "HostProviderName": ISSUER,
        "InvoiceIssuerName": ISSUER,
        "ListCost": cost,
        "PricingCategory": "Standard",
        "PricingQuantity": Decimal(quantity),
        "PricingUnit": "Resource-Hours",
        "ProviderName": ISSUER,
        "PublisherName": ISSUER,
        "ResourceId": f"{plane_id}/{kind}/{version}",
        "ResourceName": plane,
        "ResourceType": f"{kind}/{version}",
        "ServiceCategory": "Management and Governance",
        "ServiceName": "Space",
        "ServiceProviderName": ISSUER,
        "ServiceSubcategory": "Other (Management and Governance)",
        "SkuId": meter,
        "SkuMeter": f"{meter} resource-hours",
        "SkuPriceId": meter,
        "SubAccountId": group,
        "SubAccountName": group,
        "Tags": json.dumps({} if team == UNALLOCATED else {"team": team}, ensure_ascii=False),
        "x_ControlPlaneId": plane_id,
        "x_Crossplane_Provider": "" if provider == UNKNOWN else provider,
        "x_ExactResourceHours": exact,
        "x_Complete": str(not (report.missing or report.faults)).lower(),
        "x_ReportDigest": digest(report),
    }


def month_closing(zone: tzinfo) -> Closing:
    """When the billing period of an hour is closed: what is stored later corrects what may have been invoiced."""
    return lambda hour: month_of(hour.astimezone(zone))[1] + GRACE


def month_of(day: datetime) -> tuple[datetime, datetime]:
    """The billing period that a day lies in: its month."""
    first = datetime(day.year, day.month, 1, tzinfo=day.tzinfo)
    return first.astimezone(UTC), (first.replace(tzinfo=None) + timedelta(days=32)).replace(
        day=1, tzinfo=day.tzinfo
    ).astimezone(UTC)
