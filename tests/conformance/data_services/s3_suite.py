"""S3: what moto is asked, and where its answers are not AWS's."""

from __future__ import annotations

from conformance.data_services.recording import Ref, Scenario, Suite, step

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

SUITE = Suite(
    "s3",
    scenarios=(OBJECTS,),
    made_up=frozenset({"VersionId", "UploadId"}),
)
