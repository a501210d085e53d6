"""Operations that encrypt: Encrypt, Decrypt, ReEncrypt, data keys, random bytes."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from keyless.local.cloud.call import Call
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.kms import asymmetric, ciphertexts, specs
from keyless.local.cloud.kms.grants import check_tokens
from keyless.local.cloud.kms.keyring import Keyring
from keyless.local.cloud.kms.model import SYMMETRIC, Key
from keyless.local.cloud.kms.states import finish_dry_run, symmetric, usable
from keyless.local.cloud.kms.targets import Targets

_AES_128_BYTES, _AES_256_BYTES = 16, 32


class EncryptionOperations:
    """One method for each operation."""

    def __init__(self, keyring: Keyring, targets: Targets) -> None:
        self._keyring = keyring
        self._targets = targets

    def encrypt(self, call: Call) -> dict[str, Any]:
        key, algorithm = self._key(call, "KeyId", specs.ENCRYPT), _algorithm(call, "EncryptionAlgorithm")
        sealed = self.seal(key, algorithm, bytes(call.params["Plaintext"]), _context(call, "EncryptionContext"))
        finish_dry_run(call)
        return {"CiphertextBlob": sealed, "KeyId": key.arn, "EncryptionAlgorithm": algorithm}

    def decrypt(self, call: Call) -> dict[str, Any]:
        check_tokens(call.params)
        key = usable(self._targets.key_of_ciphertext(call, "CiphertextBlob", "KeyId"), specs.ENCRYPT)
        algorithm = _algorithm(call, "EncryptionAlgorithm")
        blob = bytes(call.params["CiphertextBlob"])
        plaintext = self.open(key, algorithm, blob, _context(call, "EncryptionContext"))
        finish_dry_run(call)
        return {"Plaintext": plaintext, "KeyId": key.arn, "EncryptionAlgorithm": algorithm}

    def re_encrypt(self, call: Call) -> dict[str, Any]:
        check_tokens(call.params)
        source = usable(self._targets.key_of_ciphertext(call, "CiphertextBlob", "SourceKeyId"), specs.ENCRYPT)
        destination = self._key(call, "DestinationKeyId", specs.ENCRYPT)
        from_algorithm = _algorithm(call, "SourceEncryptionAlgorithm")
        to_algorithm = _algorithm(call, "DestinationEncryptionAlgorithm")
        blob = bytes(call.params["CiphertextBlob"])
        plaintext = self.open(source, from_algorithm, blob, _context(call, "SourceEncryptionContext"))
        sealed = self.seal(destination, to_algorithm, plaintext, _context(call, "DestinationEncryptionContext"))
        finish_dry_run(call)
        return {
            "CiphertextBlob": sealed,
            "SourceKeyId": source.arn,
            "KeyId": destination.arn,
            "SourceEncryptionAlgorithm": from_algorithm,
            "DestinationEncryptionAlgorithm": to_algorithm,
        }

    def generate_data_key(self, call: Call) -> dict[str, Any]:
        answer, plaintext = self._data_key(call)
        return answer | {"Plaintext": plaintext}

    def generate_data_key_without_plaintext(self, call: Call) -> dict[str, Any]:
        return self._data_key(call)[0]

    def generate_data_key_pair(self, call: Call) -> dict[str, Any]:
        answer, private = self._data_key_pair(call)
        return answer | {"PrivateKeyPlaintext": private}

    def generate_data_key_pair_without_plaintext(self, call: Call) -> dict[str, Any]:
        return self._data_key_pair(call)[0]

    def generate_random(self, call: Call) -> dict[str, Any]:
        if not call.params.get("NumberOfBytes"):
            raise AwsError("ValidationException", "NumberOfBytes is required.", status=400)
        return {"Plaintext": secrets.token_bytes(int(call.params["NumberOfBytes"]))}

    # Cryptography, for callers and services alike

    def seal(self, key: Key, algorithm: str, plaintext: bytes, context: Mapping[str, str]) -> bytes:
        """Encrypt under the newest material of a usable key."""
        material = self._keyring.material(key)
        assert material is not None
        _refuse_algorithm(key, algorithm, context)
        if key.spec == SYMMETRIC:
            number = len(key.materials) - 1
            return ciphertexts.seal(key.id, number, material, plaintext=plaintext, context=context)
        pair = asymmetric.loaded(material)
        most = asymmetric.most_plaintext_bytes(pair, algorithm)
        if len(plaintext) > most:
            text = f"Algorithm {algorithm} and key spec {key.spec} cannot encrypt data larger than {most} bytes."
            raise AwsError("ValidationException", text, status=400)
        return asymmetric.encrypt(pair, algorithm, plaintext)

    def open(self, key: Key, algorithm: str, blob: bytes, context: Mapping[str, str]) -> bytes:
        """Decrypt with the material that sealed; raises InvalidCiphertextException, without a word why."""
        _refuse_algorithm(key, algorithm, context)
        if key.spec == SYMMETRIC:
            read = ciphertexts.read_untrusted(blob)
            material = self._keyring.material(key, read.material) if read and read.key_id == key.id else None
            found = ciphertexts.open_untrusted(read, material, context) if read and material else None
        else:
            material = self._keyring.material(key)
            assert material is not None
            found = asymmetric.decrypt_untrusted(asymmetric.loaded(material), algorithm, blob)
        if found is None:
            raise AwsError("InvalidCiphertextException", "")
        return found

    # Shared steps

    def _key(self, call: Call, member: str, usage: str) -> Key:
        check_tokens(call.params)
        return usable(self._keyring.existing(call, str(call.params[member])), usage)

    def _data_key(self, call: Call) -> tuple[dict[str, Any], bytes]:
        key = symmetric(self._key(call, "KeyId", specs.ENCRYPT))
        plaintext = secrets.token_bytes(_data_key_bytes(call))
        sealed = self.seal(key, SYMMETRIC, plaintext, _context(call, "EncryptionContext"))
        finish_dry_run(call)
        answer = {"CiphertextBlob": sealed, "KeyId": key.arn, "KeyMaterialId": key.materials[-1].id}
        return answer, plaintext

    def _data_key_pair(self, call: Call) -> tuple[dict[str, Any], bytes]:
        key, spec = symmetric(self._key(call, "KeyId", specs.ENCRYPT)), str(call.params["KeyPairSpec"])
        if spec not in specs.RSA_BITS and spec not in specs.ELLIPTIC:
            raise AwsError("UnsupportedOperationException", f"KeyPairSpec {spec} is not part of this cloud's kms")
        finish_dry_run(call)
        pair = asymmetric.generate(spec)
        private = asymmetric.private_bytes(pair)
        answer = {
            "PrivateKeyCiphertextBlob": self.seal(key, SYMMETRIC, private, _context(call, "EncryptionContext")),
            "PublicKey": asymmetric.public_bytes(pair),
            "KeyId": key.arn,
            "KeyPairSpec": spec,
            "KeyMaterialId": key.materials[-1].id,
        }
        return answer, private


def _data_key_bytes(call: Call) -> int:
    size, spec = call.params.get("NumberOfBytes"), call.params.get("KeySpec")
    if (size is None) == (spec is None):
        which = "both" if size else "neither"
        text = f"Please specify either number of bytes or key spec; found {which}."
        raise AwsError("ValidationException", text, status=400)
    return int(size) if size else _AES_128_BYTES if spec == "AES_128" else _AES_256_BYTES


def _algorithm(call: Call, member: str) -> str:
    return str(call.params.get(member) or SYMMETRIC)


def _context(call: Call, member: str) -> Mapping[str, str]:
    found: Mapping[str, str] = call.params.get(member) or {}
    return found


def _refuse_algorithm(key: Key, algorithm: str, context: Mapping[str, str]) -> None:
    if algorithm not in specs.algorithms(key.spec, key.usage):
        text = f"Algorithm {algorithm} is incompatible with key spec {key.spec}."
        raise AwsError("InvalidKeyUsageException", text)
    if context and key.spec != SYMMETRIC:
        text = f"Encryption context is not supported with key spec {key.spec}."
        raise AwsError("ValidationException", text, status=400)
