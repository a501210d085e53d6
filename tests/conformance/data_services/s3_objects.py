"""What the suite asks of objects: puts, reads, conditions, ranges, copies, deletes, tags."""

from __future__ import annotations

from typing import Any

from conformance.data_services.recording import Ref, Scenario, Step, step

BUCKET = "keyless-oracle"
HERE = {"LocationConstraint": "us-west-2"}
CREATE = step("create", "CreateBucket", Bucket=BUCKET, CreateBucketConfiguration=HERE)
OTHER = step("create other", "CreateBucket", Bucket=f"{BUCKET}-2", CreateBucketConfiguration=HERE)
ETAG_OF_HELLO = '"5d41402abc4b2a76b9719d911017c592"'
EARLY, LATE = "Mon, 01 Jan 2001 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"


def on(name: str, operation: str, **params: Any) -> Step:
    """A step on the suite's bucket."""
    return step(name, operation, Bucket=BUCKET, **params)


def put(name: str, key: str = "k", body: bytes = b"hello", **params: Any) -> Step:
    return on(name, "PutObject", Key=key, Body=body, **params)


ROUND_TRIPS = Scenario(
    "round trips",
    (
        CREATE,
        put("plain"),
        on("read plain", "GetObject", Key="k"),
        on("head plain", "HeadObject", Key="k"),
        put("empty", "empty", b""),
        on("read empty", "GetObject", Key="empty"),
        put(
            "described",
            "described",
            CacheControl="no-store",
            ContentDisposition="attachment",
            ContentEncoding="gzip",
            ContentLanguage="en",
            ContentType="text/plain",
            Metadata={"one": "1", "two": "zwei"},
            StorageClass="STANDARD_IA",
            WebsiteRedirectLocation="/elsewhere",
        ),
        on("read described", "GetObject", Key="described"),
        on("head described", "HeadObject", Key="described"),
        put("again", body=b"changed"),
        on("read again", "GetObject", Key="k"),
        on("read absent", "GetObject", Key="absent"),
        on("head absent", "HeadObject", Key="absent"),
        step("read in no bucket", "GetObject", Bucket="keyless-nowhere", Key="k"),
        step("put in no bucket", "PutObject", Bucket="keyless-nowhere", Key="k", Body=b""),
        step("head in no bucket", "HeadObject", Bucket="keyless-nowhere", Key="k"),
        put("class unknown", StorageClass="GOLD"),
        put("metadata of 2 KB", "big", Metadata={"m": "x" * 2047}),
        put("metadata too large", "bigger", Metadata={"m": "x" * 2048}),
        put("key of 1024 bytes", "x" * 1024),
        put("key too long", "x" * 1025),
        put("key too long in bytes", "ü" * 513),
        on("owner as expected", "HeadObject", Key="k", ExpectedBucketOwner="999999999999"),
        on(
            "overridden",
            "GetObject",
            Key="k",
            ResponseContentType="text/csv",
            ResponseCacheControl="no-cache",
            ResponseContentDisposition="inline",
            ResponseContentLanguage="de",
            ResponseContentEncoding="identity",
        ),
        on("acl", "GetObjectAcl", Key="k"),
        on("acl of nothing", "GetObjectAcl", Key="absent"),
    ),
)

ODD_KEYS = ("a b", "a+b", "a%20b", "ä/ö", "日本", "?x=y", "&", "//", "/lead", "a/../b", "./a", "trailing/", "~-_.!*'()")
KEYS = Scenario(
    "odd keys",
    (
        CREATE,
        *(
            one
            for number, key in enumerate(ODD_KEYS)
            for one in (
                put(f"put {number}", key, key.encode()),
                on(f"get {number}", "GetObject", Key=key),
                on(f"copy {number}", "CopyObject", Key=f"copy/{key}", CopySource={"Bucket": BUCKET, "Key": key}),
            )
        ),
        on("list", "ListObjectsV2"),
        on("delete all", "DeleteObjects", Delete={"Objects": [{"Key": key} for key in ODD_KEYS]}),
        on("list copies", "ListObjectsV2", Prefix="copy/"),
    ),
)

_SUMS = {
    "CRC32": "NhCmhg==",
    "CRC32C": "mnG7TA==",
    "CRC64NVME": "M3eFcAZSQlc=",
    "SHA1": "qvTGHdzF6KLavt4PO0gs2a6pQ00=",
    "SHA256": "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=",
}
CHECKSUMS = Scenario(
    "checksums",
    (
        CREATE,
        *(
            one
            for name, value in _SUMS.items()
            for one in (
                put(f"put {name}", name, **{f"Checksum{name}": value}),
                on(f"head {name}", "HeadObject", Key=name, ChecksumMode="ENABLED"),
                on(f"get {name}", "GetObject", Key=name, ChecksumMode="ENABLED"),
                on(f"attributes {name}", "GetObjectAttributes", Key=name, ObjectAttributes=["Checksum", "ObjectSize"]),
                put(f"wrong {name}", "wrong", b"other", **{f"Checksum{name}": value}),
                put(f"malformed {name}", "wrong", **{f"Checksum{name}": "AAAA"}),
            )
        ),
        on("no wrong one was stored", "HeadObject", Key="wrong"),
        put("md5", "md5", ContentMD5="XUFAKrxLKna5cZ2REBfFkg=="),
        put("wrong md5", "md5", b"other", ContentMD5="XUFAKrxLKna5cZ2REBfFkg=="),
        put("malformed md5", "md5", ContentMD5="nonsense"),
        on("unasked", "HeadObject", Key="CRC32"),
    ),
)


