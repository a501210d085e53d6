"""AWS Secrets Manager: secrets with versions and stages, batch reads, resource policies, deletion with recovery.

No rotation and no replicas; values lie in the state's folder, which only its owner can read.
"""

from __future__ import annotations

from keyless.local.cloud.database import Database
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.secretsmanager.operations import Operations
from keyless.local.cloud.secretsmanager.secrets import Secrets
from keyless.local.cloud.service import INSIDE, Operation, Service

__all__ = ["SecretsManager"]


class SecretsManager:
    """The service on one database."""

    def __init__(self, database: Database) -> None:
        self._operations = Operations(Secrets(database))

    def service(self) -> Service:
        """The table of its operations."""
        do = self._operations
        return Service(
            "secretsmanager",
            operations=(
                Operation("CreateSecret", do.create, do.target_of_new),
                Operation("GetSecretValue", do.get_value, do.target),
                Operation("BatchGetSecretValue", do.batch_get, INSIDE),
                Operation("PutSecretValue", do.put_value, do.target),
                Operation("UpdateSecret", do.update, do.target),
                Operation("UpdateSecretVersionStage", do.update_stage, do.target),
                Operation("DescribeSecret", do.describe, do.target),
                Operation("ListSecrets", do.list_all),
                Operation("ListSecretVersionIds", do.list_versions, do.target),
                Operation("DeleteSecret", do.delete, do.target),
                Operation("RestoreSecret", do.restore, do.target),
                Operation("TagResource", do.tag, do.target),
                Operation("UntagResource", do.untag, do.target),
                Operation("GetResourcePolicy", do.get_policy, do.target),
                Operation("PutResourcePolicy", do.put_policy, do.target),
                Operation("DeleteResourcePolicy", do.delete_policy, do.target),
            ),
            target_prefix="secretsmanager",
            invalid=lambda text: AwsError("ValidationException", text, status=400),
        )
