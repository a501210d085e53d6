"""Options that name the key of a report's signature."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from keyless.aws import Session
    from keyless.billing.export.keys import Signing, Verifying

SignKeyOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Sign with this Ed25519 private key (PEM): OUT.sig."),
]
SignKmsOption = Annotated[str, typer.Option(metavar="KEY", help="Sign with this KMS key (id, ARN or alias/NAME).")]
VerifyKeyOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="With --report: its signature must be of this public key (PEM).")
]
VerifyKmsOption = Annotated[str, typer.Option(metavar="KEY", help="With --report: as KMS says of this key.")]


def signing(file: Path | None, kms: str, *, compat: bool) -> Signing | None:
    """The key to sign with, if any; raises click's usage error, or ``Permanent`` that names the file."""
    if not (file or kms):
        return None
    if file and kms:
        raise typer.BadParameter("expected one of --sign-key and --sign-kms")
    if compat:
        raise typer.BadParameter("--compat proves nothing: expected no key to sign with")
    from keyless.billing.export.keys import KeyFile, KmsKey

    return KeyFile(file) if file else KmsKey(_session(), kms)


def verifying(report: Path | None, file: Path | None, kms: str) -> Verifying | None:
    """The key to verify with, if any; raises as :func:`signing` does."""
    if not (file or kms):
        return None
    if (file and kms) or report is None:
        raise typer.BadParameter("expected --report, and one of --verify-key and --verify-kms")
    from keyless.billing.export.keys import KmsKey, PublicKey

    return PublicKey(file) if file else KmsKey(_session(), kms)


def _session() -> Session:
    from keyless.aws import Session as AwsSession

    return AwsSession.from_environment(os.environ)
