"""The resource that is meant: whether a role is there, and a secret by the name that AWS gave it. Reads only."""

from __future__ import annotations

import re

from keyless.api import Arn
from keyless.aws import AWS_FAILURES, Session
from keyless.identity.verify.model import Missing
from keyless.identity.verify.near import resembling

_ABSENT = ("NoSuchEntity", "NoSuchEntityException")
_SUFFIX = re.compile(r"-[?]{6}\Z")


async def missing_role(aws: Session, arn: Arn) -> Missing | None:
    """The role of the ARN, where it is certainly not there."""
    name = arn.resource.rpartition("/")[2]
    try:
        found = (await aws.call("iam", "GetRole", RoleName=name))["Role"]["Arn"]
    except AWS_FAILURES as error:
        return Missing(name, await _near(aws, name)) if error.code in _ABSENT else None
    return None if found == str(arn) else Missing(str(arn), (found,))


async def _near(aws: Session, name: str) -> tuple[str, ...]:
    try:
        listed = await aws.call("iam", "ListRoles", MaxItems=1000)
    except AWS_FAILURES:
        return ()  # that the role is missing is the fact
    return resembling(name, (one["RoleName"] for one in listed.get("Roles") or ()))


async def exact(aws: Session, arn: Arn) -> Arn:
    """A secret's ARN with the six characters at its end; others, and one that nobody may describe, as they are."""
    if arn.service != "secretsmanager" or "*" in arn.resource:
        return arn
    whole = str(arn)
    for name in dict.fromkeys((_SUFFIX.sub("", whole), _SUFFIX.sub("", arn.resource.removeprefix("secret:")))):
        try:
            return Arn.parse(
                (await aws.in_region(arn.region).call("secretsmanager", "DescribeSecret", SecretId=name))["ARN"]
            )
        except AWS_FAILURES:
            continue
    return arn
