"""Which accounts a bucket holds usage of."""

from __future__ import annotations

from datetime import timedelta

from keyless.api import Reason, Refusal
from keyless.billing.export.plan import Period, describe_held
from keyless.billing.export.service import Bucket, held
from keyless.billing.ledger.model import stamp

_STORED = ("account=", "manifest/account=")
_INSTANT = timedelta(microseconds=1)


def accounts_of(bucket: Bucket, period: Period) -> tuple[str, ...] | Refusal:
    """Those that stored something from the period's first day to its last, or before and after it, by name.

    One that stored only before and after it is one of them: that nothing was used then, nobody says. Raises what the
    bucket raises.
    """
    found: dict[str, list[str]] = {}
    for stored in _STORED:
        for group in bucket.groups(stored):
            days = [day.removeprefix(f"{group}date=").rstrip("/") for day in bucket.groups(f"{group}date=")]
            found.setdefault(group.removeprefix(stored).rstrip("/"), []).extend(days)
    first, last = f"{period[0]:%Y-%m-%d}", f"{period[1] - _INSTANT:%Y-%m-%d}"
    names = sorted(name for name, days in found.items() if days and min(days) <= last and max(days) >= first)
    if names:
        return tuple(names)
    said = f"expected usage of any account from {stamp(period[0])} to {stamp(period[1])}, found none in the bucket"
    return Refusal(Reason.USAGE_MISSING, f"{said}; {describe_held(held(bucket))}")
