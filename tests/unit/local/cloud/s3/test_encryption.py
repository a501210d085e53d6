"""Objects under keys of KMS: who may not use the key can neither write nor read, whatever S3's policies say."""

from __future__ import annotations

from typing import Any

import pytest
from botocore import UNSIGNED

from unit.local.cloud.s3.conftest import BUCKET
from unit.local.cloud.support import World, a_role, allow, document, refusal

ON_OBJECTS = allow(["s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload"])
KMS = {"ServerSideEncryption": "aws:kms"}


@pytest.fixture
def key(world: World, bucket: Any) -> str:
    """A customer's key, which the account's policies speak for."""
    return str(world.aws("kms").create_key()["KeyMetadata"]["Arn"])


def under(key: str) -> dict[str, str]:
    return KMS | {"SSEKMSKeyId": key}


def test_an_object_is_sealed_under_its_key_and_opened_for_who_may_use_it(world: World, bucket: Any, key: str) -> None:
    made = bucket.put_object(Bucket=BUCKET, Key="k", Body=b"told to few", **under(key.rpartition("/")[2]))
    head = bucket.head_object(Bucket=BUCKET, Key="k")
    for found in (made, head):
        assert (found["ServerSideEncryption"], found["SSEKMSKeyId"]) == ("aws:kms", key)
    assert head["ContentLength"] == 11
    assert bucket.get_object(Bucket=BUCKET, Key="k")["Body"].read() == b"told to few"
    assert bucket.get_object(Bucket=BUCKET, Key="k", Range="bytes=8-")["Body"].read() == b"few"
    (kept,) = world.connection.execute("SELECT body FROM s3_object").fetchone()
    assert b"told" not in kept


@pytest.mark.parametrize(
    ("operation", "params", "lacking"),
    [("put_object", {"Body": b"x"}, "kms:GenerateDataKey"), ("get_object", {}, "kms:Decrypt")],
)
def test_the_right_to_the_object_is_not_the_right_to_the_key(
    world: World, bucket: Any, key: str, operation: str, params: dict[str, Any], lacking: str
) -> None:
    bucket.put_object(Bucket=BUCKET, Key="k", Body=b"x", **under(key))
    writing = under(key) if operation == "put_object" else {}
    without = world.aws("s3", a_role(world, ON_OBJECTS))
    code, text, status = refusal(getattr(without, operation), Bucket=BUCKET, Key="k", **params, **writing)
    assert (code, status) == ("AccessDenied", 403)
    assert f"is not authorized to perform: {lacking} on resource: {key}" in text
    world.aws("iam").put_role_policy(
        RoleName="reader",
        PolicyName="key",
        PolicyDocument=f'{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"{lacking}","Resource":"{key}"}}]}}',
    )
    getattr(without, operation)(Bucket=BUCKET, Key="k", **params, **writing)


def test_the_key_s_policy_sees_the_object_or_its_bucket_and_the_way_it_came(
    world: World, bucket: Any, key: str
) -> None:
    use = allow(["kms:GenerateDataKey", "kms:Decrypt"], key, Condition={
        "StringEquals": {
            "kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{BUCKET}/mine",
            "kms:ViaService": "s3.us-west-2.amazonaws.com",
        },
    })  # fmt: skip
    writer = world.aws("s3", a_role(world, ON_OBJECTS, use))
    writer.put_object(Bucket=BUCKET, Key="mine", Body=b"x", **under(key))
    assert writer.get_object(Bucket=BUCKET, Key="mine")["Body"].read() == b"x"
    assert refusal(writer.put_object, Bucket=BUCKET, Key="yours", Body=b"x", **under(key))[0] == "AccessDenied"
    # With a bucket key, the context is the bucket's for every object.
    shared = under(key) | {"BucketKeyEnabled": True}
    assert refusal(writer.put_object, Bucket=BUCKET, Key="mine", Body=b"x", **shared)[0] == "AccessDenied"


def test_s3_s_own_key_of_kms_lets_in_whom_s3_lets_in(world: World, bucket: Any) -> None:
    writer = world.aws("s3", a_role(world, ON_OBJECTS))
    found = writer.put_object(Bucket=BUCKET, Key="k", Body=b"x", **KMS)
    assert found["SSEKMSKeyId"].startswith("arn:aws:kms:us-west-2:")
    assert writer.get_object(Bucket=BUCKET, Key="k")["Body"].read() == b"x"


