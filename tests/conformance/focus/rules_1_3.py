"""What FOCUS 1.3 asks of a Cost and Usage row, as far as a Space has such rows. Not run against the 1.3 validator.

Each rule names the section of https://focus.finops.org/focus-specification/v1-3/ that it is read from, in our words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

Row = Mapping[str, str]


@dataclass(frozen=True)
class Rule:
    """``broken`` is true of a row that a section forbids."""

    section: str
    says: str
    broken: Callable[[Row], bool]


MANDATORY = (
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd", "BillingPeriodStart",
    "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargePeriodEnd", "ChargePeriodStart", "ContractedCost",
    "EffectiveCost", "HostProviderName", "InvoiceIssuerName", "ListCost", "PricingQuantity", "PricingUnit",
    "ProviderName", "PublisherName", "ServiceCategory", "ServiceName", "ServiceProviderName",
)  # fmt: skip
"""Sections of the columns, "MUST be present"; ProviderName and PublisherName are deprecated and still asked for."""
NEVER_NULL = tuple(
    name for name in MANDATORY
    if name not in {"BillingAccountName", "ChargeClass", "ChargeDescription", "PricingQuantity", "PricingUnit"}
)  # fmt: skip
DECIMALS = ("BilledCost", "ConsumedQuantity", "ContractedCost", "EffectiveCost", "ListCost", "PricingQuantity")
MOMENTS = ("BillingPeriodEnd", "BillingPeriodStart", "ChargePeriodEnd", "ChargePeriodStart")
SUBCATEGORY = "Other (Management and Governance)"
_NUMBER = re.compile(r"[-+]?[0-9]+(\.[0-9]+)?(E[-+]?[0-9]+)?")
_COLUMN = re.compile(r"x_[A-Za-z0-9_]+|[A-Z][A-Za-z0-9]*")
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")


def _together(one: str, other: str) -> Callable[[Row], bool]:
    """Broken where one of the two is null and the other is not."""
    return lambda row: bool(row[one]) != bool(row[other])


def _none_of(name: str, *values: str) -> Callable[[Row], bool]:
    return lambda row: row[name] not in values


def _differ(one: str, other: str) -> Callable[[Row], bool]:
    return lambda row: row[one] != row[other]


def _not_before(one: str, other: str) -> Callable[[Row], bool]:
    """Moments in one form, which sort as texts."""
    return lambda row: row[one] >= row[other]


def _no_match(name: str, pattern: re.Pattern[str]) -> Callable[[Row], bool]:
    return lambda row: not pattern.fullmatch(row[name])


def _no_json(text: str) -> bool:
    try:
        found = json.loads(text)
    except ValueError:
        return True
    return not isinstance(found, dict) or any(isinstance(value, dict | list) for value in found.values())


def _no_decimal(text: str) -> bool:
    try:
        return bool(text) and (not _NUMBER.fullmatch(text) or not Decimal(text).is_finite())
    except InvalidOperation:
        return True


RULES = (
    *(Rule(name, "is not null", lambda row, name=name: not row[name]) for name in NEVER_NULL),
    *(Rule("NumericFormat", f"{name} is a number", lambda row, name=name: _no_decimal(row[name])) for name in DECIMALS),
    *(Rule("DateTimeFormat", f"{name} is UTC, as 2026-10-01T00:00:00Z", _no_match(name, _MOMENT)) for name in MOMENTS),
    Rule("BillingPeriodStart", "before its end", _not_before("BillingPeriodStart", "BillingPeriodEnd")),
    Rule("ChargePeriodStart", "before its end", _not_before("ChargePeriodStart", "ChargePeriodEnd")),
    Rule("CurrencyFormat", "ISO 4217's three letters", _no_match("BillingCurrency", re.compile("[A-Z]{3}"))),
    Rule("ChargeCategory", "one of the allowed values; here all is use", _none_of("ChargeCategory", "Usage")),
    Rule("ChargeClass", "null, or Correction", _none_of("ChargeClass", "", "Correction")),
    Rule("ChargeFrequency", "one of the allowed values", _none_of("ChargeFrequency", "Usage-Based")),
    Rule("ConsumedUnit", "where there is a quantity", _together("ConsumedQuantity", "ConsumedUnit")),
    Rule("PricingQuantity", "null where SkuPriceId is", _together("PricingQuantity", "SkuPriceId")),
    Rule(
        "PricingQuantity",
        "not null of use that is no correction",
        lambda row: not (row["PricingQuantity"] or row["ChargeClass"]),
    ),
    Rule("PricingUnit", "where there is a quantity", _together("PricingQuantity", "PricingUnit")),
    Rule("PricingCategory", "one of the allowed values", _none_of("PricingCategory", "Standard")),
    Rule("ListCost", "the billed cost where no unit price is", _differ("ListCost", "BilledCost")),
    Rule("ContractedCost", "the billed cost where no unit price is", _differ("ContractedCost", "BilledCost")),
    Rule(
        "HostProviderName", "the service's where no host is shown", _differ("HostProviderName", "ServiceProviderName")
    ),
    Rule("InvoiceId", "null of what is on no invoice", _none_of("InvoiceId", "")),
    Rule("ServiceCategory", "one of the allowed values", _none_of("ServiceCategory", "Management and Governance")),
    Rule("ServiceSubcategory", "one of its category's", _none_of("ServiceSubcategory", SUBCATEGORY)),
    Rule("ResourceType", "not null where ResourceId is not", _together("ResourceId", "ResourceType")),
    Rule("ResourceName", "no copy of ResourceId", lambda row: row["ResourceName"] == row["ResourceId"]),
    Rule("SubAccountName", "null where SubAccountId is", _together("SubAccountId", "SubAccountName")),
    Rule("SkuMeter", "null where SkuId is", _together("SkuId", "SkuMeter")),
    Rule("KeyValueFormat", "Tags are an object of plain values", lambda row: _no_json(row["Tags"])),
)


def misplaced(columns: list[str]) -> list[str]:
    """Columns that lack, come twice or have no name as section ColumnNamingAndOrdering asks for."""
    found = [name for name in MANDATORY if name not in columns]
    found += [name for name in columns if columns.count(name) > 1 or not _COLUMN.fullmatch(name)]
    # A column of unit prices there may not be without them: sections ListUnitPrice, ContractedUnitPrice.
    return found + [name for name in ("ListUnitPrice", "ContractedUnitPrice") if name in columns]


def broken(row: Row) -> list[str]:
    """The rules that a row breaks, each by its section."""
    return [f"{rule.section}: {rule.says}" for rule in RULES if rule.broken(row)]
