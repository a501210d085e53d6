"""Key policies: the ones that keys are born with, and the checks on those that callers send.

https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from keyless.local.cloud.errors import AwsError
from keyless.policy import MalformedPolicy, parse_to_store

POLICY_NAME = "default"

#: services whose managed key AWS makes when it is first used or described
MANAGED_BY = frozenset(
    {"acm", "backup", "dynamodb", "ebs", "elasticfilesystem", "es", "glue", "kinesis", "lambda", "rds", "redshift"}
    | {"s3", "secretsmanager", "sns", "sqs", "ssm"}
)


def default_policy(account: str) -> str:
    """What CreateKey gives a key: the account may use it as its own policies say."""
    statement = {
        "Sid": "Enable IAM User Permissions",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
        "Action": "kms:*",
        "Resource": "*",
    }
    return json.dumps({"Version": "2012-10-17", "Id": "key-default-1", "Statement": [statement]})


def managed_policy(service: str, account: str, region: str) -> str:
    """What a service's own key has: everybody in the account, through that service alone."""
    through = {
        "Sid": f"Allow access through {service} for all principals in the account that are authorized to use {service}",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": [
            "kms:Encrypt",
            "kms:Decrypt",
            "kms:ReEncrypt*",
            "kms:GenerateDataKey*",
            "kms:CreateGrant",
            "kms:DescribeKey",
        ],
        "Resource": "*",
        "Condition": {
            "StringEquals": {"kms:CallerAccount": account, "kms:ViaService": f"{service}.{region}.amazonaws.com"}
        },
    }
    direct = {
        "Sid": "Allow direct access to key metadata to the account",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
        "Action": ["kms:Describe*", "kms:Get*", "kms:List*", "kms:RevokeGrant"],
        "Resource": "*",
    }
    return json.dumps({"Version": "2012-10-17", "Id": f"auto-{service}-1", "Statement": [through, direct]})


def checked(policy: str) -> str:
    """The policy, or MalformedPolicyDocumentException."""
    try:
        parse_to_store(policy, "resource")
    except MalformedPolicy as error:
        raise AwsError("MalformedPolicyDocumentException", str(error)) from None
    return policy


def with_statements(policy: str, statements: Sequence[dict[str, Any]]) -> str:
    """The policy and some statements more (grants are decided so); the same text for the same things."""
    return _joined(policy, json.dumps(statements, sort_keys=True)) if statements else policy


@lru_cache(maxsize=512)
def _joined(policy: str, statements: str) -> str:
    document = json.loads(policy)
    own = document["Statement"]
    document["Statement"] = [*(own if isinstance(own, list) else [own]), *json.loads(statements)]
    return json.dumps(document)
