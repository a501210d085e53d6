"""The key that signs manifests: a mounted file, read anew each time, or a KMS key as the pod's own identity."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from keyless.api import Permanent
from keyless.aws import Session, in_pool
from keyless.billing.collector.settings import Settings
from keyless.billing.ledger.model import HeadSignature
from keyless.billing.ledger.signed_heads import head_statement


class Signer:
    """Implements ``HeadSigner``."""

    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        self._file, self._kms = settings.signing_key_file, settings.signing_kms_key_id
        self._region, self._environ = settings.region, environ
        self._kept: object | None = None

    async def sign(self, sha256: str) -> HeadSignature:
        """The signature of a manifest's SHA-256. Raises ``Transient`` or ``Permanent``."""
        return await in_pool(lambda: self._sign(head_statement(sha256)))

    def _sign(self, statement: bytes) -> HeadSignature:
        # Only who signs loads what it takes: a collector lives in 80 MB.
        from keyless.billing.export.keys import KeyFile, KmsKey, Signing

        signing: Signing
        if self._file:
            # As often as it signs: a Secret is rotated under a pod that goes on.
            signing = KeyFile(Path(self._file))
        else:
            if not isinstance(self._kept, KmsKey):
                self._kept = KmsKey(Session.from_environment(self._environ, region=self._region), self._kms)
            signing = self._kept
        try:
            made = signing.sign(statement)
        except (KeyError, TypeError, ValueError) as error:
            # Something answers that is not KMS.
            raise Permanent(f"{self._kms or self._file}: expected a signature, found {type(error).__name__}") from None
        return HeadSignature(made.algorithm, made.key, made.signature)


def signer_of(settings: Settings, environ: Mapping[str, str]) -> Signer | None:
    """None where nobody asks for signatures."""
    return Signer(settings, environ) if settings.signing_key_file or settings.signing_kms_key_id else None
