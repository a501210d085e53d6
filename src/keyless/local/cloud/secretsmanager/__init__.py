"""AWS Secrets Manager: secrets with versions and stages, batch reads, resource policies, deletion with recovery.

Values lie encrypted under keys of KMS, and a customer key asks the caller, as on AWS. No rotation (there is no Lambda)
and no replicas (there is one region).
"""

from __future__ import annotations

from keyless.local.cloud.database import Database
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.kms import KeysForServices
from keyless.local.cloud.secretsmanager.reading import Reading
from keyless.local.cloud.secretsmanager.secrets import Secrets
from keyless.local.cloud.secretsmanager.targets import Targets
from keyless.local.cloud.secretsmanager.values import Values
from keyless.local.cloud.secretsmanager.writing import Writing
from keyless.local.cloud.service import INSIDE, Operation, Service

__all__ = ["SecretsManager"]


class SecretsManager:
    """The service on one database, with the keys of KMS."""

    def __init__(self, database: Database, keys: KeysForServices) -> None:
        values = Values(keys)
        secrets = Secrets(database, values)
        self._targets = Targets(secrets)
        self._reading = Reading(secrets, values, self._targets)
        self._writing = Writing(secrets, values)

    def service(self) -> Service:
        """The table of its operations."""
        read, write, secret = self._reading, self._writing, self._targets.secret
        return Service(
            "secretsmanager",
            operations=(
                Operation("CreateSecret", write.create, self._targets.new_secret),
                Operation("GetSecretValue", read.get_value, secret),
                Operation("BatchGetSecretValue", read.batch_get, INSIDE),
                Operation("PutSecretValue", write.put_value, secret),
                Operation("UpdateSecret", write.update, secret),
                Operation("UpdateSecretVersionStage", write.update_stage, secret),
                Operation("DescribeSecret", read.describe, secret),
                Operation("ListSecrets", read.list_all),
                Operation("ListSecretVersionIds", read.list_versions, secret),
                Operation("DeleteSecret", write.delete, secret),
                Operation("RestoreSecret", write.restore, secret),
                Operation("TagResource", write.tag, secret),
                Operation("UntagResource", write.untag, secret),
                Operation("GetResourcePolicy", read.get_policy, secret),
                Operation("PutResourcePolicy", write.put_policy, secret),
                Operation("DeleteResourcePolicy", write.delete_policy, secret),
                Operation("ValidateResourcePolicy", write.validate_policy, self._targets.secret_if_named),
                Operation("GetRandomPassword", read.get_random_password),
                Operation("RotateSecret", write.rotate, secret),
                Operation("CancelRotateSecret", write.cancel_rotation, secret),
            ),
            target_prefix="secretsmanager",
            invalid=lambda text: AwsError("ValidationException", text, status=400),
        )
