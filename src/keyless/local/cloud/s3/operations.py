"""The table of S3's operations: each with what it runs and what it touches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from keyless.local.cloud.call import Call, Target
from keyless.local.cloud.database import Database
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.kms import KeysForServices
from keyless.local.cloud.s3 import configurations as kept
from keyless.local.cloud.s3.access import Access
from keyless.local.cloud.s3.addressing import path_style
from keyless.local.cloud.s3.attributes import Attributes
from keyless.local.cloud.s3.buckets import Buckets
from keyless.local.cloud.s3.configurations import Configurations, Kept
from keyless.local.cloud.s3.copying import Copying
from keyless.local.cloud.s3.deleting import Deleting
from keyless.local.cloud.s3.envelopes import Envelopes
from keyless.local.cloud.s3.integrity import verify_document
from keyless.local.cloud.s3.listings import Listings
from keyless.local.cloud.s3.locking import Locking
from keyless.local.cloud.s3.multipart import Multipart
from keyless.local.cloud.s3.objects import Objects
from keyless.local.cloud.s3.policies import BucketPolicies
from keyless.local.cloud.s3.reading import Reading
from keyless.local.cloud.s3.storage import Storage
from keyless.local.cloud.s3.tagging import Tagging
from keyless.local.cloud.s3.targets import Targets
from keyless.local.cloud.s3.uploads import Uploads
from keyless.local.cloud.s3.versioning import Versioning
from keyless.local.cloud.s3.versions import Versions
from keyless.local.cloud.service import INSIDE, Operation, Service
from keyless.local.cloud.wire.http import HttpResponse
from keyless.local.cloud.wire.write import write_result

# S3 takes 5 GiB in one request; what a Space stores is small, and a body is held in memory once.
BODY_LIMIT_BYTES = 256 * 2**20
_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'


class S3:
    """The service on one database; ``keys`` are what objects are sealed under (SSE-KMS)."""

    def __init__(self, database: Database, keys: KeysForServices) -> None:
        storage = Storage(database)
        self._storage = storage
        self._buckets = Buckets(storage)
        self._targets = Targets(storage)
        self._versions = Versions(storage)
        self._objects = Objects(
            storage, self._buckets, self._targets, versions=self._versions, envelopes=Envelopes(keys)
        )
        self._service = self._made()

    def service(self) -> Service:
        """The table of its operations."""
        return self._service

    def _made(self) -> Service:
        operations = (
            *self._on_buckets(),
            *self._on_objects(),
            *self._on_uploads(),
            *self._on_versions_and_tags(),
            *self._on_access(),
            *self._on_locks(),
            *self._on_configurations(),
        )
        return Service(
            "s3",
            operations=tuple(_verified(one) for one in operations),
            body_limit_bytes=BODY_LIMIT_BYTES,
            signing_names=("s3", "s3express"),
            invalid=_invalid,
            addressed=path_style,
        )

    def _on_buckets(self) -> tuple[Operation, ...]:
        on, buckets, policies = self._targets.on_bucket, self._buckets, BucketPolicies(self._storage, self._buckets)
        status = on("GetBucketPolicyStatus")
        return (
            Operation("CreateBucket", buckets.create, on("CreateBucket")),
            Operation("HeadBucket", buckets.head, on("ListBucket"), unsigned=True),
            Operation("DeleteBucket", buckets.delete, on("DeleteBucket")),
            Operation("ListBuckets", buckets.list_all, _all_buckets, root="ListAllMyBucketsResult"),
            Operation("GetBucketLocation", self._location, on("GetBucketLocation")),
            Operation("GetBucketPolicy", policies.get, on("GetBucketPolicy")),
            Operation("GetBucketPolicyStatus", policies.status, status, root="PolicyStatus"),
            Operation("PutBucketPolicy", policies.put, on("PutBucketPolicy")),
            Operation("DeleteBucketPolicy", policies.delete, on("DeleteBucketPolicy")),
        )

    def _on_objects(self) -> tuple[Operation, ...]:
        on, objects, listings = self._targets.on_object, self._objects, Listings(self._storage, self._buckets)
        listing = self._targets.on_bucket("ListBucket")
        uploads = self._targets.on_bucket("ListBucketMultipartUploads")
        attributes, reading = Attributes(objects), Reading(objects)
        deleting = Deleting(self._storage, self._buckets, self._targets, self._versions)
        return (
            Operation("PutObject", objects.put, self._targets.on_write, unsigned=True),
            Operation("GetObject", self._read("GetObject", reading.get), on("GetObject"), unsigned=True),
            Operation("HeadObject", self._read("HeadObject", reading.head), on("GetObject"), unsigned=True),
            Operation("DeleteObject", deleting.delete, self._targets.on_delete, unsigned=True),
            Operation("DeleteObjects", deleting.delete_many, INSIDE, root="DeleteResult"),
            Operation("ListObjectsV2", listings.objects_v2, listing, unsigned=True, root="ListBucketResult"),
            Operation("ListObjects", listings.objects_v1, listing, unsigned=True, root="ListBucketResult"),
            Operation("ListMultipartUploads", listings.uploads, uploads, root="ListMultipartUploadsResult"),
            Operation(
                "GetObjectAttributes", attributes.get, self._targets.on_attributes, root="GetObjectAttributesResponse"
            ),
        )

    def _on_uploads(self) -> tuple[Operation, ...]:
        copying = Copying(self._storage, self._buckets, self._objects, targets=self._targets)
        uploads = Multipart(Uploads(self._storage), self._buckets, self._objects, copying=copying)
        on, write = self._targets.on_object, self._targets.on_write
        return (
            Operation("CopyObject", copying.copy, INSIDE),
            Operation("CreateMultipartUpload", uploads.create, write, root="InitiateMultipartUploadResult"),
            Operation("UploadPart", uploads.upload_part, on("PutObject")),
            Operation("UploadPartCopy", uploads.copy_part, INSIDE),
            Operation("CompleteMultipartUpload", uploads.complete, write),
            Operation("AbortMultipartUpload", uploads.abort, on("AbortMultipartUpload")),
            Operation("ListParts", uploads.list_parts, on("ListMultipartUploadParts"), root="ListPartsResult"),
        )

    def _on_versions_and_tags(self) -> tuple[Operation, ...]:
        bucket, on = self._targets.on_bucket, self._targets.on_object
        tags = Tagging(self._storage, self._buckets, self._objects, self._versions)
        versions = Versioning(self._storage, self._buckets, self._versions)
        listing, root = bucket("ListBucketVersions"), "VersioningConfiguration"
        return (
            Operation("GetBucketVersioning", versions.get, bucket("GetBucketVersioning"), root=root),
            Operation("PutBucketVersioning", versions.put, bucket("PutBucketVersioning")),
            Operation("ListObjectVersions", versions.list, listing, unsigned=True, root="ListVersionsResult"),
            Operation("GetObjectTagging", tags.get_object, on("GetObjectTagging"), unsigned=True, root="Tagging"),
            Operation("PutObjectTagging", tags.put_object, on("PutObjectTagging")),
            Operation("DeleteObjectTagging", tags.delete_object, on("DeleteObjectTagging")),
            Operation("GetBucketTagging", tags.get_bucket, bucket("GetBucketTagging"), root="Tagging"),
            Operation("PutBucketTagging", tags.put_bucket, bucket("PutBucketTagging")),
            # There is no action of its own: who may put may take away. So it is with the settings below.
            Operation("DeleteBucketTagging", tags.delete_bucket, bucket("PutBucketTagging")),
        )

    def _on_access(self) -> tuple[Operation, ...]:
        on, bucket, access = self._targets.on_object, self._targets.on_bucket, Access(self._buckets, self._objects)
        acl, own, public = "AccessControlPolicy", "BucketOwnershipControls", "BucketPublicAccessBlock"
        return (
            Operation("GetBucketAcl", access.bucket_acl, bucket("GetBucketAcl"), root=acl),
            Operation("PutBucketAcl", access.put_bucket_acl, bucket("PutBucketAcl")),
            Operation("GetObjectAcl", access.object_acl, on("GetObjectAcl"), unsigned=True, root=acl),
            Operation("PutObjectAcl", access.put_object_acl, on("PutObjectAcl")),
            Operation("GetBucketOwnershipControls", access.ownership, bucket(f"Get{own}"), root="OwnershipControls"),
            Operation("PutBucketOwnershipControls", access.put_ownership, bucket(f"Put{own}")),
            Operation("DeleteBucketOwnershipControls", access.delete_ownership, bucket(f"Put{own}")),
            Operation("GetPublicAccessBlock", access.public_access, bucket(f"Get{public}")),
            Operation("PutPublicAccessBlock", access.put_public_access, bucket(f"Put{public}")),
            Operation("DeletePublicAccessBlock", access.delete_public_access, bucket(f"Put{public}")),
        )

    def _on_locks(self) -> tuple[Operation, ...]:
        on, bucket = self._targets.on_object, self._targets.on_bucket
        locks = Locking(self._buckets, self._objects, self._targets, self._versions)
        lock = "BucketObjectLockConfiguration"
        return (
            Operation("GetObjectLockConfiguration", locks.get, bucket(f"Get{lock}")),
            Operation("PutObjectLockConfiguration", locks.put, bucket(f"Put{lock}")),
            Operation("GetObjectRetention", locks.retention, on("GetObjectRetention")),
            Operation("PutObjectRetention", locks.put_retention, on("PutObjectRetention")),
            Operation("GetObjectLegalHold", locks.legal_hold, on("GetObjectLegalHold")),
            Operation("PutObjectLegalHold", locks.put_legal_hold, on("PutObjectLegalHold")),
        )

    def _on_configurations(self) -> tuple[Operation, ...]:
        on, settings = self._targets.on_bucket, Configurations(self._buckets)

        def get(name: str, what: Kept, action: str, root: str = "") -> Operation:
            return Operation(name, settings.get(what), on(action), root=root or what.parameter)

        def put(name: str, what: Kept, action: str) -> Operation:
            return Operation(name, settings.put(what), on(action))

        def delete(name: str, what: Kept, action: str) -> Operation:
            return Operation(name, settings.delete(what), on(action))

        lifecycle, encryption = "LifecycleConfiguration", "EncryptionConfiguration"
        return (
            get("GetBucketCors", kept.CORS, "GetBucketCORS"),
            put("PutBucketCors", kept.CORS, "PutBucketCORS"),
            delete("DeleteBucketCors", kept.CORS, "PutBucketCORS"),
            get("GetBucketLifecycleConfiguration", kept.LIFECYCLE, f"Get{lifecycle}"),
            Operation("PutBucketLifecycleConfiguration", settings.put_lifecycle, on(f"Put{lifecycle}")),
            delete("DeleteBucketLifecycle", kept.LIFECYCLE, f"Put{lifecycle}"),
            get("GetBucketEncryption", kept.DEFAULT_ENCRYPTION, f"Get{encryption}"),
            put("PutBucketEncryption", kept.DEFAULT_ENCRYPTION, f"Put{encryption}"),
            delete("DeleteBucketEncryption", kept.DEFAULT_ENCRYPTION, f"Put{encryption}"),
            get("GetBucketLogging", kept.LOGGING, "GetBucketLogging"),
            Operation("PutBucketLogging", settings.put_logging, on("PutBucketLogging")),
            get("GetBucketNotificationConfiguration", kept.NOTIFICATIONS, "GetBucketNotification"),
            put("PutBucketNotificationConfiguration", kept.NOTIFICATIONS, "PutBucketNotification"),
            get("GetBucketRequestPayment", kept.PAYMENT, "GetBucketRequestPayment"),
            put("PutBucketRequestPayment", kept.PAYMENT, "PutBucketRequestPayment"),
            get("GetBucketReplication", kept.REPLICATION, "GetReplicationConfiguration"),
            get("GetBucketWebsite", kept.WEBSITE, "GetBucketWebsite"),
            get("GetBucketAccelerateConfiguration", kept.ACCELERATION, "GetAccelerateConfiguration"),
        )

    def _location(self, call: Call) -> HttpResponse:
        """The one answer whose member is its root, whatever the model says."""
        region = self._buckets.location(call)
        text = f'<LocationConstraint xmlns="{_NAMESPACE}">{region}</LocationConstraint>'
        return HttpResponse(200, {"content-type": "application/xml"}, f"{_DECLARATION}{text}".encode())

    def _read(self, name: str, run: Callable[[Call], tuple[int, dict[str, Any]]]) -> Callable[[Call], HttpResponse]:
        def answer(call: Call) -> HttpResponse:
            status, result = run(call)
            made = write_result(self._service.model, name, result, request_id=call.request_id)
            made.status = status
            return made

        return answer


def _verified(operation: Operation) -> Operation:
    """The operation with its document's checksum held against the body, where the body is a document."""
    if operation.name in _OBJECT_BODIES or not operation.name.startswith(("Put", "DeleteObjects")):
        return operation

    def run(call: Call) -> Any:
        verify_document(call.request, required=operation.name in _MUST_HAVE_SUMS)
        return operation.run(call)

    return replace(operation, run=run)


