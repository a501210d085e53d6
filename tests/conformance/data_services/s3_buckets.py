"""What the suite asks of buckets: names, settings that terraform reads back, listings, versions, uploads."""

from __future__ import annotations

import json
from typing import Any

from conformance.data_services.recording import Ref, Scenario, Step, step
from conformance.data_services.s3_objects import BUCKET, CREATE, HERE, OTHER, on, put

_NAMES = (
    "ab", "a" * 64, "Upper", "under_score", "dot..dot", "10.0.0.1", "-lead", "trail-", "xn--x", "sthree-x", "x-s3alias",
    "x--ol-s3", "fine.with-dots.1",
)  # fmt: skip
BUCKETS = Scenario(
    "buckets",
    (
        CREATE,
        step("create again", "CreateBucket", Bucket=BUCKET, CreateBucketConfiguration=HERE),
        *(step(f"create {name}", "CreateBucket", Bucket=name, CreateBucketConfiguration=HERE) for name in _NAMES),
        step("elsewhere", "CreateBucket", Bucket="elsewhere-1"),
        step(
            "in another region",
            "CreateBucket",
            Bucket="elsewhere-2",
            CreateBucketConfiguration={"LocationConstraint": "eu-west-1"},
        ),
        OTHER,
        step("list", "ListBuckets"),
        on("head", "HeadBucket"),
        step("head nowhere", "HeadBucket", Bucket="keyless-nowhere"),
        on("location", "GetBucketLocation"),
        step("location nowhere", "GetBucketLocation", Bucket="keyless-nowhere"),
        put("put"),
        on("delete full", "DeleteBucket"),
        on("empty it", "DeleteObject", Key="k"),
        on("delete", "DeleteBucket"),
        on("delete again", "DeleteBucket"),
        on("head after", "HeadBucket"),
    ),
)

_CORS = {"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"], "MaxAgeSeconds": 60}]}
_LIFECYCLE = {"Rules": [{"ID": "old", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 30}}]}
_ENCRYPTION = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}]}
_BLOCK = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), False)
_POLICY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:DeleteBucket",
                "Resource": f"arn:aws:s3:::{BUCKET}",
            }
        ],
    }
)
#: what terraform reads of every aws_s3_bucket
READS = (
    "GetBucketAcl", "GetBucketVersioning", "GetBucketLogging", "GetBucketCors", "GetBucketEncryption",
    "GetBucketPolicy", "GetBucketPolicyStatus", "GetBucketLifecycleConfiguration", "GetBucketReplication",
    "GetBucketWebsite", "GetBucketAccelerateConfiguration", "GetBucketRequestPayment", "GetObjectLockConfiguration",
    "GetPublicAccessBlock", "GetBucketOwnershipControls", "GetBucketNotificationConfiguration", "GetBucketTagging",
)  # fmt: skip


def _reads(when: str, bucket: str = BUCKET) -> tuple[Step, ...]:
    return tuple(step(f"{one} {when}", one, Bucket=bucket) for one in READS)


SETTINGS = Scenario(
    "settings",
    (
        CREATE,
        *_reads("fresh"),
        *_reads("nowhere", "keyless-nowhere"),
        on("cors", "PutBucketCors", CORSConfiguration=_CORS),
        on("cors read", "GetBucketCors"),
        on(
            "cors of a wrong method",
            "PutBucketCors",
            CORSConfiguration={"CORSRules": [{"AllowedMethods": ["COPY"], "AllowedOrigins": ["*"]}]},
        ),
        on("cors deleted", "DeleteBucketCors"),
        on("cors gone", "GetBucketCors"),
        on("lifecycle", "PutBucketLifecycleConfiguration", LifecycleConfiguration=_LIFECYCLE),
        on("lifecycle read", "GetBucketLifecycleConfiguration"),
        on("lifecycle deleted", "DeleteBucketLifecycle"),
        on("lifecycle gone", "GetBucketLifecycleConfiguration"),
        on("encryption", "PutBucketEncryption", ServerSideEncryptionConfiguration=_ENCRYPTION),
        on("encryption read", "GetBucketEncryption"),
        on("public access", "PutPublicAccessBlock", PublicAccessBlockConfiguration=_BLOCK),
        on("public access read", "GetPublicAccessBlock"),
        on("public access deleted", "DeletePublicAccessBlock"),
        on("public access gone", "GetPublicAccessBlock"),
        on(
            "ownership",
            "PutBucketOwnershipControls",
            OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]},
        ),
        on("ownership read", "GetBucketOwnershipControls"),
        on("ownership deleted", "DeleteBucketOwnershipControls"),
        on("ownership gone", "GetBucketOwnershipControls"),
        on("policy", "PutBucketPolicy", Policy=_POLICY),
        on("policy read", "GetBucketPolicy"),
        on("policy status", "GetBucketPolicyStatus"),
        on("policy deleted", "DeleteBucketPolicy"),
        on("policy gone", "GetBucketPolicy"),
        on("policy malformed", "PutBucketPolicy", Policy="{"),
    ),
)

