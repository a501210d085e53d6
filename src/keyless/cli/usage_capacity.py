"""``keyless billing capacity``: what was bought against what was used, and until when it lasts."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer

from keyless.cli import exits
from keyless.cli.naming import ourselves
from keyless.cli.options import OutputOption, require_output
from keyless.cli.output import one, print_json, print_text
from keyless.cli.usage_options import AccountOption, EndpointOption, ProviderOption
from keyless.cli.usage_report import opened


def capacity(
    account: AccountOption,
    from_: Annotated[str, typer.Option("--from", metavar="2006-01-02", help="The first day of what was bought.")],
    to: Annotated[str, typer.Option(metavar="2006-01-02", help="Its last day.")],
    resource_hours: Annotated[int | None, typer.Option(min=0, help="Resource-hours that were bought.")] = None,
    operations: Annotated[int | None, typer.Option(min=0, help="Operations that were bought.")] = None,
    bucket: Annotated[
        str, typer.Option(envvar="UP_BILLING_BUCKET", help="The bucket that holds the usage; or --folder.")
    ] = "",
    folder: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A copy of the bucket (aws s3 sync): nothing is asked of AWS.")
    ] = None,
    force_incomplete: Annotated[
        bool, typer.Option(envvar="UP_BILLING_FORCE_INCOMPLETE", help="Go on although usage is missing.")
    ] = False,
    provider: ProviderOption = "aws",
    endpoint: EndpointOption = "",
    output: OutputOption = "text",
) -> None:
    """Compare bought capacity with usage, and forecast when it is spent; code 1 where it does not last.

    Nothing is switched off. Resource-hours are those of managed resources, composites, claims and composed resources.
    """
    from datetime import UTC
    from zoneinfo import ZoneInfo

    from keyless.api import Refusal
    from keyless.billing.ledger.corrections import closed_until
    from keyless.billing.ledger.model import HOUR, hour_of
    from keyless.billing.report.capacity import Bought, as_text, document
    from keyless.billing.report.service import Asked, capacity_of
    from keyless.billing.report.teams import DEFAULT

    as_json = require_output(output)
    source, options = opened([account], bucket, folder, provider, endpoint)
    now = datetime.now(UTC)
    if resource_hours is None and operations is None:
        raise typer.BadParameter("expected --resource-hours, --operations or both")
    start, end = _day("--from", from_), _day("--to", to, after=1)
    if not start < end:
        raise typer.BadParameter(f"expected a last day from {from_} on, found {to}", param_hint="--to")
    bought = Bought(resource_hours, operations, start, end)
    measured_to = min(end, hour_of(now) + HOUR if force_incomplete else closed_until(now))
    if not start < measured_to:
        raise typer.BadParameter(f"expected a first day of which an hour is over, found {from_} until {to}")
    zone = ZoneInfo("UTC")
    asked = Asked(
        (account,), (start, measured_to), zone, ("meter",), "all", DEFAULT, (), force_incomplete, options, ourselves()
    )
    found = capacity_of(source, asked, bought, now=now)
    if isinstance(found, Refusal):
        typer.echo(f"keyless: {found.detail}", err=True)
        raise typer.Exit(exits.DID_NOT_HOLD)
    measured_to = min(measured_to, now)
    if as_json:
        print_json(one("CapacityUsage", {"account": account, **document(bought, found, measured_to)}))
    else:
        print_text(as_text(account, bought, found, measured_to))
    if any(each.spent_at is not None for each in found):
        raise typer.Exit(exits.DID_NOT_HOLD)


def _day(flag: str, text: str, *, after: int = 0) -> datetime:
    from datetime import UTC, timedelta

    try:
        day = date.fromisoformat(text) + timedelta(days=after)
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"expected a date as 2026-10-01, found {text!r}", param_hint=flag) from None
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
