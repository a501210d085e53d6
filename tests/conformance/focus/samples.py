"""Reports whose FOCUS is checked: no price, several currencies, whole amounts, corrections, odd names, another zone."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

from keyless.billing.report.prices import prices_untrusted
from unit.billing.bucket import MemoryBucket
from unit.billing.samples import VPC
from unit.billing.teams_bucket import HOUR, Filler, two_teams
from unit.billing.test_usage_report import PRICES, START, made

YEN = "prices: [{currency: JPY, price: '2'}]"


def _corrected() -> MemoryBucket:
    bucket = MemoryBucket()
    filler = Filler(bucket, 0, START)
    filler.hour(START, [(VPC, "payments", 3)], part=(0, 0.5))
    filler.hour(START, [(VPC, "payments", 5)], part=(0.5, 1), stored_at=START + timedelta(days=20))
    Filler(bucket, 1, START).hour(START, [])
    return bucket


def _odd() -> MemoryBucket:
    bucket = MemoryBucket()
    Filler(bucket, 0, START).hour(START, [(VPC, "=cmd|' /C calc'!A0", 1), (VPC, 'équipe, "a"', 2), (VPC, "007", 1)])
    Filler(bucket, 1, START).hour(START, [])
    return bucket


HOUR_LONG = (START, START + HOUR)


def samples(output: str, **more) -> dict[str, str]:
    """Each by its name, as ``keyless billing report`` prints it."""
    usual = two_teams(START, 30)
    return {
        "no prices": made(usual, output=output, **more),
        "two currencies": made(usual, output=output, prices=prices_untrusted("p", PRICES), **more),
        "whole amounts": made(usual, output=output, prices=prices_untrusted("p", YEN), **more),
        "every meter": made(usual, output=output, meter="all", **more),
        "another zone": made(usual, output=output, zone=ZoneInfo("Asia/Kolkata"), **more),
        "corrections": made(_corrected(), output=output, period=HOUR_LONG, prices=prices_untrusted("p", YEN), **more),
        "odd names": made(_odd(), output=output, period=HOUR_LONG, **more),
    }
