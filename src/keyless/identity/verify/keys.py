"""The key behind a resource: who asks KMS when an action is done, and what bears on that question. Reads only.

GetBucketEncryption of S3, DescribeSecret of Secrets Manager, DescribeParameters of Systems Manager, DescribeKey,
GetKeyPolicy and ListGrants of KMS. What could not be read is an :class:`Unseen`, which makes an answer Unknown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from keyless.api import Arn
from keyless.aws import AWS_FAILURES, AwsError, Session
from keyless.identity.verify.aws_facts import as_written, document_source, why
from keyless.identity.verify.behind import KeyUse, Unseen
from keyless.policy import Source, Unreadable
from keyless.policy.amend import Written

# What the service asks KMS for, in the caller's name, while it does the action.
_READS, _WRITES = "kms:Decrypt", "kms:GenerateDataKey"
_ASKED: Mapping[str, str] = {
    "s3:getobject": _READS,
    "s3:getobjectversion": _READS,
    "s3:putobject": _WRITES,
    "secretsmanager:getsecretvalue": _READS,
    "secretsmanager:batchgetsecretvalue": _READS,
    "secretsmanager:putsecretvalue": _WRITES,
    "secretsmanager:updatesecret": _WRITES,
    "ssm:getparameter": _READS,
    "ssm:getparameters": _READS,
    "ssm:getparametersbypath": _READS,
    "ssm:getparameterhistory": _READS,
    "ssm:putparameter": "kms:Encrypt",
}
# By KeyUsage: what a component asks of the key that it signs with.
_SIGNS = {"SIGN_VERIFY": "kms:Sign", "GENERATE_VERIFY_MAC": "kms:GenerateMac"}
_ENCRYPTION = "s3:x-amz-server-side-encryption"
_NO_ENCRYPTION = "ServerSideEncryptionConfigurationNotFoundError"


@dataclass(frozen=True, slots=True)
class _Behind:
    """The key as the service names it (an id, an ARN or an alias), where to ask for it, and what is asked of it."""

    key: str
    aws: Session
    action: str
    context: Mapping[str, str]


async def key_use(aws: Session, action: str, resource: str) -> KeyUse | Unseen | None:
    """What is asked of KMS for one action; ``None`` where nothing is."""
    (found,) = await key_uses(aws, [(action, resource)])
    return found


async def key_uses(
    aws: Session, asked: Sequence[tuple[str, str]], sent: Mapping[str, str] = MappingProxyType({})
) -> list[KeyUse | Unseen | None]:
    """The same for many actions on resources; a key that is behind several is read once.

    ``sent`` are condition keys of the calls: a write that names its encryption is not encrypted as the bucket would.
    """
    regions: dict[str, Session] = {aws.region: aws}
    for _, resource in asked:
        region = resource.split(":", 4)[3] if resource.count(":") >= 5 else ""
        regions.setdefault(region or aws.region, aws.in_region(region) if region else aws)
    behind = await asyncio.gather(*(_behind(aws, regions, action, resource, sent) for action, resource in asked))
    sessions = {(one.aws.region, one.key): one.aws for one in behind if isinstance(one, _Behind)}
    read = await asyncio.gather(*(_key(session, key) for (_, key), session in sessions.items()))
    keys = dict(zip(sessions, read, strict=True))
    return [_used(one, keys[(one.aws.region, one.key)]) if isinstance(one, _Behind) else one for one in behind]


async def signing_uses(aws: Session, key: str) -> dict[str, KeyUse | Unseen]:
    """What a component asks of the key that it signs with, by its ARN or its alias's: it asks KMS itself."""
    arn = Arn.parse(key)
    found, made_for = await _described(aws.in_region(arn.region), key)
    sign = _SIGNS.get(made_for)
    if not isinstance(found, KeyUse):
        return {"kms:Sign": found}
    if sign is None:
        return {"kms:Sign": Unseen(f"{key} was made for {made_for} and signs nothing: name one made for SIGN_VERIFY")}
    context = {"kms:CallerAccount": Arn.parse(found.arn).account, "kms:KeyUsage": made_for}
    if arn.resource.startswith("alias/"):
        context["kms:RequestAlias"] = arn.resource
    return {action: replace(found, action=action, context=context) for action in ("kms:DescribeKey", sign)}