def _conditions(operation: str, **params: Any) -> tuple[Step, ...]:
    """Every condition of a read, holding and failing, and pairs of them."""
    other = '"00000000000000000000000000000000"'
    cases: dict[str, dict[str, Any]] = {
        "match": {"IfMatch": ETAG_OF_HELLO},
        "match any": {"IfMatch": "*"},
        "match unquoted": {"IfMatch": ETAG_OF_HELLO.strip('"')},
        "match other": {"IfMatch": other},
        "none match": {"IfNoneMatch": other},
        "none match same": {"IfNoneMatch": ETAG_OF_HELLO},
        "none match any": {"IfNoneMatch": "*"},
        "modified since early": {"IfModifiedSince": EARLY},
        "modified since then": {"IfModifiedSince": Ref("head.LastModified")},
        "unmodified since then": {"IfUnmodifiedSince": Ref("head.LastModified")},
        "unmodified since early": {"IfUnmodifiedSince": EARLY},
        "match, modified": {"IfMatch": ETAG_OF_HELLO, "IfUnmodifiedSince": EARLY},
        "none match, not modified": {"IfNoneMatch": other, "IfModifiedSince": Ref("head.LastModified")},
        "none match same, modified": {"IfNoneMatch": ETAG_OF_HELLO, "IfModifiedSince": EARLY},
    }
    return tuple(on(f"{operation} {name}", operation, **params, **case) for name, case in cases.items())


CONDITIONS = Scenario(
    "conditions",
    (
        CREATE,
        put("put"),
        on("head", "HeadObject", Key="k"),
        *_conditions("GetObject", Key="k"),
        *_conditions("HeadObject", Key="k"),
        put("absent is free", "free", IfNoneMatch="*"),
        put("taken is not", "free", IfNoneMatch="*"),
        put("changed is not", "free", IfMatch='"00000000000000000000000000000000"'),
        put("unchanged is", "free", b"two", IfMatch=Ref("absent is free.ETag")),
        put("no more", "free", b"three", IfMatch=Ref("absent is free.ETag")),
        put("nothing to match", "never", IfMatch=ETAG_OF_HELLO),
        on("read after", "GetObject", Key="free"),
    ),
)

_RANGES = (
    "bytes=0-0", "bytes=1-3", "bytes=2-", "bytes=-2", "bytes=0-99", "bytes=-99", "bytes=4-4", "bytes=5-", "bytes=5-9",
    "bytes=9-1", "bytes=0-1,3-4", "bytes=-0", "bytes=a-b", "lines=0-1", "0-1",
)  # fmt: skip
RANGES = Scenario(
    "ranges",
    (
        CREATE,
        put("put"),
        put("put empty", "empty", b""),
        *(on(f"get {one}", "GetObject", Key="k", Range=one) for one in _RANGES),
        *(on(f"head {one}", "HeadObject", Key="k", Range=one) for one in ("bytes=1-3", "bytes=9-", "bytes=0-1,3-4")),
        *(on(f"empty {one}", "GetObject", Key="empty", Range=one) for one in ("bytes=0-0", "bytes=-1")),
        on("part one of one", "GetObject", Key="k", PartNumber=1),
        on("part two of one", "GetObject", Key="k", PartNumber=2),
        on("with checksum", "GetObject", Key="k", Range="bytes=0-1", ChecksumMode="ENABLED"),
    ),
)

