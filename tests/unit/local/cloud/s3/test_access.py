"""ACLs, ownership, and the public access block on the decisions of the policy engine."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore import UNSIGNED

from keyless.local.cloud.s3.public import is_public
from unit.local.cloud.s3.conftest import BUCKET, HERE
from unit.local.cloud.support import ACCOUNT, World, a_role, allow, refusal

EVERYONE = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/*"}


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def unblock(s3: Any, **kept: bool) -> None:
    s3.put_public_access_block(Bucket=BUCKET, PublicAccessBlockConfiguration=kept)


def test_a_new_bucket_takes_no_public_policy(world: World, bucket: Any) -> None:
    code, text, status = refusal(bucket.put_bucket_policy, Bucket=BUCKET, Policy=policy(EVERYONE))
    assert (code, status) == ("AccessDenied", 403)
    assert text == (
        f"User: arn:aws:iam::{ACCOUNT}:user/keyless-admin is not authorized to perform: s3:PutBucketPolicy on resource:"
        f' "arn:aws:s3:::{BUCKET}" because public policies are blocked by the BlockPublicPolicy block public access'
        " setting."
    )


def test_everyone_may_what_a_public_policy_allows_once_nothing_blocks_it(world: World, bucket: Any) -> None:
    nobody = world.aws("s3", signature_version=UNSIGNED)
    bucket.put_object(Bucket=BUCKET, Key="k", Body=b"for all")
    unblock(bucket)
    bucket.put_bucket_policy(Bucket=BUCKET, Policy=policy(EVERYONE))
    assert bucket.get_bucket_policy_status(Bucket=BUCKET)["PolicyStatus"] == {"IsPublic": True}
    assert nobody.get_object(Bucket=BUCKET, Key="k")["Body"].read() == b"for all"
    unblock(bucket, RestrictPublicBuckets=True)
    assert refusal(nobody.get_object, Bucket=BUCKET, Key="k")[::2] == ("AccessDenied", 403)
    # What restricts the public leaves the account alone.
    reader = world.aws("s3", a_role(world, allow("s3:ListAllMyBuckets")))
    assert reader.get_object(Bucket=BUCKET, Key="k")["Body"].read() == b"for all"


def test_a_stranger_may_not_override_the_headers_of_an_answer(world: World, bucket: Any) -> None:
    bucket.put_object(Bucket=BUCKET, Key="k", Body=b"")
    unblock(bucket)
    bucket.put_bucket_policy(Bucket=BUCKET, Policy=policy(EVERYONE))
    nobody = world.aws("s3", signature_version=UNSIGNED)
    refused = refusal(nobody.get_object, Bucket=BUCKET, Key="k", ResponseContentType="text/html")
    assert (refused[0], refused[2]) == ("InvalidRequest", 400)


@pytest.mark.parametrize(
    ("change", "public"),
    [
        ({}, True),
        ({"Principal": {"AWS": "*"}}, True),
        ({"Principal": {"AWS": ["arn:aws:iam::111122223333:root", "*"]}}, True),
        ({"Principal": {"AWS": "arn:aws:iam::111122223333:root"}}, False),
        ({"Principal": {"Service": "logging.s3.amazonaws.com"}}, False),
        ({"Effect": "Deny"}, False),
        ({"Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}}, False),
        ({"Condition": {"StringEquals": {"aws:SourceVpce": ["vpce-1", "vpce-2"]}}}, False),
        ({"Condition": {"StringLike": {"aws:SourceArn": "arn:aws:s3:::*"}}}, True),
        ({"Condition": {"StringLike": {"aws:userid": "AROAEXAMPLEID:*"}}}, False),
        ({"Condition": {"StringLike": {"aws:userid": "*"}}}, True),
        ({"Condition": {"StringNotEquals": {"aws:SourceVpc": "vpc-1"}}}, True),
        ({"Condition": {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}}, False),
        ({"Condition": {"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}}, True),
        ({"Condition": {"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "::/0"]}}}, True),
        ({"Condition": {"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}}}, True),
        ({"Condition": {"Bool": {"aws:SecureTransport": "true"}}}, True),
        ({"Condition": {"StringEquals": {"s3:prefix": "x", "aws:SourceAccount": "111122223333"}}}, False),
        ({"Condition": {"StringEquals": {"aws:SourceAccount": "${aws:PrincipalAccount}"}}}, True),
    ],
)
def test_what_public_means(change: dict[str, Any], public: bool) -> None:
    """The rules of "The meaning of public" in S3's user guide."""
    assert is_public(policy(EVERYONE | change)) is public


def test_not_principal_is_public() -> None:
    statement = {name: value for name, value in EVERYONE.items() if name != "Principal"}
    assert is_public(policy(statement | {"NotPrincipal": {"AWS": "arn:aws:iam::111122223333:root"}}))


