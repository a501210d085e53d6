"""``keyless billing``: the peer's export with the peer's flags, texts and file, and what was decided about its gaps."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from keyless.cli import exits
from keyless.cli.naming import ourselves
from keyless.cli.progress import shown
from keyless.cli.proof import verify
from keyless.cli.usage_capacity import capacity
from keyless.cli.usage_closed import export_closed
from keyless.cli.usage_options import (
    AccountOption,
    BucketOption,
    EncryptionOption,
    EndpointOption,
    KeyOption,
    OwnerOption,
    ProviderOption,
    checked,
    writing_of,
)
from keyless.cli.usage_report import report
from keyless.cli.usage_signing import SignKeyOption, SignKmsOption, signing
from keyless.cli.usage_update import update

if TYPE_CHECKING:
    from keyless.api import Refusal
    from keyless.billing.export.keeping import KeptBucket
    from keyless.billing.export.keys import Signing
    from keyless.billing.export.plan import Request
    from keyless.billing.export.s3 import S3Bucket
    from keyless.billing.export.service import Export
    from keyless.billing.ledger.waivers import Waiver, Withdrawal


class _Billing(TyperGroup):
    """``report update`` is the peer's name of a command beside ``report``."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[:2] == ["report", "update"]:
            args = ["report-update", *args[2:]]
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=_Billing, no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
)

CLOSED = "closed"
"""Instead of a month: the last that is over, for a job that runs by a schedule."""
ByOption = Annotated[str, typer.Option(help="Who decides this; empty: the user of this shell.")]


app.command("verify")(verify)
app.command("report")(report)
app.command("report-update")(update)
app.command("capacity")(capacity)
app.command("export-closed")(export_closed)


@app.callback()
def billing() -> None:
    """Usage reports from the billing bucket."""


@app.command()
def export(
    account: AccountOption,
    bucket: BucketOption,
    provider: ProviderOption = "aws",
    endpoint: EndpointOption = "",
    billing_month: Annotated[
        str,
        typer.Option(envvar="UP_BILLING_MONTH", metavar="2006-01|closed", help="A month; closed: the last that is."),
    ] = "",
    billing_custom: Annotated[
        str,
        typer.Option(envvar="UP_BILLING_CUSTOM", metavar="2006-01-02/2006-01-02", help="A range of days, inclusive."),
    ] = "",
    out: Annotated[
        Path, typer.Option("--out", "-o", envvar="UP_BILLING_OUT", help="The file; {month} is the month's.")
    ] = Path("upbound_billing_report.tgz"),
    force_incomplete: Annotated[
        bool, typer.Option(envvar="UP_BILLING_FORCE_INCOMPLETE", help="Write the report although usage is missing.")
    ] = False,
    compat: Annotated[
        bool, typer.Option(help="Read as the peer does: no manifests, and what its decoder passes over is passed over.")
    ] = False,
    sign_key: SignKeyOption = None,
    sign_kms: SignKmsOption = "",
) -> None:
    """Export a report of an account's usage."""
    from datetime import UTC

    from keyless.api import Refusal
    from keyless.billing.export.keeping import KeptBucket
    from keyless.billing.export.output import must_be_writable
    from keyless.billing.export.plan import Request, closed_month, period_of
    from keyless.billing.export.s3 import S3Bucket
    from keyless.billing.ledger.model import stamp

    options = checked(account, bucket, provider, endpoint)
    if billing_month == CLOSED:
        billing_month = closed_month(datetime.now(UTC))
    if "{month}" in out.name:
        out = out.with_name(out.name.replace("{month}", billing_month or billing_custom.replace("/", "-")))
    try:
        period = period_of(billing_month, billing_custom)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    must_be_writable(out)
    key = signing(sign_key, sign_kms, compat=compat)
    typer.echo(f"Exporting billing report for Upbound account {account} from {stamp(period[0])} to {stamp(period[1])}.")
    typer.echo(f"\nReading usage data from storage...\nProvider: {provider}\nBucket: {bucket}")
    if endpoint:
        typer.echo(f"Endpoint: {endpoint}")
    storage = S3Bucket.from_environment(os.environ, bucket, endpoint)
    request = Request(account, period, force_incomplete, compat, options, ourselves())
    made = _exported(KeptBucket(storage, out, source=f"{endpoint} {bucket}"), request, out, key)
    if isinstance(made, Refusal):
        typer.echo(f"keyless: {made.detail}", err=True)
        raise typer.Exit(exits.DID_NOT_HOLD)
    _say(made)
    typer.echo(f"\nBilling report saved to {out.absolute()}")


def _exported(kept: KeptBucket, request: Request, out: Path, key: Signing | None) -> Export | Refusal:
    """Read and write; where that ends before its time, what was read is kept."""
    from datetime import UTC

    from keyless.api import Refusal
    from keyless.billing.export.service import export as read
    from keyless.billing.export.signatures import write_signed

    done = False
    try:
        made = read(kept, request, now=datetime.now(UTC), progress=shown)
        if not isinstance(made, Refusal):
            write_signed(out, made, request, key)
        done = True
    finally:
        if size := kept.close(done=done):
            said = f"not finished; {size:,} bytes kept in {kept.path}: the same command goes on from there"
            typer.echo(f"keyless: {said}", err=True)
    return made


