"""AWS Systems Manager Parameter Store: String, StringList and SecureString, versions, labels, paths, tags.

A SecureString is encrypted under a key of KMS, and reading it needs ``kms:Decrypt`` on a customer key as on AWS; the
account's own ``alias/aws/ssm`` needs no permission of its own. No parameter policies, nothing else of Systems Manager.
"""

from __future__ import annotations

from keyless.local.cloud.database import Database
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.kms import KeysForServices
from keyless.local.cloud.service import Operation, Service
from keyless.local.cloud.ssm.operations import Operations
from keyless.local.cloud.ssm.parameters import Parameters

__all__ = ["ParameterStore"]


class ParameterStore:
    """The service on one database, with the keys of KMS."""

    def __init__(self, database: Database, keys: KeysForServices) -> None:
        self._operations = Operations(Parameters(database), keys=keys)

    def service(self) -> Service:
        """The table of its operations."""
        do = self._operations
        return Service(
            "ssm",
            operations=(
                Operation("PutParameter", do.put, do.target),
                Operation("GetParameter", do.get, do.target),
                Operation("GetParameters", do.get_many, do.targets),
                Operation("GetParametersByPath", do.get_by_path, do.target_of_path),
                Operation("DescribeParameters", do.describe),
                Operation("GetParameterHistory", do.history, do.target),
                Operation("DeleteParameter", do.delete, do.target),
                Operation("DeleteParameters", do.delete_many, do.targets),
                Operation("LabelParameterVersion", do.label, do.target),
                Operation("AddTagsToResource", do.add_tags, do.target_of_resource),
                Operation("RemoveTagsFromResource", do.remove_tags, do.target_of_resource),
                Operation("ListTagsForResource", do.list_tags, do.target_of_resource),
            ),
            target_prefix="AmazonSSM",
            invalid=lambda text: AwsError("ValidationException", text, status=400),
        )
