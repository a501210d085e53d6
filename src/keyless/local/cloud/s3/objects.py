"""Objects: put them, find them and their bodies. Reading and deleting are modules of their own.

Conditional requests: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-requests.html
"""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import format_datetime
from typing import Any

from keyless.local.cloud.call import Call
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.s3.acls import must_allow_acl
from keyless.local.cloud.s3.buckets import Buckets
from keyless.local.cloud.s3.checksums import FULL_OBJECT, checked
from keyless.local.cloud.s3.conditions import may_be_written, moment, no_such_key
from keyless.local.cloud.s3.describing import described
from keyless.local.cloud.s3.encryption import SSE, encrypted
from keyless.local.cloud.s3.envelopes import Envelope, Envelopes, Facts
from keyless.local.cloud.s3.locks import locked_as
from keyless.local.cloud.s3.settings import ENCRYPTION, setting
from keyless.local.cloud.s3.storage import Bucket, Storage, Stored, etag_of
from keyless.local.cloud.s3.tags import header_tags
from keyless.local.cloud.s3.targets import Targets
from keyless.local.cloud.s3.uploads import Upload
from keyless.local.cloud.s3.versions import NULL, Versions

_LONGEST_KEY_BYTES = 1024
_VERSION_CHARACTERS = 32
_NOT_ALLOWED = "The specified method is not allowed against this resource."


@dataclass(frozen=True, slots=True)
class Found:
    """An object that was found, in its bucket."""

    bucket: Bucket
    stored: Stored

    @property
    def shown_version(self) -> dict[str, Any]:
        """The answer's member for the version, where the bucket has ever had versions."""
        return {"VersionId": self.stored.version} if self.bucket.versioning else {}


class Objects:
    """The objects of all buckets."""

    def __init__(
        self, storage: Storage, buckets: Buckets, targets: Targets, *, versions: Versions, envelopes: Envelopes
    ) -> None:
        self._versions = versions
        self._storage = storage
        self._buckets = buckets
        self._targets = targets
        self._envelopes = envelopes

    # Writing

    def put(self, call: Call) -> dict[str, Any]:
        bucket, key, body = self._buckets.existing(call), checked_key(call), body_of(call)
        sums = checked(call.params, body) | {"ChecksumType": FULL_OBJECT}
        self.must_hold(call, bucket.name, key)
        facts = self.facts(call, bucket, key)
        kept = facts.envelope.seal(body)
        tags = header_tags(call.params.get("Tagging"))
        stored = Stored(key, call.now, etag_of(kept), len(body), facts.described | sums, tags=tags)
        version = self.keep(bucket, stored, kept)
        return {"ETag": stored.etag, **sums, **shown_encryption(facts.described), **shown_id(version)}

    def facts(self, call: Call, bucket: Bucket, key: str) -> Facts:
        """What a new object of ``bucket`` is kept with: the request's words, the bucket's encryption and lock."""
        must_allow_acl(call, bucket)
        kept = {
            **described(call.params),
            **encrypted(call.params, (setting(bucket, ENCRYPTION) or {})["Rules"]),
            **locked_as(call.params, bucket, call.now),
        }
        return self._envelopes.new(call, bucket.name, key, kept)

    def body(self, call: Call, bucket: str, stored: Stored) -> bytes:
        """The bytes of an object that was found; asks for its key."""
        envelope = self._envelopes.of(call, bucket, stored.key, stored.described)
        return envelope.open(self._versions.body(bucket, stored))

    def must_open(self, call: Call, found: Found) -> None:
        """Ask for the key of an object whose body is not read."""
        self._envelopes.of(call, found.bucket.name, found.stored.key, found.stored.described)

    def envelope(self, call: Call, upload: Upload) -> Envelope:
        """The envelope of an object that is being uploaded; asks for its key."""
        return self._envelopes.of(call, upload.bucket, upload.key, upload.described)

    def keep(self, bucket: Bucket, stored: Stored, body: bytes) -> str:
        """Make ``stored`` the newest version, its body sealed before; returns its id, where there are versions."""
        return self._versions.put(bucket, stored, body)

    def must_hold(self, call: Call, bucket: str, key: str) -> None:
        """Refuse a conditional write whose condition does not hold."""
        if call.params.get("IfNoneMatch") or call.params.get("IfMatch"):
            may_be_written(call.params, key, self._storage.object(bucket, key))

    # Finding

    def readable(self, call: Call) -> Found:
        """The object, or the version of it, that the parameters name; raises S3's error where it is not there."""
        bucket, key = self._buckets.existing(call), checked_key(call)
        found = self.found(bucket, key, call.params.get("VersionId") or "")
        if found is None:
            # Who may not list must not learn that a key is free: AWS answers AccessDenied then.
            call.authorise(self._targets.bucket(call, "ListBucket"))
            raise self.gone(bucket, key)
        return Found(bucket, found)

    def found(self, bucket: Bucket, key: str, version: str) -> Stored | None:
        """The object, or one version of it; raises where the version cannot be read."""
        if not version:
            return self._storage.object(bucket.name, key)
        checked_version(version)
        found = self._versions.find(bucket.name, key, version)
        if found is None:
            text = "The specified version does not exist."
            raise AwsError("NoSuchVersion", text, status=404, fields={"Key": key, "VersionId": version})
        stored, marker = found
        if marker:
            headers = _marked(version) | {
                "allow": "DELETE",
                "last-modified": format_datetime(moment(stored.modified), usegmt=True),
            }
            fields = {"Method": "GET", "ResourceType": "DeleteMarker"}
            raise AwsError("MethodNotAllowed", _NOT_ALLOWED, status=405, fields=fields, headers=headers)
        return stored

    def gone(self, bucket: Bucket, key: str) -> AwsError:
        """NoSuchKey, with what tells of the delete marker where one is the newest version."""
        error = no_such_key(key)
        if bucket.versioning and (marker := self._versions.newest_marker(bucket.name, key)):
            error.headers.update(_marked(marker))
        return error


