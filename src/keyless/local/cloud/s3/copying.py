"""CopyObject, and the source that copies of objects and of parts read.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

from keyless.local.cloud.call import Call
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.s3.buckets import Buckets, no_such_bucket
from keyless.local.cloud.s3.checksums import ALGORITHMS, DEFAULT, FULL_OBJECT, algorithm_of, computed
from keyless.local.cloud.s3.conditions import moment, source_must_be_wanted
from keyless.local.cloud.s3.describing import COPIED, must_be_at_hand
from keyless.local.cloud.s3.objects import Objects, checked_key, shown_encryption, shown_id
from keyless.local.cloud.s3.storage import Bucket, Storage, Stored, etag_of
from keyless.local.cloud.s3.tags import header_tags
from keyless.local.cloud.s3.targets import Targets

_TO_ITSELF = (
    "This copy request is illegal because it is trying to copy an object to itself without changing the object's"
    " metadata, storage class, website redirect location or encryption attributes."
)
#: what makes a copy of an object onto itself lawful, beside MetadataDirective=REPLACE
_CHANGES = ("StorageClass", "WebsiteRedirectLocation", "ServerSideEncryption", "SSEKMSKeyId", "ChecksumAlgorithm")


@dataclass(frozen=True, slots=True)
class Source:
    """What is copied."""

    bucket: Bucket
    stored: Stored
    version: str

    @property
    def shown_version(self) -> dict[str, Any]:
        """The answer's member that names the version, where the bucket has any."""
        return {"CopySourceVersionId": self.stored.version} if self.version or self.bucket.versioning else {}


class Copying:
    """Copies within and between buckets."""

    def __init__(self, storage: Storage, buckets: Buckets, objects: Objects, *, targets: Targets) -> None:
        self._storage = storage
        self._buckets = buckets
        self._objects = objects
        self.targets = targets

    def copy(self, call: Call) -> dict[str, Any]:
        bucket, key = self._buckets.existing(call), checked_key(call)
        for target in self.targets.on_write(call):
            call.authorise(target)
        source = self.source(call)
        stored = source.stored
        itself = (source.bucket.name, stored.key) == (bucket.name, key) and not source.version
        replaced = call.params.get("MetadataDirective") == "REPLACE"
        if itself and not replaced and not any(call.params.get(name) for name in _CHANGES):
            raise AwsError("InvalidRequest", _TO_ITSELF, status=400)
        self._objects.must_hold(call, bucket.name, key)
        body = self.body(call, source)
        facts = self._objects.facts(call, bucket, key)
        kept = facts.described
        if not replaced:
            kept = {name: value for name, value in kept.items() if name not in COPIED}
            kept |= {name: value for name, value in stored.described.items() if name in COPIED}
        algorithm = algorithm_of(call.params) or _algorithm_of(stored)
        sums = {f"Checksum{algorithm}": computed(algorithm, body), "ChecksumType": FULL_OBJECT}
        tags, sealed = self._tags(call, source, key), facts.envelope.seal(body)
        made = Stored(key, call.now, etag_of(sealed), len(body), kept | sums, tags=tags)
        version = self._objects.keep(bucket, made, sealed)
        return {
            "CopyObjectResult": {"ETag": made.etag, "LastModified": moment(call.now), **sums},
            **shown_encryption(kept),
            **source.shown_version,
            **shown_id(version),
        }

    def _tags(self, call: Call, source: Source, key: str) -> dict[str, str]:
        if call.params.get("TaggingDirective") == "REPLACE":
            return header_tags(call.params.get("Tagging"))
        if source.stored.tags:
            # Tags that come along are read and written: two more permissions.
            reading = "GetObjectVersionTagging" if source.version else "GetObjectTagging"
            call.authorise(self.targets.object(call, reading, source.bucket.name, source.stored.key))
            call.authorise(self.targets.object(call, "PutObjectTagging", call.params["Bucket"], key))
        return source.stored.tags

    def source(self, call: Call) -> Source:
        """Find, authorise and check the object that ``CopySource`` names."""
        name, key, version = copy_source(str(call.params["CopySource"]))
        bucket = self._storage.bucket(name)
        if bucket is None:
            raise no_such_bucket(name)
        call.authorise(self.targets.object(call, "GetObjectVersion" if version else "GetObject", name, key))
        if (expected := call.params.get("ExpectedSourceBucketOwner")) and expected != call.account:
            raise AwsError("AccessDenied", "Access Denied", status=403)
        try:
            stored = self._objects.found(bucket, key, version)
        except AwsError as error:
            if error.code != "MethodNotAllowed":
                raise
            text = "The source of a copy request may not specifically refer to a delete marker by version id."
            raise AwsError("InvalidRequest", text, status=400) from None
        if stored is None:
            call.authorise(self.targets.listing_of(call, name))
            raise self._objects.gone(bucket, key)
        source_must_be_wanted(call.params, stored)
        must_be_at_hand(stored)
        return Source(bucket, stored, version)

    def body(self, call: Call, source: Source) -> bytes:
        """The bytes of the source."""
        return self._objects.body(call, source.bucket.name, source.stored)


def _algorithm_of(stored: Stored) -> str:
    return next((name for name in ALGORITHMS if f"Checksum{name}" in stored.described), DEFAULT)


def copy_source(text: str) -> tuple[str, str, str]:
    """Bucket, key and version; the version is empty where none is named."""
    path, _, query = text.partition("?")
    bucket, _, key = unquote(path).removeprefix("/").partition("/")
    if not bucket or not key:
        raise AwsError(
            "InvalidArgument",
            "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
            status=400,
            fields={"ArgumentName": "x-amz-copy-source", "ArgumentValue": text},
        )
    return bucket, key, dict(parse_qsl(query)).get("versionId", "")
