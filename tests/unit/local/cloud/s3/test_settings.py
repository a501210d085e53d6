"""Settings of buckets: defaults, what is kept, what encryption an object is shown with, names and regions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from unit.local.cloud.s3.conftest import BUCKET, HERE
from unit.local.cloud.support import ACCOUNT, World, refusal

KEY = f"arn:aws:kms:us-west-2:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def test_every_object_is_encrypted_and_says_so(bucket: Any) -> None:
    assert bucket.put_object(Bucket=BUCKET, Key="k", Body=b"")["ServerSideEncryption"] == "AES256"
    assert bucket.head_object(Bucket=BUCKET, Key="k")["ServerSideEncryption"] == "AES256"


@pytest.mark.parametrize(
    ("asked", "code", "status"),
    [
        ({"SSEKMSKeyId": KEY}, "InvalidArgument", 400),
        ({"ServerSideEncryption": "AES256", "SSEKMSKeyId": KEY}, "InvalidArgument", 400),
        ({"ServerSideEncryption": "rot13"}, "InvalidArgument", 400),
        ({"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "x" * 32}, "AccessDenied", 403),
    ],
)
def test_encryption_that_cannot_be_is_refused(
    world: World, bucket: Any, asked: dict[str, str], code: str, status: int
) -> None:
    assert refusal(bucket.put_object, Bucket=BUCKET, Key="k", Body=b"", **asked)[::2] == (code, status)


def test_a_lifecycle_keeps_its_dates_and_names_its_rules(bucket: Any) -> None:
    date = datetime(2027, 1, 1, tzinfo=UTC)
    rule = {"Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Date": date}}
    bucket.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": [rule]})
    found = bucket.get_bucket_lifecycle_configuration(Bucket=BUCKET)
    assert found["TransitionDefaultMinimumObjectSize"] == "all_storage_classes_128K"
    assert found["Rules"][0]["Expiration"] == {"Date": date}
    assert found["Rules"][0]["ID"]


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        ([], "MalformedXML"),
        ([{"Status": "Enabled", "Filter": {}}], "MalformedXML"),
        ([{"Status": "Enabled", "Expiration": {"Days": 1}}], "MalformedXML"),
        ([{"Status": "Perhaps", "Filter": {}, "Expiration": {"Days": 1}}], "MalformedXML"),
        ([{"ID": "a", "Status": "Enabled", "Filter": {}, "Expiration": {"Days": 1}}] * 2, "InvalidArgument"),
    ],
)
def test_a_lifecycle_of_the_wrong_shape_is_refused(bucket: Any, rules: list[Any], code: str) -> None:
    given = {"Bucket": BUCKET, "LifecycleConfiguration": {"Rules": rules}}
    assert refusal(bucket.put_bucket_lifecycle_configuration, **given)[0] == code


def test_a_notification_to_what_is_not_here_cannot_be_validated(bucket: Any) -> None:
    queue = {"QueueArn": f"arn:aws:sqs:us-west-2:{ACCOUNT}:q", "Events": ["s3:ObjectCreated:*"]}
    given = {"QueueConfigurations": [queue]}
    refused = refusal(bucket.put_bucket_notification_configuration, Bucket=BUCKET, NotificationConfiguration=given)
    assert refused == ("InvalidArgument", "Unable to validate the following destination configurations", 400)
    bridge = {"EventBridgeConfiguration": {}}
    bucket.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration=bridge)
    found = bucket.get_bucket_notification_configuration(Bucket=BUCKET)
    assert found["EventBridgeConfiguration"] == {}


def test_access_logs_go_to_a_bucket_that_is_there(bucket: Any) -> None:
    def log_to(name: str) -> dict[str, Any]:
        return {"LoggingEnabled": {"TargetBucket": name, "TargetPrefix": "logs/"}}

    refused = refusal(bucket.put_bucket_logging, Bucket=BUCKET, BucketLoggingStatus=log_to("not-there"))
    assert refused[::2] == ("InvalidTargetBucketForLogging", 400)
    bucket.put_bucket_logging(Bucket=BUCKET, BucketLoggingStatus=log_to(BUCKET))
    assert bucket.get_bucket_logging(Bucket=BUCKET)["LoggingEnabled"] == log_to(BUCKET)["LoggingEnabled"]
    bucket.put_bucket_logging(Bucket=BUCKET, BucketLoggingStatus={})
    assert "LoggingEnabled" not in bucket.get_bucket_logging(Bucket=BUCKET)


def test_settings_outlive_a_restart_and_one_that_was_deleted_stays_so(world: World, bucket: Any) -> None:
    bucket.delete_public_access_block(Bucket=BUCKET)
    rules = [{"AllowedMethods": ["GET"], "AllowedOrigins": ["https://example.com"]}]
    bucket.put_bucket_cors(Bucket=BUCKET, CORSConfiguration={"CORSRules": rules})
    world.restart()
    again = world.aws("s3")
    assert again.get_bucket_cors(Bucket=BUCKET)["CORSRules"] == rules
    assert refusal(again.get_public_access_block, Bucket=BUCKET)[0] == "NoSuchPublicAccessBlockConfiguration"


def test_the_oldest_region_makes_buckets_anywhere_and_names_none_of_its_own(world: World) -> None:
    oldest = world.aws("s3", region="us-east-1")
    assert oldest.create_bucket(Bucket="in-the-east")["Location"] == "/in-the-east"
    assert oldest.create_bucket(Bucket="in-the-east")["Location"] == "/in-the-east"
    oldest.create_bucket(Bucket="in-the-west", CreateBucketConfiguration=HERE)
    assert oldest.get_bucket_location(Bucket="in-the-east")["LocationConstraint"] is None
    assert oldest.get_bucket_location(Bucket="in-the-west")["LocationConstraint"] == "us-west-2"
    wrong = {"LocationConstraint": "us-east-1"}
    refused = refusal(oldest.create_bucket, Bucket="elsewhere", CreateBucketConfiguration=wrong)
    assert refused[0] == "InvalidLocationConstraint"


def test_a_bucket_answers_in_its_region_alone_and_boto3_follows_as_on_aws(world: World, bucket: Any) -> None:
    elsewhere = world.aws("s3", region="eu-west-1")
    elsewhere.put_object(Bucket=BUCKET, Key="k", Body=b"x")  # botocore asks again, signed for the bucket's region
    assert [line["code"] for line in world.audit()[-2:]] == ["PermanentRedirect", "Success"]
    assert elsewhere.get_bucket_location(Bucket=BUCKET)["LocationConstraint"] == "us-west-2"
    assert elsewhere.head_bucket(Bucket=BUCKET)["BucketRegion"] == "us-west-2"


def test_buckets_are_listed_in_pages_by_prefix_and_region(world: World, bucket: Any) -> None:
    for name in ("b-one", "b-three", "b-two"):
        bucket.create_bucket(Bucket=name, CreateBucketConfiguration=HERE)
    world.aws("s3", region="us-east-1").create_bucket(Bucket="b-east")
    page = bucket.list_buckets(Prefix="b-", BucketRegion="us-west-2", MaxBuckets=2)
    assert [one["Name"] for one in page["Buckets"]] == ["b-one", "b-three"]
    rest = bucket.list_buckets(Prefix="b-", BucketRegion="us-west-2", ContinuationToken=page["ContinuationToken"])
    assert [one["Name"] for one in rest["Buckets"]] == ["b-two"]
    assert "ContinuationToken" not in rest


def test_a_bucket_can_be_made_with_tags(bucket: Any) -> None:
    tags = [{"Key": "team", "Value": "billing"}]
    bucket.create_bucket(Bucket="with-tags", CreateBucketConfiguration={**HERE, "Tags": tags})
    assert bucket.get_bucket_tagging(Bucket="with-tags")["TagSet"] == tags


def test_what_never_was_a_bucket_s_name_is_told_so(bucket: Any) -> None:
    assert refusal(bucket.list_objects_v2, Bucket="no")[0] == "InvalidBucketName"
    assert refusal(bucket.list_objects_v2, Bucket="Once_Lawful")[0] == "NoSuchBucket"
