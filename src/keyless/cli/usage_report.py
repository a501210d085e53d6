"""``keyless billing report``: usage by team, kind or whatever was recorded, with prices, as finance reads it."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from keyless.cli import exits
from keyless.cli.naming import ourselves
from keyless.cli.output import one
from keyless.cli.usage_options import AccountsOption, AllAccountsOption, EndpointOption, ProviderOption, checked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from zoneinfo import ZoneInfo

    from keyless.billing.export.service import Bucket
    from keyless.billing.report.service import Asked
    from keyless.billing.report.since import Earlier

T = TypeVar("T")
CHANGES = ("text", "csv", "json")
"""How changes since a report are printed."""
FORMATS = ("text", "csv", "json", "parquet", "focus", "focus-1.3", "html")


_Bucket = Annotated[str, typer.Option(envvar="UP_BILLING_BUCKET", help="The bucket that holds the usage; or --folder.")]
_Folder = Annotated[
    Path | None, typer.Option(metavar="DIR", help="A copy of the bucket (aws s3 sync): nothing is asked of AWS.")
]
_Custom = Annotated[
    str,
    typer.Option(envvar="UP_BILLING_CUSTOM", metavar="2006-01-02/2006-01-02", help="A range of days, inclusive."),
]
_By = Annotated[
    list[str] | None,
    typer.Option(metavar="FIELD", help="Group by this, as team, kind, control-plane, label.KEY, day; may be repeated."),
]
_Force = Annotated[
    bool, typer.Option(envvar="UP_BILLING_FORCE_INCOMPLETE", help="Write the report although usage is missing.")
]
_Since = Annotated[
    Path | None,
    typer.Option(
        metavar="REPORT",
        help="What changed since this report (its --output json, or an export's .sig): of its accounts and period.",
    ),
]
_Output = Annotated[
    str,
    typer.Option("--output", "-o", metavar="|".join(FORMATS), help="How to print; FOCUS is CSV, or Parquet by --out."),
]


def report(
    context: typer.Context,
    account: AccountsOption = None,
    all_accounts: AllAccountsOption = False,
    bucket: _Bucket = "",
    folder: _Folder = None,
    billing_month: Annotated[str, typer.Option(envvar="UP_BILLING_MONTH", metavar="2006-01", help="A month.")] = "",
    billing_custom: _Custom = "",
    by: _By = None,
    meter: Annotated[
        str, typer.Option(help="What is counted: managed, composite, claim, composed, operation, control-plane or all.")
    ] = "managed",
    teams: Annotated[Path | None, typer.Option(metavar="FILE", help="Rules that say whose usage it is.")] = None,
    prices: Annotated[Path | None, typer.Option(metavar="FILE", help="A sheet of prices.")] = None,
    time_zone: Annotated[str, typer.Option(help="Whose midnights begin days and months, as Europe/Berlin.")] = "UTC",
    output: _Output = "text",
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write to this new file instead.")] = None,
    since: _Since = None,
    force_incomplete: _Force = False,
    provider: ProviderOption = "aws",
    endpoint: EndpointOption = "",
) -> None:
    """Report who used what, and what it costs.

    Of a month that still runs it is the month to date. The same stored usage gives the same report, to the byte.
    """
    from datetime import UTC

    from keyless.billing.report.grouping import by_untrusted
    from keyless.billing.report.prices import prices_untrusted
    from keyless.billing.report.service import Asked
    from keyless.billing.report.teams import DEFAULT, rules_untrusted

    _must_be_known(output, out)
    earlier = _earlier(since, billing_month or billing_custom, output, by or []) if since else None
    named = earlier.accounts if earlier else _named(context, account or [], all_accounts=all_accounts)
    source, options = opened(named, bucket, folder, provider, endpoint)
    now = datetime.now(UTC)
    zone = zone_of(earlier.zone if earlier else time_zone)
    try:
        asked = Asked(
            accounts=named,
            period=earlier.period
            if earlier
            else _period(billing_month, billing_custom, zone, now, running=force_incomplete),
            zone=zone,
            by=by_untrusted(by or ["team"]),
            meter=_meter(meter),
            rules=_read(teams, rules_untrusted) if teams else DEFAULT,
            prices=_read(prices, prices_untrusted) if prices else (),
            force_incomplete=force_incomplete,
            options=options,
            command=ourselves(),
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    _print(source, asked, output, out, now, earlier)


def _print(source: Bucket, asked: Asked, output: str, out: Path | None, now: datetime, earlier: Earlier | None) -> None:
    """To a new file or to the terminal; a refusal is code 1."""
    from keyless.api import Refusal
    from keyless.billing.export.output import must_be_writable, write_new
    from keyless.billing.report.service import changes_of, report_of

    def wrap(found: Mapping[str, Any]) -> Mapping[str, Any]:
        return one("UsageReport", found)

    if out is not None:
        must_be_writable(out)
    parquet = out is not None and out.suffix == ".parquet"
    if parquet and not output.startswith(("parquet", "focus")):
        raise typer.BadParameter(f"expected parquet or focus for {out}, found {output}", param_hint="--output")
    made: str | bytes | Refusal
    if earlier is not None:
        made = changes_of(source, asked, earlier, output, now=now, wrap=wrap)
    else:
        made = report_of(source, asked, output, now=now, wrap=wrap, parquet=parquet)
    if isinstance(made, Refusal):
        typer.echo(f"keyless: {made.detail}", err=True)
        raise typer.Exit(exits.DID_NOT_HOLD)
    if out is not None:
        write_new(out, iter([made if isinstance(made, bytes) else made.encode()]))
        typer.echo(f"Report saved to {out.absolute()}")
        return
    typer.echo(made, nl=False)


def _must_be_known(output: str, out: Path | None) -> None:
    if output == "parquet" and out is None:
        raise typer.BadParameter("expected --out=FILE beside it: Parquet is nothing to look at", param_hint="--output")
    if output not in FORMATS:
        raise typer.BadParameter(f"expected {', '.join(FORMATS)}, found {output!r}", param_hint="--output")


def _earlier(path: Path, period: str, output: str, by: list[str]) -> Earlier:
    """The report that is asked about. Raises click's usage error, or ``Permanent`` that names the file."""
    from keyless.api import Permanent, os_failure
    from keyless.billing.ledger.model import Malformed
    from keyless.billing.report.since import earlier_untrusted

    if period:
        raise typer.BadParameter("expected no period beside it: it is the report's own", param_hint="--since")
    if "revision" in by:
        raise typer.BadParameter("expected another field beside --since, which tells each revision", param_hint="--by")
    if output not in CHANGES:
        raise typer.BadParameter(f"expected {', '.join(CHANGES)} beside --since, found {output!r}", param_hint="-o")
    try:
        return earlier_untrusted(str(path), path.read_bytes())
    except OSError as error:
        raise os_failure(error) from None
    except Malformed as error:
        raise Permanent(str(error)) from None


