"""Options that name the key of a report's signature."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from keyless.aws import Session
    from keyless.billing.export.keys import Signing, Verifying
    from keyless.billing.ledger.model import HeadSignature
    from keyless.billing.ledger.signed_heads import Holds

SignKeyOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Sign with this Ed25519 private key (PEM): OUT.sig."),
]
SignKmsOption = Annotated[str, typer.Option(metavar="KEY", help="Sign with this KMS key (id, ARN or alias/NAME).")]
VerifyKeyOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="With --report: its signature must be of this public key (PEM).")
]
VerifyKmsOption = Annotated[str, typer.Option(metavar="KEY", help="With --report: as KMS says of this key.")]

ManifestKeyOption = Annotated[
    list[Path] | None,
    typer.Option(metavar="FILE", help="Manifests must be signed with this public key (PEM), or another one given."),
]


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


def signed_by(files: list[Path] | None) -> Holds | None:
    """Whether one of these public keys made a signature; raises as :func:`signing` does."""
    if not files:
        return None
    from keyless.billing.export.keys import PublicKey
    from keyless.billing.ledger.signed import Signature

    # More than one while a key is rotated: what the old one signed stays signed.
    keys = [PublicKey(file) for file in files]

    def holds(statement: bytes, of: HeadSignature) -> bool:
        return any(key.holds(Signature(statement, of.algorithm, of.key, of.signature)) for key in keys)

    return holds


def _session() -> Session:
    from keyless.aws import Session as AwsSession

    return AwsSession.from_environment(os.environ)
