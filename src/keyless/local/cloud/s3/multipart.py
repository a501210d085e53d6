"""Multipart uploads: what ``aws s3 cp`` uses from 8 MiB on.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

from keyless.local.cloud.call import Call
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.s3.buckets import Buckets
from keyless.local.cloud.s3.checksums import checked
from keyless.local.cloud.s3.objects import Objects, described, moment
from keyless.local.cloud.s3.storage import Part, Storage, Stored, Upload, etag_of
from keyless.local.cloud.s3.tags import header_tags
from keyless.local.cloud.s3.versions import Versions

SMALLEST_PART_BYTES = 5 * 2**20
#: where an upload keeps the tags of the object that it becomes
TAGS = "Tags"


class Multipart:
    """Uploads under way."""

    def __init__(self, storage: Storage, buckets: Buckets, objects: Objects, versions: Versions) -> None:
        self._versions = versions
        self._storage = storage
        self._buckets = buckets
        self._objects = objects

    def create(self, call: Call) -> dict[str, Any]:
        bucket, key = self._buckets.existing(call).name, str(call.params["Key"])
        tags = {TAGS: header_tags(call.params.get("Tagging"))}
        upload = Upload(secrets.token_urlsafe(48), bucket, key, call.now, described(call.params) | tags)
        self._storage.add_upload(upload)
        return {"Bucket": bucket, "Key": key, "UploadId": upload.id}

    def upload_part(self, call: Call) -> dict[str, Any]:
        upload = self._existing(call)
        body = call.params.get("Body") or b""
        checksums = checked(call.params, body)
        part = Part(int(call.params["PartNumber"]), call.now, etag_of(body), body)
        self._storage.put_part(upload.id, part)
        return {"ETag": part.etag, **checksums}

    def complete(self, call: Call) -> dict[str, Any]:
        upload, bucket = self._existing(call), self._buckets.existing(call)
        self._objects.must_hold(call, upload.bucket, upload.key)
        chosen = self._chosen(call, upload)
        body = b"".join(part.body for part in chosen)
        digests = b"".join(bytes.fromhex(part.etag.strip('"')) for part in chosen)
        etag = f'"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(chosen)}"'
        kept = {name: value for name, value in upload.described.items() if name != TAGS}
        stored = Stored(upload.key, call.now, etag, len(body), kept, tags=upload.described.get(TAGS, {}))
        version = self._versions.put(bucket, stored, body)
        self._storage.remove_upload(upload.id)
        answer = {"Location": f"/{bucket.name}/{upload.key}", "Bucket": bucket.name, "Key": upload.key, "ETag": etag}
        return answer | ({"VersionId": version} if version else {})

    def abort(self, call: Call) -> None:
        self._storage.remove_upload(self._existing(call).id)

    def list_parts(self, call: Call) -> dict[str, Any]:
        upload = self._existing(call)
        parts = [
            {"PartNumber": p.number, "ETag": p.etag, "Size": len(p.body), "LastModified": moment(p.modified)}
            for p in self._storage.parts(upload.id)
        ]
        return {
            "Bucket": upload.bucket,
            "Key": upload.key,
            "UploadId": upload.id,
            "IsTruncated": False,
            "Parts": parts,
        }

    def list_uploads(self, call: Call) -> dict[str, Any]:
        bucket = self._buckets.existing(call).name
        uploads = self._storage.uploads(bucket, call.params.get("Prefix") or "")
        listed = [{"Key": u.key, "UploadId": u.id, "Initiated": moment(u.started)} for u in uploads]
        return {"Bucket": bucket, "IsTruncated": False, "Uploads": listed}

    def _existing(self, call: Call) -> Upload:
        bucket = self._buckets.existing(call).name
        found = self._storage.upload(bucket, str(call.params["Key"]), str(call.params["UploadId"]))
        if found is None:
            raise AwsError(
                "NoSuchUpload",
                "The specified upload does not exist. The upload ID may be invalid, or the upload may have been "
                "aborted or completed.",
                status=404,
                fields={"UploadId": str(call.params["UploadId"])},
            )
        return found

    def _chosen(self, call: Call, upload: Upload) -> list[Part]:
        named = (call.params.get("MultipartUpload") or {}).get("Parts") or []
        if not named:
            raise AwsError("MalformedXML", "The XML you provided was not well-formed or did not validate")
        numbers = [int(part["PartNumber"]) for part in named]
        if numbers != sorted(set(numbers)):
            raise AwsError("InvalidPartOrder", "The list of parts was not in ascending order.")
        have = {part.number: part for part in self._storage.parts(upload.id)}
        chosen = []
        for part in named:
            found = have.get(int(part["PartNumber"]))
            if found is None or found.etag.strip('"') != str(part.get("ETag", "")).strip('"'):
                raise AwsError("InvalidPart", "One or more of the specified parts could not be found.")
            chosen.append(found)
        if any(len(part.body) < SMALLEST_PART_BYTES for part in chosen[:-1]):
            raise AwsError("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size")
        return chosen
