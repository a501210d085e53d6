"""Operations that list: objects in both forms, and uploads under way.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import quote

from keyless.local.cloud.call import Call
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.s3.acls import owner
from keyless.local.cloud.s3.buckets import Buckets
from keyless.local.cloud.s3.checksums import ALGORITHMS
from keyless.local.cloud.s3.conditions import moment
from keyless.local.cloud.s3.describing import storage_class
from keyless.local.cloud.s3.listing import Page, page
from keyless.local.cloud.s3.storage import Storage, Stored
from keyless.local.cloud.s3.uploads import Upload, Uploads

MOST_KEYS = 1000


class Listings:
    """The listings of a bucket."""

    def __init__(self, storage: Storage, buckets: Buckets) -> None:
        self._storage = storage
        self._uploads = Uploads(storage)
        self._buckets = buckets

    def objects_v2(self, call: Call) -> dict[str, Any]:
        params = call.params
        after = _token(params.get("ContinuationToken")) or params.get("StartAfter") or ""
        found, result = self._page(call, after, owners=bool(params.get("FetchOwner")))
        result["KeyCount"] = len(found.objects) + len(found.prefixes)
        if params.get("ContinuationToken"):
            result["ContinuationToken"] = params["ContinuationToken"]
        if params.get("StartAfter"):
            result["StartAfter"] = coder(params.get("EncodingType"))(params["StartAfter"])
        if found.truncated:
            result["NextContinuationToken"] = found.last.encode().hex()
        return result

    def objects_v1(self, call: Call) -> dict[str, Any]:
        marker, coded = call.params.get("Marker") or "", coder(call.params.get("EncodingType"))
        found, result = self._page(call, marker, owners=True)
        result["Marker"] = coded(marker)
        if found.truncated and call.params.get("Delimiter"):
            result["NextMarker"] = coded(found.last)
        return result

    def _page(self, call: Call, after: str, *, owners: bool) -> tuple[Page[Stored], dict[str, Any]]:
        params, bucket = call.params, self._buckets.existing(call)
        prefix, delimiter, limit = params.get("Prefix") or "", params.get("Delimiter") or "", limit_of(params)
        walk = partial(self._storage.walk, bucket.name, prefix)
        found = page(walk, prefix=prefix, delimiter=delimiter, after=after, limit=limit)
        coded = coder(params.get("EncodingType"))
        own = {"Owner": owner(call.account)} if owners else {}
        result: dict[str, Any] = {
            "Name": bucket.name,
            "Prefix": coded(prefix),
            "MaxKeys": limit,
            "IsTruncated": found.truncated,
            "Contents": [_object(one, coded(one.key)) | own for one in found.objects],
            "CommonPrefixes": [{"Prefix": coded(one)} for one in found.prefixes],
        }
        return found, result | shown_coding(params)

    def uploads(self, call: Call) -> dict[str, Any]:
        params, bucket = call.params, self._buckets.existing(call).name
        prefix, delimiter = params.get("Prefix") or "", params.get("Delimiter") or ""
        key, upload_id = params.get("KeyMarker") or "", params.get("UploadIdMarker") or ""
        wanted = params.get("MaxUploads")
        limit = MOST_KEYS if wanted is None else min(int(wanted), MOST_KEYS)
        behind = _behind(self._uploads.of_bucket(bucket, prefix), key, upload_id)
        walk = partial(_walked, behind, key)
        found = page(walk, prefix=prefix, delimiter=delimiter, after=key, limit=limit)
        coded = coder(params.get("EncodingType"))
        result: dict[str, Any] = {
            "Bucket": bucket,
            "KeyMarker": coded(key),
            "UploadIdMarker": upload_id,
            "Prefix": coded(prefix),
            "MaxUploads": limit,
            "IsTruncated": found.truncated,
            "Uploads": [_upload(one, coded(one.key), owner(call.account)) for one in found.objects],
            "CommonPrefixes": [{"Prefix": coded(one)} for one in found.prefixes],
        }
        if found.truncated:
            last = found.objects[-1] if found.objects else None
            result["NextKeyMarker"] = coded(found.last)
            if last and last.key == found.last:
                result["NextUploadIdMarker"] = last.id
        return result | shown_coding(params)


def limit_of(params: Mapping[str, Any]) -> int:
    """How many keys a page holds; raises for a negative number."""
    wanted = params.get("MaxKeys")
    if wanted is not None and int(wanted) < 0:
        raise AwsError(
            "InvalidArgument",
            "Argument maxKeys must be an integer between 0 and 2147483647",
            status=400,
            fields={"ArgumentName": "max-keys", "ArgumentValue": str(wanted)},
        )
    return MOST_KEYS if wanted is None else min(int(wanted), MOST_KEYS)


def coder(encoding: str | None) -> Callable[[str], str]:
    """How a listing writes keys: ``encoding-type=url``, for those that XML cannot hold."""
    return (lambda text: quote(text, safe="/*-._")) if encoding == "url" else (lambda text: text)


def shown_coding(params: Mapping[str, Any]) -> dict[str, Any]:
    """The delimiter and the encoding, as every listing gives them back."""
    found = {"Delimiter": coder(params.get("EncodingType"))(params["Delimiter"])} if params.get("Delimiter") else {}
    return found | ({"EncodingType": params["EncodingType"]} if params.get("EncodingType") else {})


def _object(stored: Stored, key: str) -> dict[str, Any]:
    found = {
        "Key": key,
        "LastModified": moment(stored.modified),
        "ETag": stored.etag,
        "Size": stored.size,
        "StorageClass": storage_class(stored),
    }
    return found | shown_algorithm(stored)


def shown_algorithm(stored: Stored) -> dict[str, Any]:
    """Which checksum an object has: listings name it without its value."""
    algorithms = [name for name in ALGORITHMS if f"Checksum{name}" in stored.described]
    if not algorithms:
        return {}
    return {"ChecksumAlgorithm": algorithms, "ChecksumType": stored.described.get("ChecksumType", "FULL_OBJECT")}


def _upload(upload: Upload, key: str, own: dict[str, str]) -> dict[str, Any]:
    return {
        "Key": key,
        "UploadId": upload.id,
        "Initiated": moment(upload.started),
        "StorageClass": upload.described.get("StorageClass", "STANDARD"),
        "Owner": own,
        "Initiator": own,
    }


def _behind(uploads: list[Upload], key: str, upload_id: str) -> list[Upload]:
    """What comes after the markers: without an upload's, the whole key is behind."""
    same = [one for one in uploads if one.key == key]
    ids = [one.id for one in same]
    left = same[ids.index(upload_id) + 1 :] if upload_id in ids else []
    return left + [one for one in uploads if one.key > key]


def _walked(behind: list[Upload], marker: str, after: str) -> Iterator[Upload]:
    """All that is behind the marker, which several uploads may share; from there on, by key."""
    return (one for one in behind if after == marker or one.key > after)


def _token(token: str | None) -> str:
    if token is None:
        return ""
    try:
        found = bytes.fromhex(token).decode()
    except ValueError:
        found = ""
    if not found:
        fields = {"ArgumentName": "continuation-token"}
        raise AwsError("InvalidArgument", "The continuation token provided is incorrect", status=400, fields=fields)
    return found
