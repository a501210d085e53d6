"""Amazon S3, as far as the guides, the components and everyday ``aws s3`` go.

Buckets with policies, objects with conditional writes, checksums and ranges, listings, multipart uploads. No versioning
yet, no ACLs, no server-side encryption keys: the list is in ``docs/reference/aws-differences.md``.
"""

from __future__ import annotations

from keyless.local.cloud.call import Call, Target
from keyless.local.cloud.database import Database
from keyless.local.cloud.s3.buckets import Buckets
from keyless.local.cloud.s3.multipart import Multipart
from keyless.local.cloud.s3.objects import Objects
from keyless.local.cloud.s3.storage import Storage
from keyless.local.cloud.s3.targets import Targets
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
        self._objects = Objects(storage, self._buckets, self._targets)
        self._multipart = Multipart(storage, self._buckets, self._objects)
        self._service = self._made()

    def service(self) -> Service:
        """The table of its operations."""
        return self._service

    def _made(self) -> Service:
        return Service(
            "s3",
            operations=(*self._on_buckets(), *self._on_objects(), *self._on_uploads()),
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
            Operation("GetBucketVersioning", buckets.versioning, on("GetBucketVersioning")),
        )

    def _on_objects(self) -> tuple[Operation, ...]:
        on, objects = self._targets.on_object, self._objects
        listing = self._targets.on_bucket("ListBucket")
        return (
            Operation("PutObject", objects.put, on("PutObject"), unsigned=True),
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
            Operation("CreateMultipartUpload", uploads.create, on("PutObject"), root="InitiateMultipartUploadResult"),
            Operation("UploadPart", uploads.upload_part, on("PutObject")),
            Operation("CompleteMultipartUpload", uploads.complete, on("PutObject")),
            Operation("AbortMultipartUpload", uploads.abort, on("AbortMultipartUpload")),
            Operation("ListParts", uploads.list_parts, on("ListMultipartUploadParts"), root="ListPartsResult"),
            Operation("ListMultipartUploads", uploads.list_uploads, listing, root="ListMultipartUploadsResult"),
        )

    def _get_object(self, call: Call) -> HttpResponse:
        status, result = self._objects.get(call)
        answer = write_result(self._service.model, "GetObject", result, request_id=call.request_id)
        answer.status = status
        return answer


def _all_buckets(_: Call) -> Target:
    return Target("*", "s3:ListAllMyBuckets")
