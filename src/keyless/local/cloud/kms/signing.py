"""Operations of asymmetric and HMAC keys: Sign, Verify, GetPublicKey, GenerateMac, VerifyMac."""

from __future__ import annotations

import hmac
from typing import Any

from keyless.local.cloud.call import Call
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.kms import asymmetric, specs
from keyless.local.cloud.kms.grants import check_tokens
from keyless.local.cloud.kms.keyring import Keyring
from keyless.local.cloud.kms.model import Key
from keyless.local.cloud.kms.states import finish_dry_run, usable


class SigningOperations:
    """One method for each operation."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def sign(self, call: Call) -> dict[str, Any]:
        key, algorithm = self._key(call, specs.SIGN), str(call.params["SigningAlgorithm"])
        message, digest = _message(call, key, algorithm)
        signature = asymmetric.sign(self._pair(key), algorithm, message, digest=digest)
        finish_dry_run(call)
        return {"KeyId": key.arn, "Signature": signature, "SigningAlgorithm": algorithm}

    def verify(self, call: Call) -> dict[str, Any]:
        key, algorithm = self._key(call, specs.SIGN), str(call.params["SigningAlgorithm"])
        message, digest = _message(call, key, algorithm)
        signature = bytes(call.params["Signature"])
        if not asymmetric.verified(self._pair(key), algorithm, message, signature, digest=digest):
            raise AwsError("KMSInvalidSignatureException", "")
        finish_dry_run(call)
        return {"KeyId": key.arn, "SignatureValid": True, "SigningAlgorithm": algorithm}

    def get_public_key(self, call: Call) -> dict[str, Any]:
        key = self._key(call)
        if key.spec not in specs.RSA_BITS and key.spec not in specs.ELLIPTIC:
            raise AwsError("UnsupportedOperationException", "")
        return {
            "KeyId": key.arn,
            "PublicKey": asymmetric.public_bytes(self._pair(key)),
            "KeySpec": key.spec,
            "CustomerMasterKeySpec": key.spec,
            "KeyUsage": key.usage,
            specs.algorithms_member(key.usage): list(specs.algorithms(key.spec, key.usage)),
        }

    def generate_mac(self, call: Call) -> dict[str, Any]:
        key, algorithm = self._key(call, specs.MAC), str(call.params["MacAlgorithm"])
        code = self._mac(call, key, algorithm)
        finish_dry_run(call)
        return {"Mac": code, "MacAlgorithm": algorithm, "KeyId": key.arn}

    def verify_mac(self, call: Call) -> dict[str, Any]:
        key, algorithm = self._key(call, specs.MAC), str(call.params["MacAlgorithm"])
        if not hmac.compare_digest(self._mac(call, key, algorithm), bytes(call.params["Mac"])):
            raise AwsError("KMSInvalidMacException", "")
        finish_dry_run(call)
        return {"KeyId": key.arn, "MacValid": True, "MacAlgorithm": algorithm}

    def _key(self, call: Call, usage: str = "") -> Key:
        check_tokens(call.params)
        return usable(self._keyring.existing(call, str(call.params["KeyId"])), usage)

    def _pair(self, key: Key) -> asymmetric.PrivateKey:
        return asymmetric.loaded(self._material(key))

    def _mac(self, call: Call, key: Key, algorithm: str) -> bytes:
        _refuse_algorithm(key, algorithm)
        return asymmetric.mac(self._material(key), algorithm, bytes(call.params["Message"]))

    def _material(self, key: Key) -> bytes:
        material = self._keyring.material(key)
        assert material is not None
        return material


def _message(call: Call, key: Key, algorithm: str) -> tuple[bytes, bool]:
    """What is to be signed, and whether it is a digest already."""
    _refuse_algorithm(key, algorithm)
    message, kind = bytes(call.params["Message"]), call.params.get("MessageType", "RAW")
    if kind not in {"RAW", "DIGEST"}:
        raise AwsError("ValidationException", f"MessageType {kind} is for ML-DSA keys alone", status=400)
    if kind == "DIGEST" and len(message) != asymmetric.digest_bytes(algorithm):
        text = f"Digest is invalid length for algorithm {algorithm}."
        raise AwsError("ValidationException", text, status=400)
    return message, kind == "DIGEST"


def _refuse_algorithm(key: Key, algorithm: str) -> None:
    if algorithm not in specs.algorithms(key.spec, key.usage):
        text = f"Algorithm {algorithm} is incompatible with key spec {key.spec}."
        raise AwsError("InvalidKeyUsageException", text)
