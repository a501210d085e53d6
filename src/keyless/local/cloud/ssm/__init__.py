"""AWS Systems Manager Parameter Store: parameters with versions, labels, paths, tiers, policies and tags.

A SecureString is encrypted under a key of KMS, and reading it needs ``kms:Decrypt`` on a customer key as on AWS; the
account's own ``alias/aws/ssm`` needs no permission of its own. Nothing else of Systems Manager; no public parameters,
no sharing.
"""

from __future__ import annotations

from keyless.local.cloud.database import Database
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.kms import KeysForServices
from keyless.local.cloud.service import Operation, Service
from keyless.local.cloud.ssm.parameters import Parameters
from keyless.local.cloud.ssm.reading import Reading
from keyless.local.cloud.ssm.targets import Targets
from keyless.local.cloud.ssm.values import Values
from keyless.local.cloud.ssm.writing import Writing

__all__ = ["ParameterStore"]


class ParameterStore:
    """The service on one database, with the keys of KMS."""

    def __init__(self, database: Database, keys: KeysForServices) -> None:
        parameters, values = Parameters(database), Values(keys)
        self._targets = Targets(parameters)
        self._reading = Reading(parameters, values)
        self._writing = Writing(parameters, values)

    def service(self) -> Service:
        """The table of its operations."""
        read, write, target = self._reading, self._writing, self._targets
        return Service(
            "ssm",
            operations=(
                Operation("PutParameter", write.put, target.written),
                Operation("GetParameter", read.get, target.parameter),
                Operation("GetParameters", read.get_many, target.parameters),
                Operation("GetParametersByPath", read.get_by_path, target.path),
                Operation("DescribeParameters", read.describe),
                Operation("GetParameterHistory", read.history, target.parameter),
                Operation("DeleteParameter", write.delete, target.parameter),
                Operation("DeleteParameters", write.delete_many, target.parameters),
                Operation("LabelParameterVersion", write.label, target.parameter),
                Operation("UnlabelParameterVersion", write.unlabel, target.parameter),
                Operation("AddTagsToResource", write.add_tags, target.tagged),
                Operation("RemoveTagsFromResource", write.remove_tags, target.tagged),
                Operation("ListTagsForResource", read.list_tags, target.tagged),
            ),
            target_prefix="AmazonSSM",
            invalid=lambda text: AwsError("ValidationException", text, status=400),
        )