def checked_key(call: Call) -> str:
    """The key that the parameters name; raises KeyTooLongError."""
    key = str(call.params["Key"])
    size = len(key.encode("utf-8", "surrogatepass"))
    if size > _LONGEST_KEY_BYTES:
        fields = {"Size": str(size), "MaxSizeAllowed": str(_LONGEST_KEY_BYTES)}
        raise AwsError("KeyTooLongError", "Your key is too long", status=400, fields=fields)
    return key


def checked_version(version: str) -> None:
    """Refuse what cannot be the id of a version."""
    if version != NULL and len(version) != _VERSION_CHARACTERS:
        fields = {"ArgumentName": "versionId", "ArgumentValue": version}
        raise AwsError("InvalidArgument", "Invalid version id specified", status=400, fields=fields)


def shown_id(version: str) -> dict[str, str]:
    """The answer's member for the version that a write made, where the bucket has ever had versions."""
    return {"VersionId": version} if version else {}


def shown_encryption(kept: dict[str, Any]) -> dict[str, Any]:
    """The members of an answer that tell how the object is encrypted."""
    return {name: kept[name] for name in SSE if name in kept}


def _marked(version: str) -> dict[str, str]:
    return {"x-amz-delete-marker": "true", "x-amz-version-id": version}


def body_of(call: Call) -> bytes:
    """The body that is to be stored; raises where the checksum that was to follow it did not come."""
    announced = [name.strip().lower() for name in call.request.header("x-amz-trailer").split(",") if name.strip()]
    if not all(map(call.request.header, announced)):
        text = "The request contained trailing data that was not well-formed or did not conform to our published"
        raise AwsError("MalformedTrailerError", f"{text} schema.", status=400)
    body = call.params.get("Body") or b""
    return body if isinstance(body, bytes) else str(body).encode()