#: their checksum is the object's, and checked where the object is stored
_OBJECT_BODIES = {"PutObject"}
_MUST_HAVE_SUMS = {
    "DeleteObjects", "PutBucketCors", "PutBucketLifecycleConfiguration", "PutBucketTagging", "PutObjectLegalHold",
    "PutObjectLockConfiguration", "PutObjectRetention",
}  # fmt: skip


def _all_buckets(_: Call) -> Target:
    return Target("*", "s3:ListAllMyBuckets")


def _invalid(text: str) -> AwsError:
    """S3's words for a parameter of the wrong shape: a header's have codes of their own, a document's has one."""
    path = text.partition(" at '")[2].partition("'")[0]
    for member, (code, said) in _INVALID.items():
        if path == member:
            return AwsError(code, said, status=400)
    if "." in path or "must not be null" in text:
        return AwsError(
            "MalformedXML",
            "The XML you provided was not well-formed or did not validate against our published schema",
            status=400,
        )
    return AwsError("InvalidArgument", text, status=400)


_INVALID = {
    "storageClass": ("InvalidStorageClass", "The storage class you specified is not valid"),
    "serverSideEncryption": ("InvalidArgument", "The encryption method specified is not supported"),
    "key": ("InvalidURI", "Couldn't parse the specified URI."),
    "encodingType": ("InvalidArgument", "Invalid Encoding Method specified in Request"),
    "metadataDirective": ("InvalidArgument", "Unknown metadata directive."),
    "createBucketConfiguration.locationConstraint": (
        "InvalidLocationConstraint",
        "The specified location-constraint is not valid",
    ),
    "taggingDirective": ("InvalidArgument", "Unknown tagging directive."),
}
