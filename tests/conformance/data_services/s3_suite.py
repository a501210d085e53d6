"""S3: the scenarios that moto is asked, and where its answers are not AWS's."""

from __future__ import annotations

from conformance.data_services import s3_buckets, s3_objects
from conformance.data_services.recording import Difference, Suite

_API = "https://docs.aws.amazon.com/AmazonS3/latest/API"
_GUIDE = "https://docs.aws.amazon.com/AmazonS3/latest/userguide"

#: what moto's answers lack everywhere
_LACKING = (
    Difference(
        "*/create*: result.Location",
        f"a region but the oldest is answered with the bucket's URL ({_API}/API_CreateBucket.html)",
    ),
    Difference("*ChecksumType", f"the type is beside every checksum ({_API}/API_GetObject.html)"),
    Difference(
        "*.ServerSideEncryption", f"every object is encrypted since January 2023 ({_GUIDE}/default-encryption-faq.html)"
    ),
    Difference("*.ChecksumAlgorithm", f"every listing names it ({_API}/API_Object.html), moto's newest alone"),
    Difference("listings/1 *: result.Marker", f"the marker is given back ({_API}/API_ListObjects.html)"),
    Difference("listings/1 *: result.Prefix", "an empty prefix is an empty element"),
    Difference("listings/2 *: result.ContinuationToken", f"the token is given back ({_API}/API_ListObjectsV2.html)"),
    Difference("*: result.EncodingType", f"the encoding is given back ({_API}/API_ListObjectVersions.html)"),
    Difference("*: result.TransitionDefaultMinimumObjectSize", f"{_API}/API_PutBucketLifecycleConfiguration.html"),
)
_OBJECTS = (
    Difference("round trips/metadata too large: *", f"2 KB of metadata ({_GUIDE}/UsingMetadata.html)"),
    Difference("round trips/key too long*: *", f"1,024 bytes ({_GUIDE}/object-keys.html)"),
    Difference("round trips/owner as expected: *", f"403 for another owner ({_GUIDE}/bucket-owner-condition.html)"),
    Difference(
        "checksums/*",
        f"moto verifies and keeps no checksum that comes in a header ({_GUIDE}/checking-object-integrity.html)",
    ),
    Difference("conditions/*Object match any: *", "`*` is every ETag (RFC 9110 §13.1.1)"),
    Difference("conditions/*Object none match any: *", "`*` is every ETag (RFC 9110 §13.1.2)"),
    Difference("conditions/HeadObject match unquoted: *", "moto's own GetObject takes it"),
    Difference("conditions/*Object match, modified: *", f"If-Match decides alone ({_API}/API_GetObject.html)"),
    Difference("conditions/*Object none match, not modified: *", "If-None-Match decides alone (RFC 9110 §13.2.2)"),
    Difference("ranges/get bytes=9-1: *", "no range, hence ignored (RFC 9110 §14.1.1)"),
    Difference("ranges/get *0-1: *", "no range of bytes, hence ignored (RFC 9110 §14.2)"),
    Difference("ranges/empty bytes=-1: *", "no byte of an empty object can be had (RFC 9110 §14.1.2)"),
    Difference("ranges/part two of one: *", "InvalidPartNumber is S3's word; moto answers without one"),
    Difference("copies/match other: *", f"the source's conditions hold copies back ({_API}/API_CopyObject.html)"),
    Difference("copies/*modified since *: *", f"the source's conditions hold copies back ({_API}/API_CopyObject.html)"),
    Difference("copies/directive unknown: *", f"COPY and REPLACE are all there is ({_API}/API_CopyObject.html)"),
    Difference("deletes/quietly: *", f"in quiet mode errors alone are told ({_API}/API_DeleteObjects.html)"),
    Difference("deletes/a thousand: *", f"in quiet mode errors alone are told ({_API}/API_DeleteObjects.html)"),
    Difference("deletes/too many: *", f"a thousand keys a request ({_API}/API_DeleteObjects.html)"),
    Difference("tags/twice: *", f"a key once ({_GUIDE}/object-tagging.html)"),
)
_BUCKETS = (
    Difference("buckets/create *: *", f"moto takes names that break the rules ({_GUIDE}/bucketnamingrules.html)"),
    Difference("buckets/list: *", "… and lists them"),
    Difference("buckets/head: result.AccessPointAlias", f"{_API}/API_HeadBucket.html"),
    Difference(
        "settings/GetBucketEncryption fresh: *", f"SSE-S3 since January 2023 ({_GUIDE}/default-encryption-faq.html)"
    ),
    Difference(
        "settings/GetPublicAccessBlock fresh: *",
        f"on for new buckets since April 2023 ({_GUIDE}/access-control-block-public-access.html)",
    ),
    Difference(
        "settings/GetBucketOwnershipControls fresh: *",
        f"BucketOwnerEnforced since April 2023 ({_GUIDE}/about-object-ownership.html)",
    ),
    Difference(
        "settings/GetBucketRequestPayment fresh: *", f"the owner pays ({_API}/API_GetBucketRequestPayment.html)"
    ),
    Difference("settings/policy malformed: *", "a policy that is no JSON is refused; moto keeps it"),
    Difference("locks/no retention: *", "NoSuchObjectLockConfiguration; moto fails with 500"),
    Difference("listings/*too many: result.MaxKeys", f"a thousand at most ({_API}/API_ListObjectsV2.html)"),
    Difference(
        "listings/1 three: result.NextMarker", f"only with a delimiter, and then a key ({_API}/API_ListObjects.html)"
    ),
    Difference("listings/1 three folded: *", f"common prefixes count as keys ({_API}/API_ListObjects.html)"),
    Difference("listings/1 folded marker: *", "a common prefix that is the marker is behind it"),
    Difference(
        "listings/* coded*: *", f"encoding-type=url encodes keys and prefixes ({_API}/API_ListObjectVersions.html)"
    ),
    Difference("listings/versions none: *", "nothing was asked for, nothing is left out"),
    Difference("listings/2 negative: *", "InvalidArgument for a number below zero"),
    Difference("listings/2 coding unknown: *", "url is the only encoding"),
    Difference(
        "versions/read null: result.VersionId",
        f"the null version is shown as null ({_GUIDE}/versioning-workflows.html)",
    ),
    Difference(
        "versions/*suspended: *",
        f"a null version is written, and a null marker ({_GUIDE}/DeletingObjectsfromVersioningSuspendedBuckets.html)",
    ),
    Difference("versions/many: *", f"… so it is with many ({_API}/API_DeleteObjects.html)"),
    Difference("versions/read the marker: *", f"405 is MethodNotAllowed ({_GUIDE}/DeleteMarker.html)"),
    Difference("versions/undo: result.DeleteMarker", f"a deleted marker is told ({_GUIDE}/ManagingDelMarkers.html)"),
    Difference("versions/tags of a version: result.VersionId", f"{_API}/API_PutObjectTagging.html"),
    Difference("versions/no version: *", "an id that cannot be one is an invalid argument"),
    Difference("versions/status *: *", "MalformedXML, IllegalVersioningConfigurationException; moto keeps anything"),
    Difference("versions/*page: *", "moto never made the marker of the suspended bucket"),
    Difference("versions/not empty: *", f"versions keep a bucket from being deleted ({_API}/API_DeleteBucket.html)"),
)
_UPLOADS = (
    Difference("uploads/part 0: *", f"parts are numbered from 1 ({_GUIDE}/qfacts.html)"),
    Difference("uploads/under way: result.Uploads.0.Initiator.ID", "the account began it and owns it"),
    Difference("uploads/under way*: result.Prefix", f"the prefix is given back ({_API}/API_ListMultipartUploads.html)"),
    Difference("uploads/disorder: error.Code", f"InvalidPartOrder ({_API}/API_CompleteMultipartUpload.html)"),
    Difference(
        "uploads/complete*: result.ChecksumCRC64NVME",
        f"computed where none was asked for ({_GUIDE}/checking-object-integrity.html)",
    ),
    Difference("uploads/*: result.VersionId", "a bucket without versions has no ids"),
    Difference("uploads/*second part: *", f"partNumber reads that part ({_API}/API_GetObject.html)"),
    Difference("uploads/third part: *", "a part that is not there cannot be read"),
    Difference("uploads/attributes: result.ObjectParts", f"{_API}/API_GetObjectAttributes.html"),
    Difference("uploads/never started: *", "NoSuchUpload; moto answers without a code"),
    Difference("uploads/copied too far: *", f"a range beyond the source is refused ({_API}/API_UploadPartCopy.html)"),
    Difference("uploads/copied from nothing: error.Code", "NoSuchKey; moto answers without a code"),
)

SUITE = Suite(
    "s3",
    scenarios=(*s3_objects.SCENARIOS, *s3_buckets.SCENARIOS),
    differences=(*_LACKING, *_OBJECTS, *_BUCKETS, *_UPLOADS),
    made_up=frozenset(
        {
            "VersionId",
            "CopySourceVersionId",
            "UploadId",
            "NextVersionIdMarker",
            "VersionIdMarker",
            "ID",
            "ContinuationToken",
            "NextContinuationToken",
            "UploadIdMarker",
            "NextUploadIdMarker",
        }
    ),
    # AWS gives no names of owners since November 2025.
    unseen=frozenset({"DisplayName"}),
)
