"""AWS KMS: keys with policies, grants, aliases, rotation; encryption, data keys, signatures and MACs.

A key's policy must allow, as on AWS: the default one delegates to the account, and then the caller's own policy
decides; a grant lets its grantee in beside it. Ciphertexts are ours, not AWS's: neither side can read the other's. One
region, no imported material, no custom key stores, no multi-region keys.

    kms = Kms(database, root_key)
    kms.service()                     # the table of its operations
    kms.for_services                  # how other services use keys for their callers
"""

from __future__ import annotations

from keyless.local.cloud.database import Database
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.kms.aliases import AliasOperations
from keyless.local.cloud.kms.encryption import EncryptionOperations
from keyless.local.cloud.kms.grants import GrantOperations
from keyless.local.cloud.kms.keyring import Keyring, Place
from keyless.local.cloud.kms.keys import KeyOperations
from keyless.local.cloud.kms.rootkey import root_key_in
from keyless.local.cloud.kms.rotation import RotationOperations
from keyless.local.cloud.kms.signing import SigningOperations
from keyless.local.cloud.kms.targets import Targets
from keyless.local.cloud.kms.through import KeysForServices
from keyless.local.cloud.service import Operation, Service

__all__ = ["KeysForServices", "Kms", "Place", "root_key_in"]


class Kms:
    """The service on one database. Without ``root_key`` (tests) one is kept in the database."""

    def __init__(self, database: Database, root_key: bytes = b"") -> None:
        self._keyring = Keyring(database, root_key)
        self._targets = Targets(self._keyring)
        self._encryption = EncryptionOperations(self._keyring, self._targets)
        self.for_services = KeysForServices(self._keyring, self._targets, self._encryption)

    def service(self) -> Service:
        """The table of its operations."""
        operations = (*self._of_keys(), *self._of_names(), *self._of_grants(), *self._of_cryptography())
        return Service(
            "kms",
            operations=operations,
            target_prefix="TrentService",
            invalid=lambda text: AwsError("ValidationException", text, status=400),
        )

    def _of_keys(self) -> tuple[Operation, ...]:
        do, key = KeyOperations(self._keyring), self._targets.key
        rotation = RotationOperations(self._keyring)
        return (
            Operation("CreateKey", do.create, self._targets.new_key),
            Operation("DescribeKey", do.describe, key),
            Operation("ListKeys", do.list_all),
            Operation("UpdateKeyDescription", do.update_description, key),
            Operation("EnableKey", do.enable, key),
            Operation("DisableKey", do.disable, key),
            Operation("ScheduleKeyDeletion", do.schedule_deletion, key),
            Operation("CancelKeyDeletion", do.cancel_deletion, key),
            Operation("GetKeyPolicy", do.get_policy, key),
            Operation("PutKeyPolicy", do.put_policy, key),
            Operation("ListKeyPolicies", do.list_policies, key),
            Operation("EnableKeyRotation", rotation.enable, key),
            Operation("DisableKeyRotation", rotation.disable, key),
            Operation("GetKeyRotationStatus", rotation.status, key),
            Operation("RotateKeyOnDemand", rotation.on_demand, key),
            Operation("ListKeyRotations", rotation.list_all, key),
        )

    def _of_names(self) -> tuple[Operation, ...]:
        do, aliases, key = KeyOperations(self._keyring), AliasOperations(self._keyring), self._targets.key
        return (
            Operation("TagResource", do.tag, key),
            Operation("UntagResource", do.untag, key),
            Operation("ListResourceTags", do.list_tags, key),
            Operation("CreateAlias", aliases.create, self._targets.alias_and_key),
            Operation("UpdateAlias", aliases.update, self._targets.alias_and_key),
            Operation("DeleteAlias", aliases.delete, self._targets.alias_and_key),
            Operation("ListAliases", aliases.list_all),
        )

    def _of_grants(self) -> tuple[Operation, ...]:
        do, key = GrantOperations(self._keyring, self._targets), self._targets.key
        return (
            Operation("CreateGrant", do.create, key),
            Operation("ListGrants", do.list_all, key),
            Operation("ListRetirableGrants", do.list_retirable),
            Operation("RevokeGrant", do.revoke, key),
            Operation("RetireGrant", do.retire, do.target_of_retiring),
        )

    def _of_cryptography(self) -> tuple[Operation, ...]:
        do, signing, key = self._encryption, SigningOperations(self._keyring), self._targets.key
        return (
            Operation("Encrypt", do.encrypt, key),
            Operation("Decrypt", do.decrypt, self._targets.ciphertext),
            Operation("ReEncrypt", do.re_encrypt, self._targets.re_encryption),
            Operation("GenerateDataKey", do.generate_data_key, key),
            Operation("GenerateDataKeyWithoutPlaintext", do.generate_data_key_without_plaintext, key),
            Operation("GenerateDataKeyPair", do.generate_data_key_pair, key),
            Operation("GenerateDataKeyPairWithoutPlaintext", do.generate_data_key_pair_without_plaintext, key),
            Operation("GenerateRandom", do.generate_random),
            Operation("Sign", signing.sign, key),
            Operation("Verify", signing.verify, key),
            Operation("GetPublicKey", signing.get_public_key, key),
            Operation("GenerateMac", signing.generate_mac, key),
            Operation("VerifyMac", signing.verify_mac, key),
        )