_FROM = {"Bucket": BUCKET, "Key": "k"}
COPIES = Scenario(
    "copies",
    (
        CREATE,
        OTHER,
        put("put", ContentType="text/plain", Metadata={"a": "b"}, CacheControl="no-store", Tagging="t=1"),
        on("head", "HeadObject", Key="k"),
        on("copy", "CopyObject", Key="copied", CopySource=_FROM),
        on("read copy", "GetObject", Key="copied"),
        on("tags of copy", "GetObjectTagging", Key="copied"),
        on("replace", "CopyObject", Key="replaced", CopySource=_FROM, MetadataDirective="REPLACE", Metadata={"c": "d"}),
        on("read replaced", "GetObject", Key="replaced"),
        on("other tags", "CopyObject", Key="tagged", CopySource=_FROM, TaggingDirective="REPLACE", Tagging="u=2"),
        on("tags of tagged", "GetObjectTagging", Key="tagged"),
        on("to itself", "CopyObject", Key="k", CopySource=_FROM),
        on("to itself, changed", "CopyObject", Key="k", CopySource=_FROM, MetadataDirective="REPLACE"),
        on("to itself, other class", "CopyObject", Key="k", CopySource=_FROM, StorageClass="STANDARD_IA"),
        step("to the other", "CopyObject", Bucket=f"{BUCKET}-2", Key="k", CopySource=_FROM),
        step("read in the other", "GetObject", Bucket=f"{BUCKET}-2", Key="k"),
        on("from nothing", "CopyObject", Key="x", CopySource={"Bucket": BUCKET, "Key": "absent"}),
        on("from nowhere", "CopyObject", Key="x", CopySource={"Bucket": "keyless-nowhere", "Key": "k"}),
        step("to nowhere", "CopyObject", Bucket="keyless-nowhere", Key="k", CopySource=_FROM),
        on("class", "CopyObject", Key="cold", CopySource=_FROM, StorageClass="STANDARD_IA"),
        on("head cold", "HeadObject", Key="cold"),
        on("match", "CopyObject", Key="x", CopySource=_FROM, CopySourceIfMatch=ETAG_OF_HELLO),
        on("match other", "CopyObject", Key="x", CopySource=_FROM, CopySourceIfMatch='"0"'),
        on("none match same", "CopyObject", Key="x", CopySource=_FROM, CopySourceIfNoneMatch=ETAG_OF_HELLO),
        on("modified since late", "CopyObject", Key="x", CopySource=_FROM, CopySourceIfModifiedSince=LATE),
        on("unmodified since early", "CopyObject", Key="x", CopySource=_FROM, CopySourceIfUnmodifiedSince=EARLY),
        on("directive unknown", "CopyObject", Key="x", CopySource=_FROM, MetadataDirective="KEEP"),
        on("checksum", "CopyObject", Key="sum", CopySource=_FROM, ChecksumAlgorithm="SHA256"),
        on("head sum", "HeadObject", Key="sum", ChecksumMode="ENABLED"),
    ),
)

DELETES = Scenario(
    "deletes",
    (
        CREATE,
        put("put"),
        on("delete", "DeleteObject", Key="k"),
        on("delete again", "DeleteObject", Key="k"),
        on("gone", "GetObject", Key="k"),
        *(put(f"put {key}", key) for key in "abc"),
        on("many", "DeleteObjects", Delete={"Objects": [{"Key": "a"}, {"Key": "never"}]}),
        on("quietly", "DeleteObjects", Delete={"Objects": [{"Key": "b"}], "Quiet": True}),
        on("left", "ListObjectsV2"),
        on("none", "DeleteObjects", Delete={"Objects": []}),
        on("too many", "DeleteObjects", Delete={"Objects": [{"Key": f"{number}"} for number in range(1001)]}),
        on("a thousand", "DeleteObjects", Delete={"Objects": [{"Key": "c"}] * 1000, "Quiet": True}),
        on("nothing left", "ListObjectsV2"),
        step("in no bucket", "DeleteObject", Bucket="keyless-nowhere", Key="k"),
        step("many in no bucket", "DeleteObjects", Bucket="keyless-nowhere", Delete={"Objects": [{"Key": "k"}]}),
    ),
)


def _tags(**tags: str) -> dict[str, Any]:
    return {"TagSet": [{"Key": key, "Value": value} for key, value in tags.items()]}


TAGS = Scenario(
    "tags",
    (
        CREATE,
        put("put", Tagging="a=1&b=two%20words&c="),
        on("read", "GetObjectTagging", Key="k"),
        on("count", "HeadObject", Key="k"),
        on("replace", "PutObjectTagging", Key="k", Tagging=_tags(d="4")),
        on("read replaced", "GetObjectTagging", Key="k"),
        on("delete", "DeleteObjectTagging", Key="k"),
        on("read deleted", "GetObjectTagging", Key="k"),
        on("of nothing", "GetObjectTagging", Key="absent"),
        on("put on nothing", "PutObjectTagging", Key="absent", Tagging=_tags(d="4")),
        on("ten", "PutObjectTagging", Key="k", Tagging=_tags(**{f"t{number}": "v" for number in range(10)})),
        on("eleven", "PutObjectTagging", Key="k", Tagging=_tags(**{f"t{number}": "v" for number in range(11)})),
        on("twice", "PutObjectTagging", Key="k", Tagging={"TagSet": [{"Key": "a", "Value": "1"}] * 2}),
        on("aws's", "PutObjectTagging", Key="k", Tagging={"TagSet": [{"Key": "aws:x", "Value": "1"}]}),
        on("long key", "PutObjectTagging", Key="k", Tagging={"TagSet": [{"Key": "x" * 129, "Value": "1"}]}),
        on("long value", "PutObjectTagging", Key="k", Tagging={"TagSet": [{"Key": "x", "Value": "1" * 257}]}),
        put("gone with a put", Tagging=""),
        on("read after put", "GetObjectTagging", Key="k"),
        on("no set on the bucket", "GetBucketTagging"),
        on("set on the bucket", "PutBucketTagging", Tagging=_tags(team="billing")),
        on("read of the bucket", "GetBucketTagging"),
        on("take away", "DeleteBucketTagging"),
        on("gone from the bucket", "GetBucketTagging"),
    ),
)

SCENARIOS = (ROUND_TRIPS, KEYS, CHECKSUMS, CONDITIONS, RANGES, COPIES, DELETES, TAGS)
