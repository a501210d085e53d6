"""Operations on one object: put, get, head, delete; and deleting many.

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
from keyless.local.cloud.s3.conditions import may_be_written, moment, must_be_wanted, must_match, no_such_key
from keyless.local.cloud.s3.describing import PARTS, described, must_be_at_hand, overrides, shown
from keyless.local.cloud.s3.encryption import SSE, encrypted
from keyless.local.cloud.s3.envelopes import Envelope, Envelopes, Facts
from keyless.local.cloud.s3.locks import locked_as, must_be_deletable
from keyless.local.cloud.s3.parts import part_range
from keyless.local.cloud.s3.ranges import wanted_range
from keyless.local.cloud.s3.settings import ENCRYPTION, setting
from keyless.local.cloud.s3.storage import Bucket, Storage, Stored, etag_of
from keyless.local.cloud.s3.tags import header_tags
from keyless.local.cloud.s3.targets import Targets
from keyless.local.cloud.s3.uploads import Upload
from keyless.local.cloud.s3.versions import NULL, Removed, Versions

_LONGEST_KEY_BYTES = 1024
_MOST_DELETED = 1000
_VERSION_CHARACTERS = 32
_NOT_ALLOWED = "The specified method is not allowed against this resource."


@dataclass(frozen=True, slots=True)
class Read:
    """What a read answers: the status (200 or 206), the members, and which bytes of the body."""

    status: int
    result: dict[str, Any]
    stored: Stored
    start: int
    end: int


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
        bucket, key = self._buckets.existing(call), checked_key(call)
        body = _bytes(call.params.get("Body"))
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

    # Reading

    def head(self, call: Call) -> tuple[int, dict[str, Any]]:
        """The status (200 or 206) and the result."""
        read = self._read(call)
        if call.params.get("ChecksumMode") == "ENABLED":
            # A checksum tells of the content: it takes the key.
            self._envelopes.of(call, call.params["Bucket"], read.stored.key, read.stored.described)
        return read.status, read.result

    def get(self, call: Call) -> tuple[int, dict[str, Any]]:
        """The status (200 or 206) and the result."""
        read = self._read(call)
        must_be_at_hand(read.stored)
        body = self.body(call, call.params["Bucket"], read.stored)
        return read.status, read.result | {"Body": body if read.status == 200 else body[read.start : read.end]}

    def _read(self, call: Call) -> Read:
        stored, params = self.readable(call), call.params
        must_be_wanted(params, stored)
        more = overrides(params, anonymous=call.caller.kind == "Anonymous")
        result = shown(stored, checksums=params.get("ChecksumMode") == "ENABLED")
        result |= self.shown_version(call, stored) | more
        parts = stored.described.get(PARTS, ())
        if number := params.get("PartNumber"):
            if params.get("Range"):
                text = "Cannot specify both Range header and partNumber query parameter"
                raise AwsError("InvalidRequest", text, status=400)
            span: tuple[int, int] | None = part_range(parts, int(number), stored.size)
            if parts:
                result["PartsCount"] = len(parts)
        else:
            span = wanted_range(params.get("Range") or "", stored.size)
        if span is None:
            return Read(200, result, stored, 0, stored.size)
        start, end = span
        if end - start < stored.size:
            # A checksum is of the whole object; beside a part of it clients would take it for the part's.
            result = {k: v for k, v in result.items() if not k.startswith("Checksum")}
        result |= {"ContentLength": end - start, "ContentRange": f"bytes {start}-{end - 1}/{stored.size}"}
        return Read(206, result, stored, start, end)

    def readable(self, call: Call) -> Stored:
        """The object, or the version of it, that the parameters name; raises S3's error where it is not there."""
        bucket, key = self._buckets.existing(call), checked_key(call)
        found = self.found(bucket, key, call.params.get("VersionId") or "")
        if found is None:
            # Who may not list must not learn that a key is free: AWS answers AccessDenied then.
            call.authorise(self._targets.bucket(call, "ListBucket"))
            raise self.gone(bucket, key)
        return found

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

    def shown_version(self, call: Call, stored: Stored) -> dict[str, Any]:
        """The version's id, where the bucket has ever had versions."""
        return {"VersionId": stored.version} if self._buckets.existing(call).versioning else {}

    # Deleting

    def delete(self, call: Call) -> dict[str, Any]:
        bucket, key = self._buckets.existing(call), checked_key(call)
        return _told(self._remove(call, bucket, key, call.params.get("VersionId") or "", call.params.get("IfMatch")))

    def _remove(self, call: Call, bucket: Bucket, key: str, version: str, etag: str | None) -> Removed:
        current = self._storage.object(bucket.name, key) if etag or not bucket.versioning else None
        if etag:
            must_match(etag, key, current)
        if not version:
            return self._versions.delete(bucket, key, call.now)
        checked_version(version)
        if found := self._versions.find(bucket.name, key, version):
            must_be_deletable(found[0], call, self._targets)
        return self._versions.delete_version(bucket.name, key, version)

    def delete_many(self, call: Call) -> dict[str, Any]:
        bucket, asked = self._buckets.existing(call), call.params["Delete"]
        if not 0 < len(asked["Objects"]) <= _MOST_DELETED:
            text = "The XML you provided was not well-formed or did not validate against our published schema"
            raise AwsError("MalformedXML", text, status=400)
        deleted, errors = [], []
        for item in asked["Objects"]:
            key, version = item["Key"], item.get("VersionId") or ""
            named = {"Key": key, **({"VersionId": version} if version else {})}
            try:
                action = "DeleteObjectVersion" if version else "DeleteObject"
                call.authorise(self._targets.object(call, action, bucket.name, key))
                removed = self._remove(call, bucket, key, version, item.get("ETag"))
            except AwsError as error:
                errors.append(named | {"Code": error.code, "Message": error.message})
                continue
            deleted.append({"Key": key, **_told_of_many(removed, version)})
        # The batch itself is nobody's to refuse: a caller without a right gets an error for each key.
        return {"Deleted": [] if asked.get("Quiet") else deleted, "Errors": errors}


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


def _told(removed: Removed) -> dict[str, Any]:
    found: dict[str, Any] = {"VersionId": removed.version} if removed.version else {}
    return found | ({"DeleteMarker": True} if removed.marker else {})


def _told_of_many(removed: Removed, named: str) -> dict[str, Any]:
    found: dict[str, Any] = {"VersionId": named} if named else {}
    return found | ({"DeleteMarker": True, "DeleteMarkerVersionId": removed.version} if removed.marker else {})


def _bytes(body: Any) -> bytes:
    if body is None:
        return b""
    return body if isinstance(body, bytes) else str(body).encode()