LOCKS = Scenario(
    "locks",
    (
        step("create", "CreateBucket", Bucket=BUCKET, CreateBucketConfiguration=HERE, ObjectLockEnabledForBucket=True),
        on("versioning", "GetBucketVersioning"),
        on("configuration", "GetObjectLockConfiguration"),
        put("put"),
        on("no retention", "GetObjectRetention", Key="k"),
        on("hold", "PutObjectLegalHold", Key="k", LegalHold={"Status": "ON"}),
        on("hold read", "GetObjectLegalHold", Key="k"),
        on("held", "DeleteObject", Key="k", VersionId=Ref("put.VersionId")),
        on("let go", "PutObjectLegalHold", Key="k", LegalHold={"Status": "OFF"}),
        on("deleted", "DeleteObject", Key="k", VersionId=Ref("put.VersionId")),
        OTHER,
        step("put without", "PutObject", Bucket=f"{BUCKET}-2", Key="k", Body=b""),
        step("hold without", "PutObjectLegalHold", Bucket=f"{BUCKET}-2", Key="k", LegalHold={"Status": "ON"}),
    ),
)

_KEYS = ("a", "b/1", "b/2", "b/c/3", "d", "e/f/g/4", "Z", "ä", "é/5", "~")
_LISTINGS: dict[str, dict[str, Any]] = {
    "all": {},
    "prefix": {"Prefix": "b/"},
    "prefix of none": {"Prefix": "nope"},
    "folded": {"Delimiter": "/"},
    "folded below": {"Prefix": "b/", "Delimiter": "/"},
    "folded by another": {"Delimiter": "f"},
    "three": {"MaxKeys": 3},
    "three folded": {"MaxKeys": 3, "Delimiter": "/"},
    "none": {"MaxKeys": 0},
    "coded": {"EncodingType": "url"},
    "coded and folded": {"EncodingType": "url", "Delimiter": "/", "Prefix": "é"},
    "too many": {"MaxKeys": 2000},
}
LISTINGS = Scenario(
    "listings",
    (
        CREATE,
        *(put(f"put {number}", key) for number, key in enumerate(_KEYS)),
        *(on(f"2 {name}", "ListObjectsV2", **params) for name, params in _LISTINGS.items()),
        *(on(f"1 {name}", "ListObjects", **params) for name, params in _LISTINGS.items()),
        *(on(f"versions {name}", "ListObjectVersions", **params) for name, params in _LISTINGS.items()),
        on("2 after", "ListObjectsV2", StartAfter="b/1"),
        on("2 after none", "ListObjectsV2", StartAfter="zzz"),
        on("2 after a folded one", "ListObjectsV2", StartAfter="b/1", Delimiter="/"),
        on("2 with owners", "ListObjectsV2", FetchOwner=True, MaxKeys=1),
        on("2 first page", "ListObjectsV2", MaxKeys=4),
        on("2 second page", "ListObjectsV2", MaxKeys=4, ContinuationToken=Ref("2 first page.NextContinuationToken")),
        on("2 third page", "ListObjectsV2", MaxKeys=4, ContinuationToken=Ref("2 second page.NextContinuationToken")),
        on("2 folded page", "ListObjectsV2", MaxKeys=2, Delimiter="/"),
        on(
            "2 folded next",
            "ListObjectsV2",
            MaxKeys=2,
            Delimiter="/",
            ContinuationToken=Ref("2 folded page.NextContinuationToken"),
        ),
        on("2 no token", "ListObjectsV2", ContinuationToken=""),
        on("1 marker", "ListObjects", Marker="b/2"),
        on("1 folded marker", "ListObjects", Marker="b/", Delimiter="/"),
        on("2 negative", "ListObjectsV2", MaxKeys=-1),
        on("2 coding unknown", "ListObjectsV2", EncodingType="xml"),
        step("2 nowhere", "ListObjectsV2", Bucket="keyless-nowhere"),
    ),
)