def _named(context: typer.Context, accounts: list[str], *, all_accounts: bool) -> tuple[str, ...]:
    """None: all of them. What the environment names gives way to a flag. Raises click's usage error."""
    source = context.get_parameter_source("account")
    written = source is not None and source.name == "COMMANDLINE"
    if all_accounts and not written:
        return ()
    if all_accounts or not accounts:
        raise typer.BadParameter("expected one of --account and --all-accounts")
    return tuple(accounts)


def opened(
    accounts: Sequence[str], bucket: str, folder: Path | None, provider: str, endpoint: str
) -> tuple[Bucket, tuple[str, ...]]:
    """The bucket or its copy, and the flags that name it. Raises click's usage error."""
    if bool(bucket) == bool(folder):
        raise typer.BadParameter("expected one of --bucket and --folder")
    options: tuple[str, ...] = ()
    for account in accounts or ["all"]:
        options = checked(account, bucket or "copy", provider, endpoint)
    if folder is not None:
        from keyless.billing.export.folder import FolderBucket

        return FolderBucket(folder), ()
    from keyless.billing.export.s3 import S3Bucket

    return S3Bucket.from_environment(os.environ, bucket, endpoint), options


def zone_of(name: str) -> ZoneInfo:
    """A time zone by its name. Raises click's usage error."""
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        # ZoneInfoNotFoundError is a KeyError; a name with .. or / at its start is a ValueError.
        raise typer.BadParameter(
            f"expected a name as Europe/Berlin, found {name!r}", param_hint="--time-zone"
        ) from None


def _period(month: str, custom: str, zone: ZoneInfo, now: datetime, *, running: bool) -> tuple[datetime, datetime]:
    """From midnight to midnight of the zone, in UTC; of a period that still runs, up to the last closed hour.

    ``running``: up to the end of the hour that runs.
    """
    from datetime import UTC

    from keyless.billing.export.plan import period_of
    from keyless.billing.ledger.corrections import closed_until
    from keyless.billing.ledger.model import HOUR, hour_of

    start, end = (each.replace(tzinfo=zone).astimezone(UTC) for each in period_of(month, custom))
    end = min(end, hour_of(now) + HOUR if running else closed_until(now))
    if not start < end:
        raise ValueError(
            f"expected a period of which an hour is over, found one that begins at {start:%Y-%m-%dT%H:%MZ}"
        )
    return start, end


def _meter(name: str) -> str:
    from keyless.billing.ledger.model import Meter
    from keyless.billing.report.model import PLANE_METER

    known = [*(each.value for each in Meter), PLANE_METER, "all"]
    if name not in known:
        raise ValueError(f"--meter: expected one of {', '.join(known)}, found {name!r}")
    return name


def _read(path: Path, parse: Callable[[str, str], T]) -> T:
    """A file that a person wrote. Raises ``ValueError`` that names it."""
    from keyless.api import os_failure

    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise os_failure(error) from None
    except UnicodeDecodeError:
        raise ValueError(f"{path}: expected a text in UTF-8, found other bytes: save it as UTF-8") from None
    return parse(str(path), text)


__all__: list[Any] = ["report"]
