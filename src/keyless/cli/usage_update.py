"""``keyless billing report update``: two reports of one account as one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from keyless.api.words import counted
from keyless.cli import exits
from keyless.cli.usage_options import (
    AclOption,
    EncryptionOption,
    EndpointOption,
    KeyOption,
    OwnerOption,
    ProviderOption,
    checked,
    writing_of,
)


def update(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="The report to update; with --bucket a key in it.")],
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="The report whose usage is added.")],
    bucket: Annotated[str, typer.Option(help="The bucket that holds TARGET; empty: it is a file.")] = "",
    provider: ProviderOption = "aws",
    endpoint: EndpointOption = "",
    force_incomplete: Annotated[
        bool, typer.Option(envvar="UP_BILLING_FORCE_INCOMPLETE", help="Also where a time lies between the two reports.")
    ] = False,
    server_side_encryption: EncryptionOption = "",
    ssekms_key_id: KeyOption = "",
    expected_bucket_owner: OwnerOption = "",
    acl: AclOption = "",
) -> None:
    """Merge a report into another one, which is made where it is not there.

    Of what both report the larger number counts; what one lacks and the other has is no longer missing. The peer's
    spelling, `report update`, is taken too.
    """
    from keyless.api import Refusal
    from keyless.billing.export.s3 import S3Bucket
    from keyless.billing.export.updating import FileTarget, ObjectTarget, Target
    from keyless.billing.export.updating import update as merge
    from keyless.billing.ledger.model import stamp

    writing = writing_of(server_side_encryption, ssekms_key_id, expected_bucket_owner, acl)
    place: Target = FileTarget(Path(target))
    if bucket:
        checked("any", bucket, provider, endpoint)
        place = ObjectTarget(S3Bucket.from_environment(os.environ, bucket, endpoint, writing), target)
    made = merge(place, source, force_incomplete=force_incomplete)
    if isinstance(made, Refusal):
        typer.echo(f"keyless: {made.detail}", err=True)
        raise typer.Exit(exits.DID_NOT_HOLD)
    times = f"from {stamp(made.start)} to {stamp(made.end)}"
    typer.echo(f"Billing report {target} updated: account {made.account} {times}, {counted(len(made.rows), 'row')}")
