"""What stands behind each ARN pattern that a component declares: the resource, its policy, its key. Reads only.

DescribeSecret and GetResourcePolicy of Secrets Manager, DescribeParameters of Systems Manager, GetBucketEncryption of
S3, and of KMS what :mod:`keyless.identity.verify.keys` reads. A secret's declared pattern leaves the end of its ARN
open; here it becomes the ARN that the secret has.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from keyless.api import Access, Arn
from keyless.aws import AWS_FAILURES, Session
from keyless.identity.verify.aws_facts import why
from keyless.identity.verify.behind import Reached
from keyless.identity.verify.keys import crypting_uses, key_uses, signing_uses
from keyless.identity.verify.permission import one_of
from keyless.identity.verify.permission_fix import needed
from keyless.identity.verify.resource_policies import resource_policy
from keyless.policy import Unreadable

_SUFFIX = re.compile(r"-\?{6}\Z")


async def reached(aws: Session, access: Access, patterns: Sequence[str]) -> dict[str, Reached]:
    """What stands behind ``patterns`` of the access; a secret that is not there is left out."""
    looked = dict(zip(patterns, await asyncio.gather(*(_resource(aws, one) for one in patterns)), strict=True))
    found = {pattern: one for pattern, one in looked.items() if one is not None}
    # Of a secret that may not be described nobody knows the key: its policy, which is not seen either, says so.
    known = {p for p, one in found.items() if not (isinstance(one.policy, Unreadable) and one.resource == one_of(p))}
    asked = [(action, pattern) for action, pattern in needed(access) if pattern in known]
    named = [(action, found[pattern].resource) for action, pattern in asked]
    uses = await key_uses(aws, named, dict(access.sent))
    behind = {pattern: one.keys for pattern, one in found.items()}
    for (action, pattern), use in zip(asked, uses, strict=True):
        if use is not None:
            behind[pattern] = {**behind[pattern], action: use}
    return {p: Reached(one.resource, one.policy, behind[p], one.deleted) for p, one in found.items()}


async def signed_with(aws: Session, access: Access) -> dict[str, Reached]:
    """The key that the component signs with, which it asks itself."""
    return {access.signs: Reached(access.signs, keys=await signing_uses(aws, access.signs))} if access.signs else {}


async def crypted_with(aws: Session, access: Access) -> dict[str, Reached]:
    """The key that the component encrypts with, which it asks itself."""
    if not access.encrypts:
        return {}
    uses = await crypting_uses(aws, access.encrypts, dict(access.context))
    return {access.encrypts: Reached(access.encrypts, keys=uses)}


async def _resource(aws: Session, pattern: str) -> Reached | None:
    arn = Arn.parse(pattern)
    if arn.service != "secretsmanager":
        return Reached(one_of(pattern))
    there = aws.in_region(arn.region) if arn.region else aws
    try:
        name = _SUFFIX.sub("", arn.resource.removeprefix("secret:")) if "?" in pattern else pattern
        described = await there.call("secretsmanager", "DescribeSecret", SecretId=name)
    except AWS_FAILURES as error:
        if error.code == "ResourceNotFoundException" or "*" in pattern:
            return None
        # What was not seen may deny, and of another account's nobody may say that it does not allow.
        return Reached(one_of(pattern), Unreadable(f"policy of {pattern}", why("secretsmanager", error)))
    own = str(described.get("ARN", one_of(pattern)))
    return Reached(own, await resource_policy(aws, own), deleted=_day(described))


async def deletion_of(aws: Session, secret: str) -> str:
    """The day on which the secret of an ARN goes, where that is scheduled; empty where it is not, or nobody may see."""
    try:
        there = aws.in_region(Arn.parse(secret).region)
        return _day(await there.call("secretsmanager", "DescribeSecret", SecretId=secret))
    except AWS_FAILURES:
        return ""


def _day(described: Mapping[str, Any]) -> str:
    deleted = described.get("DeletedDate")
    return deleted.date().isoformat() if isinstance(deleted, datetime) else ""
