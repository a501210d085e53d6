"""S3: what moto is asked, and where its answers are not AWS's."""

from __future__ import annotations

from conformance.data_services.recording import Difference, Ref, Scenario, Suite, step

BUCKET = "keyless-oracle"
HERE = {"LocationConstraint": "us-west-2"}
CREATE = step("create", "CreateBucket", Bucket=BUCKET, CreateBucketConfiguration=HERE)

OBJECTS = Scenario(
    "objects",
    (
        CREATE,
        step("put", "PutObject", Bucket=BUCKET, Key="k", Body=b"hello", Metadata={"a": "b"}),
        step("get", "GetObject", Bucket=BUCKET, Key="k"),
        step("matched", "GetObject", Bucket=BUCKET, Key="k", IfMatch=Ref("put.ETag")),
        step("absent", "GetObject", Bucket=BUCKET, Key="absent"),
    ),
)

DIFFERENCES = (
    Difference("*/create: result.Location", "a region but the oldest is answered with the bucket's URL"),
    Difference("*: result.ChecksumType", "AWS names the type beside every checksum (API_GetObject)"),
    Difference("*: result.ServerSideEncryption", "every object has been encrypted since January 2023"),
)

SUITE = Suite(
    "s3",
    scenarios=(OBJECTS,),
    differences=DIFFERENCES,
    made_up=frozenset({"VersionId", "UploadId"}),
)