_ON, _OFF = {"Status": "Enabled"}, {"Status": "Suspended"}
VERSIONS = Scenario(
    "versions",
    (
        CREATE,
        put("before", body=b"before"),
        on("enable", "PutBucketVersioning", VersioningConfiguration=_ON),
        on("setting", "GetBucketVersioning"),
        put("one", body=b"one"),
        put("two", body=b"two"),
        on("newest", "GetObject", Key="k"),
        on("read one", "GetObject", Key="k", VersionId=Ref("one.VersionId")),
        on("read null", "GetObject", Key="k", VersionId="null"),
        on("head one", "HeadObject", Key="k", VersionId=Ref("one.VersionId")),
        on("list", "ListObjectVersions"),
        on("delete", "DeleteObject", Key="k"),
        on("deleted", "GetObject", Key="k"),
        on("head deleted", "HeadObject", Key="k"),
        on("read the marker", "GetObject", Key="k", VersionId=Ref("delete.VersionId")),
        on("head the marker", "HeadObject", Key="k", VersionId=Ref("delete.VersionId")),
        on("list with marker", "ListObjectVersions"),
        on("objects", "ListObjectsV2"),
        on(
            "copy a version",
            "CopyObject",
            Key="c",
            CopySource={"Bucket": BUCKET, "Key": "k", "VersionId": Ref("one.VersionId")},
        ),
        on("read copy", "GetObject", Key="c"),
        on("undo", "DeleteObject", Key="k", VersionId=Ref("delete.VersionId")),
        on("undone", "GetObject", Key="k"),
        on(
            "tags of a version",
            "PutObjectTagging",
            Key="k",
            VersionId=Ref("one.VersionId"),
            Tagging={"TagSet": [{"Key": "a", "Value": "1"}]},
        ),
        on("tags read", "GetObjectTagging", Key="k", VersionId=Ref("one.VersionId")),
        on("tags of the newest", "GetObjectTagging", Key="k"),
        on("delete a version", "DeleteObject", Key="k", VersionId=Ref("two.VersionId")),
        on("one is newest", "GetObject", Key="k"),
        on("that version again", "GetObject", Key="k", VersionId=Ref("two.VersionId")),
        on("no version", "GetObject", Key="k", VersionId="nope"),
        on("suspend", "PutBucketVersioning", VersioningConfiguration=_OFF),
        put("suspended", body=b"suspended"),
        on("read suspended", "GetObject", Key="k"),
        on("delete suspended", "DeleteObject", Key="k"),
        on("list suspended", "ListObjectVersions", Prefix="k"),
        on(
            "many", "DeleteObjects", Delete={"Objects": [{"Key": "c"}, {"Key": "k", "VersionId": Ref("one.VersionId")}]}
        ),
        on("status unknown", "PutBucketVersioning", VersioningConfiguration={"Status": "Off"}),
        on("status missing", "PutBucketVersioning", VersioningConfiguration={}),
        on("page", "ListObjectVersions", MaxKeys=1),
        on(
            "next page",
            "ListObjectVersions",
            MaxKeys=1,
            KeyMarker=Ref("page.NextKeyMarker"),
            VersionIdMarker=Ref("page.NextVersionIdMarker"),
        ),
        on("not empty", "DeleteBucket"),
    ),
)

_FIVE = b"x" * (5 * 2**20)


def _upload(name: str, operation: str, upload: str = "start", **params: Any) -> Step:
    return on(name, operation, Key="big", UploadId=Ref(f"{upload}.UploadId"), **params)


def _parts(*named: str) -> dict[str, Any]:
    return {"Parts": [{"PartNumber": number, "ETag": Ref(f"{name}.ETag")} for number, name in enumerate(named, 1)]}


