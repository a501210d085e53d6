"""Multipart uploads: what ``aws s3 cp`` uses from 8 MiB on.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from keyless.local.cloud.call import Call
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.s3.acls import owner
from keyless.local.cloud.s3.buckets import Buckets
from keyless.local.cloud.s3.checksums import (
    ALGORITHMS,
    COMPOSITE,
    DEFAULT,
    MEMBERS,
    algorithm_of,
    checked,
    computed,
    of_parts,
    type_of_upload,
)
from keyless.local.cloud.s3.conditions import moment
from keyless.local.cloud.s3.copying import Copying
from keyless.local.cloud.s3.describing import PARTS
from keyless.local.cloud.s3.objects import Objects, body_of, checked_key, shown_encryption, shown_id
from keyless.local.cloud.s3.parts import checked_number, chosen, page
from keyless.local.cloud.s3.ranges import copied_range
from keyless.local.cloud.s3.storage import Stored, etag_of
from keyless.local.cloud.s3.tags import header_tags
from keyless.local.cloud.s3.uploads import Part, Upload, Uploads

#: where an upload keeps what the object's parts and tags will be; none of it is shown
_TAGS, _ALGORITHM, _ASKED = "Tags", "ChecksumAlgorithm", "ChecksumAsked"
#: a row of the database holds less than 10⁹ bytes
_LARGEST_BYTES = 900 * 2**20


class Multipart:
    """Uploads under way."""

    def __init__(self, uploads: Uploads, buckets: Buckets, objects: Objects, *, copying: Copying) -> None:
        self._uploads = uploads
        self._buckets = buckets
        self._objects = objects
        self._copying = copying

    def create(self, call: Call) -> dict[str, Any]:
        bucket, key = self._buckets.existing(call), checked_key(call)
        kept = self._objects.facts(call, bucket, key).described
        asked = algorithm_of(call.params)
        wanted = str(call.params.get("ChecksumType") or "")
        if wanted and not asked:
            text = "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."
            raise AwsError("InvalidRequest", text, status=400)
        algorithm = asked or DEFAULT
        sums = {_ALGORITHM: algorithm, "ChecksumType": type_of_upload(algorithm, wanted)}
        inner = {_TAGS: header_tags(call.params.get("Tagging")), _ASKED: bool(asked)}
        upload = Upload(secrets.token_urlsafe(48), bucket.name, key, call.now, kept | sums | inner)
        self._uploads.add(upload)
        answer = {"Bucket": bucket.name, "Key": key, "UploadId": upload.id, **shown_encryption(kept)}
        return answer | (sums if asked else {})

    def upload_part(self, call: Call) -> dict[str, Any]:
        upload, body = self._existing(call), body_of(call)
        number = checked_number(int(call.params["PartNumber"]))
        sums = checked(call.params, body, default=upload.described[_ALGORITHM])
        algorithm = next(iter(sums)).removeprefix("Checksum")
        if upload.described[_ASKED] and algorithm != upload.described[_ALGORITHM]:
            wanted = upload.described[_ALGORITHM].lower()
            text = f"Checksum Type mismatch occurred, expected checksum Type: {wanted}, actual checksum Type: "
            raise AwsError("InvalidRequest", text + algorithm.lower(), status=400)
        part = self._put(call, upload, number, body, sums)
        return {"ETag": part.etag, **sums, **shown_encryption(upload.described)}

    def copy_part(self, call: Call) -> dict[str, Any]:
        upload = self._existing(call)
        call.authorise(self._copying.targets.object(call, "PutObject", upload.bucket, upload.key))
        number = checked_number(int(call.params["PartNumber"]))
        source = self._copying.source(call)
        start, end = copied_range(str(call.params.get("CopySourceRange") or ""), source.stored.size)
        body = self._copying.body(call, source)[start:end]
        algorithm = upload.described[_ALGORITHM]
        sums = {f"Checksum{algorithm}": computed(algorithm, body)}
        part = self._put(call, upload, number, body, sums)
        copied = {"ETag": part.etag, "LastModified": moment(call.now), **(sums if upload.described[_ASKED] else {})}
        return {"CopyPartResult": copied, **shown_encryption(upload.described), **source.shown_version}

    def _put(self, call: Call, upload: Upload, number: int, body: bytes, sums: dict[str, str]) -> Part:
        kept = self._objects.envelope(call, upload).seal(body)
        part = Part(number, call.now, etag_of(kept), len(body), sums)
        self._uploads.put_part(upload.id, part, kept)
        return part

    def complete(self, call: Call) -> dict[str, Any]:
        upload, bucket = self._existing(call), self._buckets.existing(call)
        named = (call.params.get("MultipartUpload") or {}).get("Parts") or []
        parts = chosen(named, self._uploads.parts(upload.id), upload.id)
        self._objects.must_hold(call, upload.bucket, upload.key)
        size = _size(parts, call.params.get("MpuObjectSize"))
        envelope = self._objects.envelope(call, upload)
        body = b"".join(map(envelope.open, self._uploads.bodies(upload.id, [part.number for part in parts])))
        sums = _sums(upload, parts, body, call)
        kept = {name: value for name, value in upload.described.items() if name not in {_TAGS, _ALGORITHM, _ASKED}}
        kept |= sums | {PARTS: [_kept(part, asked=upload.described[_ASKED]) for part in parts]}
        stored = Stored(upload.key, call.now, _etag(parts), size, kept, tags=upload.described[_TAGS])
        version = self._objects.keep(bucket, stored, envelope.seal(body))
        self._uploads.remove(upload.id)
        return {
            "Location": f"http://{bucket.name}.s3.amazonaws.com/{quote(upload.key, safe='')}",
            "Bucket": bucket.name,
            "Key": upload.key,
            "ETag": stored.etag,
            **sums,
            **shown_encryption(kept),
            **shown_id(version),
        }

    def abort(self, call: Call) -> None:
        self._uploads.remove(self._existing(call).id)

    def list_parts(self, call: Call) -> dict[str, Any]:
        upload = self._existing(call)
        listed = page(
            [_listed(part, asked=upload.described[_ASKED]) for part in self._uploads.parts(upload.id)], call.params
        )
        sums = {name: upload.described[name] for name in (_ALGORITHM, "ChecksumType")}
        return {
            "Bucket": upload.bucket,
            "Key": upload.key,
            "UploadId": upload.id,
            "Initiator": owner(call.account),
            "Owner": owner(call.account),
            "StorageClass": upload.described.get("StorageClass", "STANDARD"),
            **listed,
            **(sums if upload.described[_ASKED] else {}),
        }

    def _existing(self, call: Call) -> Upload:
        bucket = self._buckets.existing(call).name
        found = self._uploads.find(bucket, str(call.params["Key"]), str(call.params["UploadId"]))
        if found is None:
            raise AwsError(
                "NoSuchUpload",
                "The specified upload does not exist. The upload ID may be invalid, or the upload may have been "
                "aborted or completed.",
                status=404,
                fields={"UploadId": str(call.params["UploadId"])},
            )
        # An upload that an older version of this cloud began knows nothing of checksums.
        old = {_TAGS: {}, _ALGORITHM: DEFAULT, _ASKED: False, "ChecksumType": type_of_upload(DEFAULT, "")}
        return Upload(found.id, found.bucket, found.key, found.started, old | found.described)


def _size(parts: Sequence[Part], told: int | None) -> int:
    """How large the object is; raises where that is too large, or not what the client counted."""
    size = sum(part.size for part in parts)
    if size > _LARGEST_BYTES:
        fields = {"ProposedSize": str(size), "MaxSizeAllowed": str(_LARGEST_BYTES)}
        text = "Your proposed upload exceeds the maximum allowed size"
        raise AwsError("EntityTooLarge", text, status=400, fields=fields)
    if told is not None and told != size:
        text = "The provided 'x-amz-mp-object-size' header does not match what was computed."
        raise AwsError("InvalidRequest", text, status=400)
    return size


def _etag(parts: Sequence[Part]) -> str:
    digests = b"".join(bytes.fromhex(part.etag.strip('"')) for part in parts)
    return f'"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"'


def _sums(upload: Upload, parts: Sequence[Part], body: bytes, call: Call) -> dict[str, str]:
    """The checksum of the object; raises where the client computed another one."""
    algorithm, kind = upload.described[_ALGORITHM], upload.described["ChecksumType"]
    member = f"Checksum{algorithm}"
    if kind == COMPOSITE and upload.described[_ASKED]:
        for named in call.params["MultipartUpload"]["Parts"]:
            if not named.get(member):
                raise _without_sum(algorithm, int(named["PartNumber"]))
    found = of_parts(algorithm, kind, [part.checksums.get(member, "") for part in parts], body)
    for name in ALGORITHMS:
        if (claimed := call.params.get(f"Checksum{name}")) and (name != algorithm or claimed != found):
            text = f"The {name} you specified did not match the calculated checksum."
            raise AwsError("BadDigest", text, status=400)
    return {member: found, "ChecksumType": kind}


def _without_sum(algorithm: str, number: int) -> AwsError:
    text = (
        f"The upload was created using a {algorithm.lower()} checksum. The complete request must include the checksum"
        f" for each part. It was missing for part {number} in the request."
    )
    return AwsError("InvalidRequest", text, status=400)


def _kept(part: Part, *, asked: bool) -> dict[str, Any]:
    return {"PartNumber": part.number, "Size": part.size, **(part.checksums if asked else {})}


def _listed(part: Part, *, asked: bool) -> dict[str, Any]:
    found = {"PartNumber": part.number, "ETag": part.etag, "Size": part.size, "LastModified": moment(part.modified)}
    return found | ({name: part.checksums[name] for name in MEMBERS if name in part.checksums} if asked else {})
