"""S3 as botocore sees it."""

import json

import pytest
from botocore.exceptions import ClientError

from unit.local.cloud.support import a_role

BUCKET = "keyless-billing"


@pytest.fixture
def s3(world):
    made = world.aws("s3")
    made.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    return made


def code_of(call, **params):
    with pytest.raises(ClientError) as caught:
        call(**params)
    error = caught.value.response
    return error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]


def allow(action, resource="*", **condition):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **condition}


def test_an_object_comes_back_as_it_was_put(s3):
    s3.put_object(Bucket=BUCKET, Key="a b/ü+c", Body=b"hello", ContentType="application/gzip", Metadata={"k": "v"})
    found = s3.get_object(Bucket=BUCKET, Key="a b/ü+c")
    assert found["Body"].read() == b"hello"
    assert (found["ContentType"], found["Metadata"], found["ContentLength"]) == ("application/gzip", {"k": "v"}, 5)
    assert found["ETag"] == '"5d41402abc4b2a76b9719d911017c592"'


def test_a_conditional_write_is_refused_where_the_key_is_taken(s3):
    s3.put_object(Bucket=BUCKET, Key="k", Body=b"1", IfNoneMatch="*")
    assert code_of(s3.put_object, Bucket=BUCKET, Key="k", Body=b"2", IfNoneMatch="*") == ("PreconditionFailed", 412)
    assert code_of(s3.put_object, Bucket=BUCKET, Key="k", Body=b"2", IfMatch='"other"') == ("PreconditionFailed", 412)
    assert s3.get_object(Bucket=BUCKET, Key="k")["Body"].read() == b"1"


def test_a_body_that_does_not_fit_its_checksum_is_not_stored(s3):
    wrong = {"ChecksumSHA256": "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="}
    assert code_of(s3.put_object, Bucket=BUCKET, Key="k", Body=b"x", **wrong) == ("BadDigest", 400)
    assert code_of(s3.head_object, Bucket=BUCKET, Key="k") == ("404", 404)


@pytest.mark.parametrize(
    ("asked", "body", "said"),
    [
        ("bytes=0-3", b"0123", "bytes 0-3/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=-2", b"89", "bytes 8-9/10"),
        ("bytes=8-99", b"89", "bytes 8-9/10"),
    ],
)
def test_a_range_is_answered_with_206(s3, asked, body, said):
    s3.put_object(Bucket=BUCKET, Key="k", Body=b"0123456789")
    found = s3.get_object(Bucket=BUCKET, Key="k", Range=asked)
    assert (found["Body"].read(), found["ContentRange"]) == (body, said)
    assert found["ResponseMetadata"]["HTTPStatusCode"] == 206


def test_a_range_behind_the_end_is_416(s3):
    s3.put_object(Bucket=BUCKET, Key="k", Body=b"0")
    assert code_of(s3.get_object, Bucket=BUCKET, Key="k", Range="bytes=5-9") == ("InvalidRange", 416)


def test_a_listing_folds_common_prefixes_and_continues_where_it_stopped(s3):
    for key in ("a/1", "a/2", "b", "c/1", "d"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"")
    seen, token = [], {}
    while True:
        page = s3.list_objects_v2(Bucket=BUCKET, Delimiter="/", MaxKeys=2, **token)
        seen += [c["Key"] for c in page.get("Contents", ())] + [p["Prefix"] for p in page.get("CommonPrefixes", ())]
        if not page["IsTruncated"]:
            break
        token = {"ContinuationToken": page["NextContinuationToken"]}
    assert sorted(seen) == ["a/", "b", "c/", "d"]
    assert [c["Key"] for c in s3.list_objects_v2(Bucket=BUCKET, Prefix="a/")["Contents"]] == ["a/1", "a/2"]
    assert [c["Key"] for c in s3.list_objects(Bucket=BUCKET, Marker="b")["Contents"]] == ["c/1", "d"]


def test_parts_become_one_object(s3):
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="big", ContentType="text/plain")["UploadId"]
    bodies = [b"x" * (5 * 2**20), b"end"]
    parts = []
    for number, body in enumerate(bodies, start=1):
        made = s3.upload_part(Bucket=BUCKET, Key="big", UploadId=upload, PartNumber=number, Body=body)
        parts.append({"PartNumber": number, "ETag": made["ETag"]})
    assert len(s3.list_parts(Bucket=BUCKET, Key="big", UploadId=upload)["Parts"]) == 2
    done = s3.complete_multipart_upload(Bucket=BUCKET, Key="big", UploadId=upload, MultipartUpload={"Parts": parts})
    assert done["ETag"].endswith('-2"')
    found = s3.get_object(Bucket=BUCKET, Key="big")
    assert (found["Body"].read(), found["ContentType"]) == (b"".join(bodies), "text/plain")
    assert code_of(s3.list_parts, Bucket=BUCKET, Key="big", UploadId=upload) == ("NoSuchUpload", 404)