async def crypting_uses(aws: Session, key: str, sent: Mapping[str, str]) -> dict[str, KeyUse | Unseen]:
    """What a component asks of the key that it encrypts with itself; ``sent``: the encryption context."""
    arn = Arn.parse(key)
    found, made_for = await _described(aws.in_region(arn.region), key)
    if not isinstance(found, KeyUse):
        return {"kms:Encrypt": found}
    if made_for != "ENCRYPT_DECRYPT":
        return {"kms:Encrypt": Unseen(f"{key} was made for {made_for} and encrypts nothing: name another")}
    context = {"kms:CallerAccount": Arn.parse(found.arn).account, "kms:KeyUsage": made_for}
    if arn.resource.startswith("alias/"):
        context["kms:ResourceAliases"] = arn.resource
    said = {f"kms:EncryptionContext:{name}": value for name, value in sent.items()}
    crypts = {**context, **said, "kms:EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}
    asked = {"kms:DescribeKey": context, "kms:Encrypt": crypts, "kms:Decrypt": crypts}
    return {action: replace(found, action=action, context=each) for action, each in asked.items()}


async def _behind(
    aws: Session, regions: Mapping[str, Session], action: str, resource: str, sent: Mapping[str, str]
) -> _Behind | Unseen | None:
    asked = _ASKED.get(action.lower())
    if asked is None:
        return None
    if "*" in resource or "?" in resource:
        return Unseen(f"whether a key is behind it: {resource} is a pattern, not one resource")
    arn = Arn.parse(resource)
    region = arn.region or aws.region
    try:
        said = sent if asked == _WRITES else {}
        key, context = await _FINDERS[arn.service](regions[region], arn, said)
    except KeyError:
        return None
    except AWS_FAILURES as error:
        return Unseen(f"which key is behind {arn}: {why(arn.service, error)}")
    if not key:
        return None
    via = {"kms:ViaService": f"{arn.service}.{region}.amazonaws.com"}
    return _Behind(key, regions[region], asked, {**via, **context})


def _used(behind: _Behind, key: KeyUse | Unseen) -> KeyUse | Unseen:
    if isinstance(key, Unseen):
        return key
    context = {**behind.context, "kms:CallerAccount": Arn.parse(key.arn).account}
    return replace(key, action=behind.action, context=context)


async def _key(aws: Session, key: str) -> KeyUse | Unseen:
    return (await _described(aws, key))[0]


async def _described(aws: Session, key: str) -> tuple[KeyUse | Unseen, str]:
    """A key, what bears on every question to it, and KMS's KeyUsage; what is asked of it comes later."""
    try:
        found = (await aws.call("kms", "DescribeKey", KeyId=key))["KeyMetadata"]
    except AWS_FAILURES as error:
        return Unseen(f"key {key}: {why('kms', error)}"), ""
    arn = str(found["Arn"])
    policy, written = await _policy(aws, arn)
    # Nobody may change the policy of a key that AWS manages.
    own = written if found.get("KeyManager", "CUSTOMER") == "CUSTOMER" else None
    use = KeyUse("", arn, {}, policy, await _grants(aws, arn), own, str(found.get("KeyState", "Enabled")))
    return use, str(found.get("KeyUsage", "ENCRYPT_DECRYPT"))


async def _policy(aws: Session, arn: str) -> tuple[Source, Written | None]:
    name = f"key policy of {arn}"
    try:
        answer = await aws.call("kms", "GetKeyPolicy", KeyId=arn, PolicyName="default")
    except AWS_FAILURES as error:
        return Unreadable(name, why("kms", error)), None
    return document_source(name, answer["Policy"], "resource"), as_written(answer["Policy"])


async def _grants(aws: Session, arn: str) -> tuple[Mapping[str, Any], ...] | Unseen:
    found: list[Mapping[str, Any]] = []
    page: dict[str, str] = {}
    try:
        while True:
            answer = await aws.call("kms", "ListGrants", KeyId=arn, **page)
            found += answer.get("Grants", ())
            if not answer.get("Truncated"):
                return tuple(found)
            page = {"Marker": answer["NextMarker"]}
    except AWS_FAILURES as error:
        return Unseen(f"grants of {arn}: {why('kms', error)}")


async def _of_object(aws: Session, arn: Arn, sent: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    bucket = arn.resource.partition("/")[0]
    named = sent.get(_ENCRYPTION, "")
    if named and not named.startswith("aws:kms"):
        return "", {}
    try:
        answer = await aws.call("s3", "GetBucketEncryption", Bucket=bucket)
    except AWS_FAILURES as error:
        if isinstance(error, AwsError) and error.code == _NO_ENCRYPTION:
            return "", {}
        raise
    rules = answer["ServerSideEncryptionConfiguration"]["Rules"]
    chosen: Mapping[str, Any] = next((rule for rule in rules if "ApplyServerSideEncryptionByDefault" in rule), {})
    default = chosen.get("ApplyServerSideEncryptionByDefault", {})
    if not (named or str(default.get("SSEAlgorithm", ""))).startswith("aws:kms"):
        return "", {}
    # With a bucket key S3 speaks of the bucket, not of the object.
    about = f"arn:{arn.partition}:s3:::{bucket}" if chosen.get("BucketKeyEnabled") else str(arn)
    # A header without a key means AWS's own, whatever the bucket's default names.
    key = sent.get(f"{_ENCRYPTION}-aws-kms-key-id", "") if named else default.get("KMSMasterKeyID", "")
    return key or "alias/aws/s3", {"kms:EncryptionContext:aws:s3:arn": about}


async def _of_secret(aws: Session, arn: Arn, _sent: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    found = await aws.call("secretsmanager", "DescribeSecret", SecretId=str(arn))
    return found.get("KmsKeyId") or "alias/aws/secretsmanager", {"kms:EncryptionContext:SecretARN": found["ARN"]}


async def _of_parameter(aws: Session, arn: Arn, _sent: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    path = arn.resource.removeprefix("parameter/")
    names = [path, f"/{path}"]  # the ARN does not tell whether the name begins with a slash
    filters = [{"Key": "Name", "Option": "Equals", "Values": names}]
    listed = (await aws.call("ssm", "DescribeParameters", ParameterFilters=filters)).get("Parameters", ())
    secure = next((one for one in listed if one.get("Type") == "SecureString"), None)
    if secure is None:
        return "", {}
    return secure.get("KeyId") or "alias/aws/ssm", {"kms:EncryptionContext:PARAMETER_ARN": str(arn)}


_FINDERS: Mapping[str, Callable[[Session, Arn, Mapping[str, str]], Awaitable[tuple[str, dict[str, str]]]]] = {
    "s3": _of_object,
    "secretsmanager": _of_secret,
    "ssm": _of_parameter,
}