def test_lists_are_disabled_on_a_new_bucket(bucket: Any) -> None:
    bucket.put_object(Bucket=BUCKET, Key="k", Body=b"", ACL="bucket-owner-full-control")
    wrong = ("AccessControlListNotSupported", "The bucket does not allow ACLs", 400)
    assert refusal(bucket.put_object, Bucket=BUCKET, Key="k", Body=b"", ACL="public-read") == wrong
    assert refusal(bucket.put_object, Bucket=BUCKET, Key="k", Body=b"", ACL="private") == wrong
    assert refusal(bucket.put_object_acl, Bucket=BUCKET, Key="k", ACL="private") == wrong
    assert refusal(bucket.put_bucket_acl, Bucket=BUCKET, ACL="private") == wrong
    for found in (bucket.get_bucket_acl(Bucket=BUCKET), bucket.get_object_acl(Bucket=BUCKET, Key="k")):
        assert [grant["Permission"] for grant in found["Grants"]] == ["FULL_CONTROL"]
        assert found["Grants"][0]["Grantee"]["ID"] == found["Owner"]["ID"] == bucket.list_buckets()["Owner"]["ID"]


def test_where_lists_are_enabled_those_that_give_nothing_away_are_taken(bucket: Any) -> None:
    writer = {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    bucket.put_bucket_ownership_controls(Bucket=BUCKET, OwnershipControls=writer)
    bucket.put_object(Bucket=BUCKET, Key="k", Body=b"", ACL="private")
    bucket.put_bucket_acl(Bucket=BUCKET, ACL="private")
    code, text, _ = refusal(bucket.put_object_acl, Bucket=BUCKET, Key="k", ACL="public-read")
    assert code == "AccessDenied"
    assert "because public access control lists (ACLs) are blocked by the BlockPublicAcls" in text
    unblock(bucket)
    assert refusal(bucket.put_object_acl, Bucket=BUCKET, Key="k", ACL="public-read")[::2] == ("NotImplemented", 501)
    everyone = {"GrantRead": 'uri="http://acs.amazonaws.com/groups/global/AllUsers"'}
    assert refusal(bucket.put_bucket_acl, Bucket=BUCKET, **everyone)[0] == "NotImplemented"


def test_a_bucket_cannot_be_made_with_a_list_that_its_ownership_forbids(bucket: Any) -> None:
    made = {"Bucket": "another-bucket", "CreateBucketConfiguration": HERE}
    refused = refusal(bucket.create_bucket, ACL="public-read", **made)
    assert (refused[0], refused[2]) == ("InvalidBucketAclWithObjectOwnership", 400)
    bucket.create_bucket(ACL="private", ObjectOwnership="BucketOwnerPreferred", **made)
    rules = bucket.get_bucket_ownership_controls(Bucket="another-bucket")["OwnershipControls"]["Rules"]
    assert rules == [{"ObjectOwnership": "BucketOwnerPreferred"}]


@pytest.mark.parametrize(
    ("params", "lacking"),
    [
        ({}, ""),
        ({"Tagging": "a=1"}, "s3:PutObjectTagging"),
        ({"ACL": "bucket-owner-full-control"}, "s3:PutObjectAcl"),
        ({"IfMatch": '"0"'}, "s3:GetObject"),
    ],
)
def test_what_a_write_brings_along_takes_a_permission_more(
    world: World, bucket: Any, params: dict[str, str], lacking: str
) -> None:
    bucket.put_object(Bucket=BUCKET, Key="k", Body=b"")
    writer = world.aws("s3", a_role(world, allow("s3:PutObject")))
    if not lacking:
        writer.put_object(Bucket=BUCKET, Key="k", Body=b"")
        return
    code, text, _ = refusal(writer.put_object, Bucket=BUCKET, Key="k", Body=b"", **params)
    assert code == "AccessDenied"
    assert f"is not authorized to perform: {lacking} on resource" in text


def test_tags_that_a_copy_brings_along_are_read_and_written(world: World, bucket: Any) -> None:
    bucket.put_object(Bucket=BUCKET, Key="k", Body=b"", Tagging="a=1")
    copier = world.aws("s3", a_role(world, allow(["s3:GetObject", "s3:PutObject"])))
    source = {"Bucket": BUCKET, "Key": "k"}
    _, text, _ = refusal(copier.copy_object, Bucket=BUCKET, Key="c", CopySource=source)
    assert "s3:GetObjectTagging" in text
    copier.copy_object(Bucket=BUCKET, Key="c", CopySource=source, TaggingDirective="REPLACE")
    assert bucket.get_object_tagging(Bucket=BUCKET, Key="c")["TagSet"] == []


def test_a_delete_of_many_tells_who_may_not_in_aws_s_words(world: World, bucket: Any) -> None:
    deleter = world.aws("s3", a_role(world, allow("s3:DeleteObject", f"arn:aws:s3:::{BUCKET}/mine/*")))
    objects = [{"Key": "mine/x"}, {"Key": "yours/x"}]
    found = deleter.delete_objects(Bucket=BUCKET, Delete={"Objects": objects})
    assert [one["Key"] for one in found["Deleted"]] == ["mine/x"]
    assert [(one["Key"], one["Code"]) for one in found["Errors"]] == [("yours/x", "AccessDenied")]
    assert "because no identity-based policy allows the s3:DeleteObject action" in found["Errors"][0]["Message"]