def test_a_bucket_that_is_not_empty_stays(s3):
    s3.put_object(Bucket=BUCKET, Key="k", Body=b"")
    assert code_of(s3.delete_bucket, Bucket=BUCKET) == ("BucketNotEmpty", 409)
    answer = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "k"}, {"Key": "never"}]})
    assert [d["Key"] for d in answer["Deleted"]] == ["k", "never"]
    s3.delete_bucket(Bucket=BUCKET)
    assert code_of(s3.list_objects_v2, Bucket=BUCKET) == ("NoSuchBucket", 404)


def test_bucket_names_and_regions_are_checked_as_on_aws(s3):
    here = {"CreateBucketConfiguration": {"LocationConstraint": "us-west-2"}}
    assert code_of(s3.create_bucket, Bucket="Upper", **here)[0] == "InvalidBucketName"
    assert code_of(s3.create_bucket, Bucket="10.0.0.1", **here)[0] == "InvalidBucketName"
    assert code_of(s3.create_bucket, Bucket=BUCKET, **here) == ("BucketAlreadyOwnedByYou", 409)
    assert code_of(s3.create_bucket, Bucket="elsewhere")[0] == "IllegalLocationConstraintException"


def test_who_may_not_list_does_not_learn_that_a_key_is_free(world, s3):
    only_get = world.aws("s3", a_role(world, allow("s3:GetObject")))
    assert code_of(only_get.get_object, Bucket=BUCKET, Key="nothing") == ("AccessDenied", 403)
    assert code_of(s3.get_object, Bucket=BUCKET, Key="nothing") == ("NoSuchKey", 404)


def test_put_alone_is_enough_to_write_and_for_nothing_else(world, s3):
    writer = world.aws("s3", a_role(world, allow("s3:PutObject", f"arn:aws:s3:::{BUCKET}/account=acme/*")))
    writer.put_object(Bucket=BUCKET, Key="account=acme/x", Body=b"1", IfNoneMatch="*")
    assert code_of(writer.put_object, Bucket=BUCKET, Key="other/x", Body=b"1") == ("AccessDenied", 403)
    assert code_of(writer.get_object, Bucket=BUCKET, Key="account=acme/x") == ("AccessDenied", 403)
    assert code_of(writer.list_objects_v2, Bucket=BUCKET) == ("AccessDenied", 403)


def test_the_prefix_of_a_listing_can_be_a_condition(world, s3):
    narrow = allow("s3:ListBucket", Condition={"StringLike": {"s3:prefix": "home/*"}})
    lister = world.aws("s3", a_role(world, narrow))
    assert lister.list_objects_v2(Bucket=BUCKET, Prefix="home/x")["KeyCount"] == 0
    assert code_of(lister.list_objects_v2, Bucket=BUCKET) == ("AccessDenied", 403)


def test_a_bucket_policy_that_denies_wins_over_everything(world, s3):
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:DeleteObject", "Resource": f"arn:aws:s3:::{BUCKET}/*"}
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": [deny]}))
    s3.put_object(Bucket=BUCKET, Key="k", Body=b"")
    assert code_of(s3.delete_object, Bucket=BUCKET, Key="k") == ("AccessDenied", 403)
    errors = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "k"}]})["Errors"]
    assert [(e["Key"], e["Code"]) for e in errors] == [("k", "AccessDenied")]
    s3.delete_bucket_policy(Bucket=BUCKET)
    s3.delete_object(Bucket=BUCKET, Key="k")


def test_copying_needs_the_right_to_read_the_source(world, s3):
    s3.put_object(Bucket=BUCKET, Key="from", Body=b"1", Metadata={"k": "v"})
    writer = world.aws("s3", a_role(world, allow("s3:PutObject")))
    source = {"Bucket": BUCKET, "Key": "from"}
    assert code_of(writer.copy_object, Bucket=BUCKET, Key="to", CopySource=source) == ("AccessDenied", 403)
    s3.copy_object(Bucket=BUCKET, Key="to", CopySource=source)
    assert s3.head_object(Bucket=BUCKET, Key="to")["Metadata"] == {"k": "v"}


def test_everything_is_there_after_a_restart(world, s3):
    s3.put_object(Bucket=BUCKET, Key="k", Body=b"kept")
    world.restart()
    assert world.aws("s3").get_object(Bucket=BUCKET, Key="k")["Body"].read() == b"kept"