UPLOADS = Scenario(
    "uploads",
    (
        CREATE,
        on("start", "CreateMultipartUpload", Key="big", ContentType="text/plain", Metadata={"a": "b"}, Tagging="t=1"),
        _upload("part 1", "UploadPart", PartNumber=1, Body=_FIVE),
        _upload("part 2", "UploadPart", PartNumber=2, Body=b"end"),
        _upload("part 0", "UploadPart", PartNumber=0, Body=b"x"),
        _upload("part 10001", "UploadPart", PartNumber=10001, Body=b"x"),
        _upload("parts", "ListParts"),
        _upload("one part", "ListParts", MaxParts=1),
        _upload("behind", "ListParts", PartNumberMarker=1),
        on("under way", "ListMultipartUploads"),
        on("under way below", "ListMultipartUploads", Prefix="none"),
        _upload(
            "disorder",
            "CompleteMultipartUpload",
            MultipartUpload={
                "Parts": [{"PartNumber": 2, "ETag": Ref("part 2.ETag")}, {"PartNumber": 1, "ETag": Ref("part 1.ETag")}]
            },
        ),
        _upload("wrong part", "CompleteMultipartUpload", MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": '"0"'}]}),
        _upload(
            "missing part",
            "CompleteMultipartUpload",
            MultipartUpload={"Parts": [{"PartNumber": 7, "ETag": Ref("part 1.ETag")}]},
        ),
        _upload("no part", "CompleteMultipartUpload", MultipartUpload={"Parts": []}),
        _upload("complete", "CompleteMultipartUpload", MultipartUpload=_parts("part 1", "part 2")),
        on("head", "HeadObject", Key="big"),
        on("tail", "GetObject", Key="big", Range="bytes=-3"),
        on("second part", "GetObject", Key="big", PartNumber=2),
        on("head of second part", "HeadObject", Key="big", PartNumber=2),
        on("third part", "GetObject", Key="big", PartNumber=3),
        on("tags", "GetObjectTagging", Key="big"),
        on(
            "attributes",
            "GetObjectAttributes",
            Key="big",
            ObjectAttributes=["ETag", "ObjectSize", "StorageClass", "ObjectParts"],
        ),
        _upload("parts after", "ListParts"),
        on("start small", "CreateMultipartUpload", Key="big"),
        _upload("small 1", "UploadPart", "start small", PartNumber=1, Body=b"a"),
        _upload("small 2", "UploadPart", "start small", PartNumber=2, Body=b"b"),
        _upload("too small", "CompleteMultipartUpload", "start small", MultipartUpload=_parts("small 1", "small 2")),
        _upload("abort", "AbortMultipartUpload", "start small"),
        _upload("abort again", "AbortMultipartUpload", "start small"),
        on("never started", "UploadPart", Key="big", UploadId="nope", PartNumber=1, Body=b"x"),
        on("start copied", "CreateMultipartUpload", Key="big"),
        _upload("copied", "UploadPartCopy", "start copied", PartNumber=1, CopySource={"Bucket": BUCKET, "Key": "big"}),
        _upload(
            "copied range",
            "UploadPartCopy",
            "start copied",
            PartNumber=2,
            CopySource={"Bucket": BUCKET, "Key": "big"},
            CopySourceRange="bytes=0-9",
        ),
        _upload(
            "copied too far",
            "UploadPartCopy",
            "start copied",
            PartNumber=3,
            CopySource={"Bucket": BUCKET, "Key": "big"},
            CopySourceRange="bytes=0-99999999",
        ),
        _upload(
            "copied from nothing",
            "UploadPartCopy",
            "start copied",
            PartNumber=3,
            CopySource={"Bucket": BUCKET, "Key": "none"},
        ),
        _upload(
            "complete copied",
            "CompleteMultipartUpload",
            "start copied",
            MultipartUpload={
                "Parts": [
                    {"PartNumber": 1, "ETag": Ref("copied.CopyPartResult.ETag")},
                    {"PartNumber": 2, "ETag": Ref("copied range.CopyPartResult.ETag")},
                ]
            },
        ),
        on("read copied", "GetObject", Key="big", Range="bytes=-4"),
        step("start nowhere", "CreateMultipartUpload", Bucket="keyless-nowhere", Key="big"),
        on("start if absent", "CreateMultipartUpload", Key="big"),
        _upload("part if absent", "UploadPart", "start if absent", PartNumber=1, Body=b"x"),
        _upload(
            "complete if absent",
            "CompleteMultipartUpload",
            "start if absent",
            MultipartUpload=_parts("part if absent"),
            IfNoneMatch="*",
        ),
    ),
)

SCENARIOS = (BUCKETS, SETTINGS, LOCKS, LISTINGS, VERSIONS, UPLOADS)
