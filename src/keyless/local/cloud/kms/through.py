"""What other services do with keys on behalf of their caller: seal, open, data keys.

The caller must be allowed to use the key through that service (``kms:ViaService``), as on AWS. A service's own key
(``alias/aws/…``) lets in whoever the service lets in, unless a policy denies it by name.

Refusals are KMS's own; each service words them for its callers.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from keyless.local.cloud.call import Call
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.kms import ciphertexts, specs
from keyless.local.cloud.kms.encryption import EncryptionOperations
from keyless.local.cloud.kms.keyring import Keyring, Place
from keyless.local.cloud.kms.model import SYMMETRIC, Key
from keyless.local.cloud.kms.states import symmetric, usable
from keyless.local.cloud.kms.targets import Targets
from keyless.policy import ContextValue, Outcome, access_denied

_DATA_KEY_BYTES = 32


class KeysForServices:
    """``context`` is the encryption context that the service adds, such as ``PARAMETER_ARN``."""

    def __init__(self, keyring: Keyring, targets: Targets, encryption: EncryptionOperations) -> None:
        self._keyring = keyring
        self._targets = targets
        self._encryption = encryption

    def arn_of(self, call: Call, key_id: str) -> str:
        """The ARN of the key that ``key_id`` means now; an alias may move, what it sealed keeps its key."""
        return self._keyring.existing(call, key_id).arn

    @staticmethod
    def sealed_under(blob: bytes) -> str:
        """The id of the key that a ciphertext names."""
        read = ciphertexts.read_untrusted(blob)
        return read.key_id if read else ""

    def seal(self, call: Call, key_id: str, plaintext: bytes, context: Mapping[str, str]) -> bytes:
        """Encrypt up to 4 KB under a key; asks for ``kms:Encrypt``."""
        key = self._ready(call, self._keyring.existing(call, key_id), ("Encrypt",), context)
        return self._encryption.seal(key, SYMMETRIC, plaintext, context)

    def open(self, call: Call, blob: bytes, context: Mapping[str, str]) -> bytes:
        """Decrypt what ``seal`` or ``data_key`` gave; asks for ``kms:Decrypt``."""
        read = ciphertexts.read_untrusted(blob)
        found = self._keyring.find(read.key_id, call.now) if read else None
        if found is None:
            named = call.arn(f"key/{read.key_id}", service="kms") if read else ""
            raise AwsError("NotFoundException", f"Key '{named}' does not exist")
        key = self._ready(call, found, ("Decrypt",), context)
        return self._encryption.open(key, SYMMETRIC, blob, context)

    def data_key(
        self, call: Call, key_id: str, context: Mapping[str, str], *, also: tuple[str, ...] = ()
    ) -> tuple[bytes, bytes]:
        """(plaintext, ciphertext) of a new data key; asks for ``kms:GenerateDataKey`` and what ``also`` names."""
        key = self._ready(call, self._keyring.existing(call, key_id), ("GenerateDataKey", *also), context)
        plaintext = secrets.token_bytes(_DATA_KEY_BYTES)
        return plaintext, self._encryption.seal(key, SYMMETRIC, plaintext, context)

    def data_key_at_start(self, place: Place, key_id: str, context: Mapping[str, str]) -> tuple[bytes, bytes]:
        """As ``data_key``, without a caller to ask: for bringing an older state forward."""
        key = self._keyring.existing(place, key_id)
        plaintext = secrets.token_bytes(_DATA_KEY_BYTES)
        return plaintext, self._encryption.seal(key, SYMMETRIC, plaintext, context)

    def _ready(self, call: Call, key: Key, operations: tuple[str, ...], context: Mapping[str, str]) -> Key:
        for operation in operations:
            self._authorise(call, key, operation, context)
        return symmetric(usable(key, specs.ENCRYPT))

    def _authorise(self, call: Call, key: Key, operation: str, context: Mapping[str, str]) -> None:
        through: dict[str, ContextValue] = {
            "kms:ViaService": f"{call.service}.{call.region}.amazonaws.com",
            "kms:EncryptionAlgorithm": SYMMETRIC,
            "aws:ViaAWSService": "true",
            "aws:CalledVia": (*call.via, f"{call.service}.amazonaws.com"),
            "aws:CalledViaFirst": call.via[0] if call.via else f"{call.service}.amazonaws.com",
            "aws:CalledViaLast": f"{call.service}.amazonaws.com",
        }
        target = self._targets.of(call, key, action=f"kms:{operation}", context=context, more=through)
        decision = call.decide(call, target)
        if decision.allowed or (key.manager == "AWS" and decision.outcome is not Outcome.EXPLICIT_DENY):
            return
        call.decisions.append(decision)
        raise AwsError("AccessDeniedException", access_denied(decision), status=400)