@app.command()
def waive(
    account: AccountOption,
    bucket: BucketOption,
    why: Annotated[str, typer.Option(help="Why the usage cannot be had.")],
    assumed: Annotated[str, typer.Option(help="What is assumed in its place.")],
    by: ByOption = "",
    control_plane: Annotated[str, typer.Option(metavar="ID", help="The control plane whose usage is missing.")] = "",
    from_: Annotated[str, typer.Option("--from", metavar="TIME", help="Where the gap begins.")] = "",
    to: Annotated[str, typer.Option(metavar="TIME", help="Where the gap ends.")] = "",
    object_: Annotated[
        str, typer.Option("--object", metavar="KEY", help="Instead of a gap: an object that cannot be trusted.")
    ] = "",
    count: Annotated[bool, typer.Option("--count", help="With --object: count its events all the same.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Record it although nothing in the bucket bears that name.")
    ] = False,
    provider: ProviderOption = "aws",
    endpoint: EndpointOption = "",
    server_side_encryption: EncryptionOption = "",
    ssekms_key_id: KeyOption = "",
    expected_bucket_owner: OwnerOption = "",
) -> None:
    """Accept a gap, or an object that cannot be trusted, so that the period can be reported.

    The decision is a record in the bucket; every report that it touches shows it.
    """
    from dataclasses import replace
    from datetime import UTC

    from keyless.billing.export.naming import unknown
    from keyless.billing.export.plan import describe_waiver
    from keyless.billing.export.s3 import S3Bucket
    from keyless.billing.export.waiving import waiver_of
    from keyless.billing.ledger.waivers import tips, waiver_object

    checked(account, bucket, provider, endpoint)
    try:
        waiver = waiver_of(
            {"account": account, "by": by or _user(), "why": why, "assumed": assumed},
            stretch=(control_plane, from_, to),
            key=object_,
            count=count,
            now=datetime.now(UTC),
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    writing = writing_of(server_side_encryption, ssekms_key_id, expected_bucket_owner)
    storage = S3Bucket.from_environment(os.environ, bucket, endpoint, writing)
    if not force and (refused := unknown(storage, waiver)) is not None:
        typer.echo(f"keyless: {refused.detail}", err=True)
        raise typer.Exit(exits.DID_NOT_HOLD)
    waiver = replace(waiver, after=tips(_records(storage, account)))
    record = waiver_object(waiver)
    storage.put_new(record.key, record.body)
    typer.echo(f"Waived:\n{describe_waiver(waiver)}")


@app.command()
def waivers(
    account: AccountOption, bucket: BucketOption, provider: ProviderOption = "aws", endpoint: EndpointOption = ""
) -> None:
    """List what was waived and not taken back."""
    from keyless.billing.export.plan import describe_waiver
    from keyless.billing.export.s3 import S3Bucket
    from keyless.billing.ledger.waivers import standing

    checked(account, bucket, provider, endpoint)
    found = standing(_records(S3Bucket.from_environment(os.environ, bucket, endpoint), account))
    typer.echo("\n".join(map(describe_waiver, found)) if found else f"Nothing is waived for account {account}.")


@app.command()
def unwaive(
    waiver: Annotated[str, typer.Argument(metavar="ID", help="The waiver, as `keyless billing waivers` names it.")],
    account: AccountOption,
    bucket: BucketOption,
    why: Annotated[str, typer.Option(help="Why it no longer holds.")],
    by: ByOption = "",
    provider: ProviderOption = "aws",
    endpoint: EndpointOption = "",
    server_side_encryption: EncryptionOption = "",
    ssekms_key_id: KeyOption = "",
    expected_bucket_owner: OwnerOption = "",
) -> None:
    """Take a waiver back; both records stay in the bucket."""
    from datetime import UTC

    from keyless.billing.export.s3 import S3Bucket
    from keyless.billing.ledger.waivers import Withdrawal, standing, tips, withdrawal_object

    checked(account, bucket, provider, endpoint)
    writing = writing_of(server_side_encryption, ssekms_key_id, expected_bucket_owner)
    storage = S3Bucket.from_environment(os.environ, bucket, endpoint, writing)
    records = _records(storage, account)
    known = [found.id for found in standing(records)]
    if waiver not in known:
        there = ", ".join(known) or "none"
        raise typer.BadParameter(f"expected a standing waiver of account {account} ({there}), found {waiver!r}")
    withdrawal = Withdrawal(waiver, by or _user(), why, datetime.now(UTC), tips(records))
    record = withdrawal_object(account, withdrawal)
    storage.put_new(record.key, record.body)
    typer.echo(f"Taken back: {waiver}")


def _records(storage: S3Bucket, account: str) -> list[Waiver | Withdrawal]:
    """The records that can be read; the others are told of, for a decision rests on all of them."""
    from keyless.billing.export.plan import describe_fault
    from keyless.billing.export.reading import readers
    from keyless.billing.export.service import READERS, records_of

    with readers(READERS) as pool:
        records, faults = records_of(storage, account, pool)
    for fault in faults:
        typer.echo(f"not trusted:{describe_fault(fault)}", err=True)
    return records


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container's user may have no name.
        return f"uid {os.getuid()}"


def _say(made: Export) -> None:
    """What the report rests on and what it lacks; nothing for a complete one, as at the peer."""
    from keyless.billing.export.plan import describe, describe_correction, describe_fault, describe_waiver

    if made.empty:
        typer.echo(f"keyless: the report is empty: {made.empty}", err=True)
    if made.waivers:
        typer.echo("\nWaived in this period:\n" + "\n".join(map(describe_waiver, made.waivers)))
    if made.corrections:
        typer.echo("\nCorrections of what was closed:\n" + "\n".join(map(describe_correction, made.corrections)))
    for item in made.missing:
        typer.echo(f"missing:{describe(item)}", err=True)
    for fault in made.faults:
        typer.echo(f"not counted:{describe_fault(fault)}", err=True)
