"""``keyless billing export-closed``: every closed month that has no report yet, for a job that runs by a schedule."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keyless.api.words import counted
from keyless.cli import exits
from keyless.cli.naming import ourselves
from keyless.cli.progress import shown
from keyless.cli.usage_options import (
    AccountOption,
    AclOption,
    BucketOption,
    EncryptionOption,
    EndpointOption,
    KeyOption,
    OwnerOption,
    ProviderOption,
    checked,
    writing_of,
)
from keyless.cli.usage_signing import signing

if TYPE_CHECKING:
    from keyless.api import Refusal
    from keyless.billing.export.plan import Request
    from keyless.billing.export.s3 import S3Bucket
    from keyless.billing.export.scheduled import Made
    from keyless.billing.export.service import Export


_SignKey = Annotated[
    Path | None,
    typer.Option(
        envvar="KEYLESS_BILLING_EXPORT_SIGN_KEY", metavar="FILE", help="Sign with this Ed25519 private key (PEM)."
    ),
]
_SignKms = Annotated[
    str,
    typer.Option(
        envvar="KEYLESS_BILLING_EXPORT_SIGN_KMS", metavar="KEY", help="Sign with this KMS key (id, ARN, alias/NAME)."
    ),
]


def export_closed(
    account: AccountOption,
    bucket: BucketOption,
    work: Annotated[
        Path,
        typer.Option(envvar="KEYLESS_BILLING_EXPORT_WORK", help="Where what was read is kept meanwhile."),
    ] = Path(),
    report_bucket: Annotated[
        str, typer.Option(envvar="KEYLESS_BILLING_EXPORT_BUCKET", help="Where reports go; empty: into the same bucket.")
    ] = "",
    prefix: Annotated[
        str, typer.Option(envvar="KEYLESS_BILLING_EXPORT_PREFIX", help="What the reports' keys begin with.")
    ] = "report",
    force_incomplete: Annotated[
        bool, typer.Option(envvar="UP_BILLING_FORCE_INCOMPLETE", help="Write reports although usage is missing.")
    ] = False,
    sign_key: _SignKey = None,
    sign_kms: _SignKms = "",
    provider: ProviderOption = "aws",
    endpoint: EndpointOption = "",
    server_side_encryption: EncryptionOption = "",
    ssekms_key_id: KeyOption = "",
    expected_bucket_owner: OwnerOption = "",
    acl: AclOption = "",
) -> None:
    """Export every closed month that has no report in the bucket yet.

    A report that is there is never written again; a month that is refused is named, and the others go on. With a key
    to sign with, each report has its signature beside it (.sig), and without one none is written.
    """
    from datetime import UTC

    from keyless.billing.export.plan import Request, closed_month, period_of
    from keyless.billing.export.s3 import S3Bucket
    from keyless.billing.export.scheduled import export_closed as through
    from keyless.billing.export.scheduled import folder

    options = checked(account, bucket, provider, endpoint)
    place = folder(prefix, account)
    key = signing(sign_key, sign_kms, compat=False)
    storage = S3Bucket.from_environment(os.environ, bucket, endpoint)
    writing = writing_of(server_side_encryption, ssekms_key_id, expected_bucket_owner, acl)
    reports = S3Bucket.from_environment(os.environ, report_bucket or bucket, endpoint, writing)
    now = datetime.now(UTC)

    def request(month: str) -> Request:
        return Request(account, period_of(month, ""), force_incomplete, options=options, command=ourselves())

    def export(month: str, asked: Request) -> Export | Refusal:
        return _kept(storage, asked, work / f"{month}.tgz", source=f"{endpoint} {bucket}", now=now)

    made = []
    for each in through(storage, reports, request, export, place=place, now=now, key=key):
        made.append(each)
        typer.echo(_told(each, reports.name), err=bool(each.refused))
    refused = sum(1 for each in made if each.refused)
    written = counted(len(made) - refused, "report")
    typer.echo(f"{written} written, {refused} refused; months are closed up to {closed_month(now)}")
    if refused:
        raise typer.Exit(exits.DID_NOT_HOLD)


def _kept(storage: S3Bucket, request: Request, out: Path, *, source: str, now: datetime) -> Export | Refusal:
    """Read a month; where that ends before its time, what was read is kept for the next run."""
    from keyless.billing.export.keeping import KeptBucket
    from keyless.billing.export.service import export

    kept, done = KeptBucket(storage, out, source=source), False
    try:
        made = export(kept, request, now=now, progress=shown)
        done = True
    finally:
        kept.close(done=done)
    return made


def _told(made: Made, bucket: str) -> str:
    """One month's line; a refusal has more of them."""
    if made.refused:
        return f"{made.month}: not written: {made.refused}"
    place = f"s3://{bucket}/{made.key}"
    if made.there:
        return f"{made.month}: somebody else has written {place} meanwhile"
    return f"{made.month}: written to {place}, {counted(made.rows, 'row')}{', signed' if made.signed else ''}"
