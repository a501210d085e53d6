"""Amazon S3, as far as the guides, the components and everyday ``aws s3`` go.

Buckets with policies, versions and tags, objects with conditional writes, checksums and ranges, listings, multipart
uploads. No ACLs, no server-side encryption keys: the list is in ``docs/reference/aws-differences.md``.
"""

from __future__ import annotations

from keyless.local.cloud.call import Call, Target
from keyless.local.cloud.database import Database
from keyless.local.cloud.s3.attributes import Attributes
from keyless.local.cloud.s3.buckets import Buckets
from keyless.local.cloud.s3.multipart import Multipart
from keyless.local.cloud.s3.objects import Objects
from keyless.local.cloud.s3.storage import Storage
from keyless.local.cloud.s3.tagging import Tagging
from keyless.local.cloud.s3.targets import Targets
from keyless.local.cloud.s3.versioning import Versioning
from keyless.local.cloud.s3.versions import Versions
from keyless.local.cloud.service import INSIDE, Operation, Service
from keyless.local.cloud.wire.http import HttpResponse
from keyless.local.cloud.wire.write import write_result

__all__ = ["S3"]

# S3 takes 5 GiB in one request; what a Space stores is small, and a body is held in memory once.
BODY_LIMIT_BYTES = 256 * 2**20


class S3:
    """The service on one database."""

    def __init__(self, database: Database) -> None:
        storage = Storage(database)
        self._buckets = Buckets(storage)
        self._targets = Targets(storage)
        versions = Versions(storage)
        self._objects = Objects(storage, self._buckets, self._targets, versions)
        self._multipart = Multipart(storage, self._buckets, self._objects, versions)
        self._versioning = Versioning(storage, self._buckets, versions)
        self._tagging = Tagging(storage, self._buckets, self._objects, versions)
        self._attributes = Attributes(self._objects)
        self._service = self._made()

    def service(self) -> Service:
        """The table of its operations."""
        return self._service

    def _made(self) -> Service:
        return Service(
            "s3",
            operations=(*self._on_buckets(), *self._on_objects(), *self._on_uploads(), *self._on_versions_and_tags()),
            body_limit_bytes=BODY_LIMIT_BYTES,
            signing_names=("s3", "s3express"),
        )

    def _on_buckets(self) -> tuple[Operation, ...]:
        on, buckets = self._targets.on_bucket, self._buckets
        return (
            Operation("CreateBucket", buckets.create, on("CreateBucket")),
            Operation("HeadBucket", buckets.head, on("ListBucket"), unsigned=True),
            Operation("DeleteBucket", buckets.delete, on("DeleteBucket")),
            Operation("ListBuckets", buckets.list_all, _all_buckets, root="ListAllMyBucketsResult"),
            Operation("GetBucketLocation", buckets.location, on("GetBucketLocation"), root="LocationConstraint"),
            Operation("GetBucketPolicy", buckets.get_policy, on("GetBucketPolicy")),
            Operation("PutBucketPolicy", buckets.put_policy, on("PutBucketPolicy")),
            Operation("DeleteBucketPolicy", buckets.delete_policy, on("DeleteBucketPolicy")),
        )

    def _on_objects(self) -> tuple[Operation, ...]:
        on, objects = self._targets.on_object, self._objects
        listing = self._targets.on_bucket("ListBucket")
        return (
            Operation("PutObject", objects.put, self._targets.on_write, unsigned=True),
            Operation("GetObject", self._get_object, on("GetObject"), unsigned=True),
            Operation("HeadObject", objects.head, on("GetObject"), unsigned=True),
            Operation("CopyObject", objects.copy, INSIDE),
            Operation("DeleteObject", objects.delete, on("DeleteObject"), unsigned=True),
            Operation("DeleteObjects", objects.delete_many, INSIDE, root="DeleteResult"),
            Operation("ListObjectsV2", objects.list_v2, listing, unsigned=True, root="ListBucketResult"),
            Operation("ListObjects", objects.list_v1, listing, unsigned=True, root="ListBucketResult"),
        )

    def _on_uploads(self) -> tuple[Operation, ...]:
        on, uploads = self._targets.on_object, self._multipart
        listing = self._targets.on_bucket("ListBucketMultipartUploads")
        return (
            Operation(
                "CreateMultipartUpload", uploads.create, self._targets.on_write, root="InitiateMultipartUploadResult"
            ),
            Operation("UploadPart", uploads.upload_part, on("PutObject")),
            Operation("CompleteMultipartUpload", uploads.complete, on("PutObject")),
            Operation("AbortMultipartUpload", uploads.abort, on("AbortMultipartUpload")),
            Operation("ListParts", uploads.list_parts, on("ListMultipartUploadParts"), root="ListPartsResult"),
            Operation("ListMultipartUploads", uploads.list_uploads, listing, root="ListMultipartUploadsResult"),
        )

    def _on_versions_and_tags(self) -> tuple[Operation, ...]:
        bucket, on, tags = self._targets.on_bucket, self._targets.on_object, self._tagging
        listing, setting = bucket("ListBucketVersions"), self._versioning
        root = "VersioningConfiguration"
        return (
            Operation("GetBucketVersioning", setting.get, bucket("GetBucketVersioning"), root=root),
            Operation("PutBucketVersioning", setting.put, bucket("PutBucketVersioning")),
            Operation("ListObjectVersions", setting.list, listing, unsigned=True, root="ListVersionsResult"),
            Operation("GetObjectTagging", tags.get_object, on("GetObjectTagging"), unsigned=True, root="Tagging"),
            Operation("PutObjectTagging", tags.put_object, on("PutObjectTagging")),
            Operation("DeleteObjectTagging", tags.delete_object, on("DeleteObjectTagging")),
            Operation("GetBucketTagging", tags.get_bucket, bucket("GetBucketTagging"), root="Tagging"),
            Operation("PutBucketTagging", tags.put_bucket, bucket("PutBucketTagging")),
            # There is no action of its own: who may put may take away.
            Operation("DeleteBucketTagging", tags.delete_bucket, bucket("PutBucketTagging")),
            Operation(
                "GetObjectAttributes",
                self._attributes.get,
                self._targets.on_attributes,
                root="GetObjectAttributesResponse",
            ),
        )

    def _get_object(self, call: Call) -> HttpResponse:
        status, result = self._objects.get(call)
        answer = write_result(self._service.model, "GetObject", result, request_id=call.request_id)
        answer.status = status
        return answer


def _all_buckets(_: Call) -> Target:
    return Target("*", "s3:ListAllMyBuckets")
