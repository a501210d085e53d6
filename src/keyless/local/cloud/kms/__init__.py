"""AWS KMS: symmetric keys with key policies, aliases, Encrypt, Decrypt and GenerateDataKey.

A key policy must allow, as on AWS: the default one delegates to the account, and then the caller's own policy decides.
Ciphertexts are ours (AES-256-GCM with the encryption context as associated data), not AWS's. No grants, no asymmetric
keys, no rotation.
"""

from __future__ import annotations

from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.kms.keys import Keys
from keyless.local.cloud.service import Operation, Service

__all__ = ["Keys", "Kms"]


class Kms:
    """The service on one set of keys."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def service(self) -> Service:
        """The table of its operations."""
        keys = self._keys
        return Service(
            "kms",
            operations=(
                Operation("CreateKey", keys.create),
                Operation("DescribeKey", keys.describe, keys.target),
                Operation("ListKeys", keys.list_all),
                Operation("GetKeyPolicy", keys.get_policy, keys.target),
                Operation("PutKeyPolicy", keys.put_policy, keys.target),
                Operation("ScheduleKeyDeletion", keys.schedule_deletion, keys.target),
                Operation("CreateAlias", keys.create_alias, keys.target_of_alias),
                Operation("DeleteAlias", keys.delete_alias, keys.target_of_alias),
                Operation("ListAliases", keys.list_aliases),
                Operation("Encrypt", keys.encrypt, keys.target),
                Operation("Decrypt", keys.decrypt, keys.target_of_ciphertext),
                Operation("GenerateDataKey", keys.generate_data_key, keys.target),
            ),
            target_prefix="TrentService",
            invalid=lambda text: AwsError("ValidationException", text, status=400),
        )
