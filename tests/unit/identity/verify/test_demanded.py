"""What a bucket demands of a write is judged by what the values make the collector say, and met by values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from keyless.api import Reason
from keyless.aws import Session
from keyless.aws.writing import Writing
from keyless.backup.access import access as snapshots
from keyless.billing.access import access
from keyless.cli.verifying import BACKUP
from keyless.identity.verify import Facts, State
from keyless.identity.verify.behind import KeyUse
from keyless.identity.verify.model import Bucket
from keyless.identity.verify.reached import reached
from keyless.policy import Named, parse
from unit.identity.verify.chains import ACCOUNT, irsa, named
from unit.identity.verify.test_gather import FakeAws

SSE, KEY = "s3:x-amz-server-side-encryption", "s3:x-amz-server-side-encryption-aws-kms-key-id"
ARN = f"arn:aws:kms:us-west-2:{ACCOUNT}:key/1234"
OWNER = "bucket-owner-full-control"


def chain(writing: Writing, *conditions: dict[str, Any]) -> Facts:
    everything = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::usage/*"}
    statements = [{**everything, "Condition": one} for one in conditions]
    document = {"Version": "2012-10-17", "Statement": statements}
    policy = Named("policy of bucket usage", parse(document, "resource")) if statements else None
    facts = irsa()
    assert facts.access is not None
    account = facts.access.resources[0].partition("account=")[2].partition("/")[0]
    return replace(facts, access=access("usage", account, writing=writing), bucket=Bucket("usage", "us-west-2", policy))


def sets(**values: str) -> list[str]:
    return [f"billing.storage.aws.{name}={value}" for name, value in values.items()]


NOT_ENCRYPTED, NO_HEADER = {"StringNotEquals": {SSE: "aws:kms"}}, {"Null": {SSE: "true"}}
OTHER_KEY, NOT_NEW = {"StringNotEquals": {KEY: ARN}}, {"Null": {"s3:if-none-match": "true"}}
NOT_OWNED = {"StringNotEquals": {"s3:x-amz-acl": OWNER}}
# what the policy denies, what is said, what the printed command sets (None: it holds)
DEMANDS: dict[str, tuple[tuple[dict[str, Any], ...], Writing, list[str] | None]] = {
    "only new keys": ((NOT_NEW,), Writing(), None),
    "KMS, and it is": ((NOT_ENCRYPTED,), Writing("aws:kms"), None),
    "KMS, and it is not": ((NOT_ENCRYPTED,), Writing(), sets(serverSideEncryption="aws:kms")),
    "KMS, and it is S3's": ((NOT_ENCRYPTED,), Writing("AES256"), sets(serverSideEncryption="aws:kms")),
    "any header": ((NO_HEADER,), Writing(), sets(serverSideEncryption="AES256")),
    "a key": ((OTHER_KEY,), Writing(), sets(ssekmsKeyId=ARN, serverSideEncryption="aws:kms")),
    "another key": ((OTHER_KEY,), Writing("aws:kms", "alias/mine"), sets(ssekmsKeyId=ARN)),
    "KMS and a key, by two statements": (
        (NOT_ENCRYPTED, OTHER_KEY),
        Writing(),
        sets(serverSideEncryption="aws:kms", ssekmsKeyId=ARN),
    ),
    "its owner's": ((NOT_OWNED,), Writing(), sets(acl=OWNER)),
    "a class of storage that nobody names": (
        ({"StringEquals": {"s3:x-amz-storage-class": "GLACIER"}},),
        Writing(),
        None,
    ),
}


@pytest.mark.parametrize("demand", DEMANDS)
def test_what_a_bucket_demands_is_met_by_values_or_holds(demand: str) -> None:
    conditions, writing, wanted = DEMANDS[demand]
    link = named(chain(writing, *conditions), "permission")
    if wanted is None:
        assert link.state is State.HELD, link
        return
    assert (link.state, link.reason) == (State.BROKEN, Reason.PERMISSION_DENIED_EXPLICITLY)
    assert link.fix.startswith("helm upgrade ")
    for each in wanted:
        assert each in link.fix


@pytest.mark.parametrize(
    "condition",
    [
        {"StringNotEquals": {"aws:PrincipalOrgID": "o-1"}},
        {"StringNotEquals": {SSE: "aws:kms", "aws:SourceVpce": "vpce-1"}},
        {"StringLike": {"s3:if-none-match": "*"}},
    ],
)
def test_what_no_value_changes_gets_no_values(condition: dict[str, Any]) -> None:
    link = named(chain(Writing(), condition), "permission")
    assert link.state is not State.HELD
    assert "billing.storage" not in link.fix


def test_a_list_of_grantees_is_a_permission_of_its_own() -> None:
    link = named(chain(Writing(acl=OWNER)), "permission")
    assert (link.state, link.reason) == (State.BROKEN, Reason.PERMISSION_MISSING)
    assert "s3:PutObjectAcl" in link.fix


BY_KMS = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/bucket"}
BY_S3 = {"SSEAlgorithm": "AES256"}


@pytest.mark.parametrize(
    ("default", "writing", "key"),
    [
        (BY_S3, Writing(), None),
        (BY_S3, Writing("AES256"), None),
        (BY_S3, Writing("aws:kms"), "alias/aws/s3"),
        (BY_S3, Writing("aws:kms", ARN), ARN),
        (BY_S3, Writing("aws:kms:dsse", "alias/mine"), "alias/mine"),
        (BY_KMS, Writing(), "alias/bucket"),
        (BY_KMS, Writing("AES256"), None),
        (BY_KMS, Writing("aws:kms"), "alias/aws/s3"),
        (BY_KMS, Writing("aws:kms", ARN), ARN),
    ],
)
async def test_the_key_behind_a_write_is_the_one_it_names_else_the_bucket_s(
    default: dict[str, str], writing: Writing, key: str | None
) -> None:
    rules = [{"ApplyServerSideEncryptionByDefault": default}]
    asked: list[str] = []

    def described(params: dict[str, Any]) -> dict[str, Any]:
        asked.append(params["KeyId"])
        return {"KeyMetadata": {"Arn": ARN}}

    aws = FakeAws(
        {
            "GetBucketEncryption": {"ServerSideEncryptionConfiguration": {"Rules": rules}},
            "DescribeKey": described,
            "GetKeyPolicy": {"Policy": '{"Version":"2012-10-17","Statement":[]}'},
            "ListGrants": {},
        }
    )
    needs = access("usage", "acme", writing=writing)
    found = await reached(cast("Session", aws), needs, needs.resources)
    assert asked == ([key] if key else [])
    uses = [use for one in found.values() for use in one.keys.values()]
    assert [use.action for use in uses if isinstance(use, KeyUse)] == (["kms:GenerateDataKey"] * 2 if key else [])


@pytest.mark.parametrize(
    ("condition", "wanted"),
    [
        (NOT_ENCRYPTED, ["backup.storage.aws.serverSideEncryption=aws:kms"]),
        (OTHER_KEY, [f"backup.storage.aws.ssekmsKeyId={ARN}", "backup.storage.aws.serverSideEncryption=aws:kms"]),
        (NOT_OWNED, []),
    ],
)
def test_what_a_bucket_of_snapshots_demands_is_met_by_values_that_there_are(condition, wanted: list[str]) -> None:
    facts = chain(Writing(), condition)
    values = {"backup.enabled": "true", "backup.storage.aws.bucket": "usage"}
    asked = snapshots("usage", "", "706c49fa", partition="aws")
    link = named(replace(facts, subject=BACKUP, space=replace(facts.space, values=values), access=asked), "permission")
    assert (link.state, link.reason) == (State.BROKEN, Reason.PERMISSION_DENIED_EXPLICITLY)
    assert all(each in link.fix for each in wanted)
    assert bool(wanted) is ("backup.storage.aws" in link.fix)
    assert "acl" not in link.fix
