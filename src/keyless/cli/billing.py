"""``keyless billing export``: the peer's flags, texts and file."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from keyless.cli import exits

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.callback()
def billing() -> None:
    """Usage reports from the billing bucket."""


@app.command()
def export(
    account: Annotated[str, typer.Option(envvar="UP_BILLING_ACCOUNT", help="The account to report.")],
    bucket: Annotated[str, typer.Option(envvar="UP_BILLING_BUCKET", help="The bucket that holds the usage.")],
    provider: Annotated[str, typer.Option(envvar="UP_BILLING_PROVIDER", help="Where the bucket is: aws.")] = "aws",
    endpoint: Annotated[str, typer.Option(envvar="UP_BILLING_ENDPOINT", help="Another S3 endpoint.")] = "",
    billing_month: Annotated[str, typer.Option(envvar="UP_BILLING_MONTH", metavar="2006-01", help="A month.")] = "",
    billing_custom: Annotated[
        str,
        typer.Option(envvar="UP_BILLING_CUSTOM", metavar="2006-01-02/2006-01-02", help="A range of days, inclusive."),
    ] = "",
    out: Annotated[Path, typer.Option("--out", "-o", envvar="UP_BILLING_OUT", help="The file to write.")] = Path(
        "upbound_billing_report.tgz"
    ),
    force_incomplete: Annotated[
        bool, typer.Option(envvar="UP_BILLING_FORCE_INCOMPLETE", help="Write the report although usage is missing.")
    ] = False,
) -> None:
    """Export a report of an account's usage."""
    from datetime import UTC, datetime

    from keyless.api import Refusal
    from keyless.billing.export.plan import Request, describe, period_of
    from keyless.billing.export.service import S3Bucket, must_be_new, write_new
    from keyless.billing.export.service import export as read
    from keyless.billing.ledger.model import stamp

    if provider != "aws":
        raise typer.BadParameter(f"expected aws, found {provider!r}", param_hint="--provider")
    try:
        period = period_of(billing_month, billing_custom)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    must_be_new(out)
    typer.echo(f"Exporting billing report for Upbound account {account} from {stamp(period[0])} to {stamp(period[1])}.")
    typer.echo(f"\nReading usage data from storage...\nProvider: {provider}\nBucket: {bucket}")
    if endpoint:
        typer.echo(f"Endpoint: {endpoint}")
    storage = S3Bucket.from_environment(os.environ, bucket, endpoint)
    made = asyncio.run(read(storage, Request(account, period, force_incomplete), now=datetime.now(UTC)))
    if isinstance(made, Refusal):
        typer.echo(f"keyless: {made.detail}", err=True)
        raise typer.Exit(exits.DID_NOT_HOLD)
    write_new(out, made.archive)
    for item in made.missing:
        typer.echo(f"missing:{describe(item)}", err=True)
    typer.echo(f"\nBilling report saved to {out.absolute()}")