def test_an_upload_in_parts_is_sealed_throughout(world: World, bucket: Any, key: str) -> None:
    bodies = (b"a" * (5 << 20), b"end")
    upload = bucket.create_multipart_upload(Bucket=BUCKET, Key="big", **under(key))
    assert upload["SSEKMSKeyId"] == key
    named = {"Bucket": BUCKET, "Key": "big", "UploadId": upload["UploadId"]}
    parts = []
    for number, body in enumerate(bodies, 1):
        parts.append({"PartNumber": number, "ETag": bucket.upload_part(**named, PartNumber=number, Body=body)["ETag"]})
    assert [part["Size"] for part in bucket.list_parts(**named)["Parts"]] == [len(body) for body in bodies]
    kept = [row[0] for row in world.connection.execute("SELECT body FROM s3_part")]
    assert not any(body in found for body, found in zip(bodies, kept, strict=True))
    # Parts need the key to be opened, too: GenerateDataKey alone begins an upload that cannot be filled.
    half = world.aws("s3", a_role(world, ON_OBJECTS, allow("kms:GenerateDataKey", key)))
    assert "kms:Decrypt" in refusal(half.upload_part, **named, PartNumber=3, Body=b"x")[1]
    sums = bucket.list_parts(**named)["Parts"]
    parts = [{name: part[name] for name in part if name in {"PartNumber", "ETag", "ChecksumCRC32"}} for part in sums]
    bucket.complete_multipart_upload(**named, MultipartUpload={"Parts": parts})
    assert bucket.get_object(Bucket=BUCKET, Key="big")["Body"].read() == b"".join(bodies)
    assert bucket.get_object(Bucket=BUCKET, Key="big", PartNumber=2)["Body"].read() == b"end"


def test_a_copy_is_opened_with_one_key_and_sealed_with_another(world: World, bucket: Any, key: str) -> None:
    bucket.put_object(Bucket=BUCKET, Key="k", Body=b"x", **under(key))
    source = {"Bucket": BUCKET, "Key": "k"}
    bucket.copy_object(Bucket=BUCKET, Key="plain", CopySource=source)
    assert bucket.head_object(Bucket=BUCKET, Key="plain")["ServerSideEncryption"] == "AES256"
    other = world.aws("kms").create_key()["KeyMetadata"]["Arn"]
    bucket.copy_object(Bucket=BUCKET, Key="k", CopySource=source, **under(other))
    assert bucket.head_object(Bucket=BUCKET, Key="k")["SSEKMSKeyId"] == other
    assert bucket.get_object(Bucket=BUCKET, Key="k")["Body"].read() == b"x"
    copier = world.aws("s3", a_role(world, ON_OBJECTS))
    assert "kms:Decrypt" in refusal(copier.copy_object, Bucket=BUCKET, Key="c", CopySource=source)[1]


def test_a_key_that_cannot_be_used_is_told_in_kms_s_words(world: World, bucket: Any, key: str) -> None:
    bucket.put_object(Bucket=BUCKET, Key="k", Body=b"x", **under(key))
    world.aws("kms").disable_key(KeyId=key)
    code, text, status = refusal(bucket.get_object, Bucket=BUCKET, Key="k")
    assert (code, status) == ("KMS.DisabledException", 400)
    assert "is disabled" in text
    absent = key[:-12] + "000000000000"
    refused = refusal(bucket.put_object, Bucket=BUCKET, Key="k", Body=b"x", **under(absent))
    assert (refused[0], refused[2]) == ("KMS.NotFoundException", 400)


def test_a_checksum_of_what_is_sealed_takes_the_key(world: World, bucket: Any, key: str) -> None:
    bucket.put_object(Bucket=BUCKET, Key="k", Body=b"x", **under(key))
    reader = world.aws("s3", a_role(world, ON_OBJECTS), response_checksum_validation="when_required")
    reader.head_object(Bucket=BUCKET, Key="k")
    assert refusal(reader.head_object, Bucket=BUCKET, Key="k", ChecksumMode="ENABLED")[2] == 403


def test_a_bucket_s_default_key_is_that_of_its_objects(world: World, bucket: Any, key: str) -> None:
    rule = {
        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key},
        "BucketKeyEnabled": True,
    }
    bucket.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": [rule]})
    found = bucket.put_object(Bucket=BUCKET, Key="k", Body=b"x")
    assert (found["SSEKMSKeyId"], found["BucketKeyEnabled"]) == (key, True)
    assert bucket.put_object(Bucket=BUCKET, Key="k", Body=b"", ServerSideEncryption="AES256").get("SSEKMSKeyId") is None
    bucket.delete_bucket_encryption(Bucket=BUCKET)
    rules = bucket.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert bucket.get_object(Bucket=BUCKET, Key="k")["Body"].read() == b""


def test_what_is_sealed_is_not_for_the_public(world: World, bucket: Any) -> None:
    bucket.put_object(Bucket=BUCKET, Key="k", Body=b"x", **KMS)
    bucket.delete_public_access_block(Bucket=BUCKET)
    everyone = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{BUCKET}/*"}
    bucket.put_bucket_policy(Bucket=BUCKET, Policy=document(everyone))
    nobody = world.aws("s3", signature_version=UNSIGNED)
    code, text, status = refusal(nobody.get_object, Bucket=BUCKET, Key="k")
    assert (code, status) == ("InvalidArgument", 400)
    assert "require AWS Signature Version 4" in text
    assert refusal(nobody.put_object, Bucket=BUCKET, Key="k", Body=b"", **KMS)[0] == "InvalidArgument"
