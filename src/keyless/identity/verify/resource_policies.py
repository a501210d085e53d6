"""The policy of a resource: of a bucket, a secret, a key, or the trust policy of a role. Reads only.

GetBucketPolicy of S3, GetResourcePolicy of Secrets Manager, GetKeyPolicy of KMS, GetRole of IAM. Services whose
policies nothing here reads are told of: their resources may have some.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keyless.api import Arn
from keyless.aws import AWS_FAILURES, Session
from keyless.identity.verify.aws_facts import AwsFacts, document_source, why
from keyless.identity.verify.model import Role, Unread
from keyless.policy import Named, Source, Unreadable


@dataclass(frozen=True, slots=True)
class _Reader:
    """How one service tells the policy of a resource; ``absent`` are the codes for "there is none"."""

    operation: str
    field: str
    absent: tuple[str, ...]


_READERS = {
    "s3": _Reader("GetBucketPolicy", "Policy", ("NoSuchBucketPolicy", "NoSuchBucket")),
    "secretsmanager": _Reader("GetResourcePolicy", "ResourcePolicy", ("ResourceNotFoundException",)),
    "kms": _Reader("GetKeyPolicy", "Policy", ("NotFoundException",)),
}
# Their resources may have policies, which nothing here reads: better to say so than to leave them out.
_UNREAD_SERVICES = frozenset(
    [
        "backup",
        "codeartifact",
        "dynamodb",
        "ecr",
        "elasticfilesystem",
        "es",
        "events",
        "glue",
        "kinesis",
        "lambda",
        "sns",
        "sqs",
        "s3express",
    ]
)


async def resource_policy(aws: Session, resource: str) -> Source | None:
    """The policy of the resource of an ARN; ``None`` where it has none."""
    try:
        arn = Arn.parse(resource)
    except ValueError:
        return None
    name = f"policy of {resource}"
    if arn.service == "iam" and arn.resource.startswith("role/"):
        return await _trust(aws, resource)
    if arn.service in _UNREAD_SERVICES:
        return Unreadable(name, f"policies of {arn.service} resources are not read")
    reader = _READERS.get(arn.service)
    if reader is None:
        return None
    asked = _parameters(arn)
    if any("*" in value or "?" in value for value in asked.values()):
        return Unreadable(name, "a pattern, not one resource")
    try:
        # A secret or a key is known in its own region alone.
        there = aws.in_region(arn.region) if arn.region else aws
        answer = await there.call(arn.service, reader.operation, **asked)
    except AWS_FAILURES as error:
        return None if error.code in reader.absent else Unreadable(name, why(arn.service, error))
    text = answer.get(reader.field)
    return document_source(name, text, "resource") if text else None


async def _trust(aws: Session, role: str) -> Source | None:
    found: Role | Unread | None = await AwsFacts(aws).role(role, "")
    if isinstance(found, Unread):
        return Unreadable(f"trust policy of {role}", found.why)
    return Named(f"trust policy of {found.name}", found.trust) if found else None


def _parameters(arn: Arn) -> Mapping[str, Any]:
    if arn.service == "s3":
        return {"Bucket": arn.resource.partition("/")[0]}
    if arn.service == "secretsmanager":
        return {"SecretId": str(arn)}
    return {"KeyId": str(arn), "PolicyName": "default"}
