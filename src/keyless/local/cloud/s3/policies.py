"""Operations on bucket policies, and whether one makes the bucket public.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html
"""

from __future__ import annotations

from typing import Any

from keyless.local.cloud.call import Call
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.iam import principals
from keyless.local.cloud.s3.acls import blocked
from keyless.local.cloud.s3.buckets import Buckets
from keyless.local.cloud.s3.public import is_public
from keyless.local.cloud.s3.settings import blocks_public
from keyless.local.cloud.s3.storage import Bucket, Storage
from keyless.policy import MalformedPolicy, parse_to_store

_LARGEST_BYTES = 20 * 1024


class BucketPolicies:
    """Get, put and delete a bucket's policy."""

    def __init__(self, storage: Storage, buckets: Buckets) -> None:
        self._storage = storage
        self._buckets = buckets

    def get(self, call: Call) -> dict[str, Any]:
        return {"Policy": principals.shown(self._storage.connection, self._existing(call).policy)}

    def status(self, call: Call) -> dict[str, Any]:
        return {"PolicyStatus": {"IsPublic": is_public(self._existing(call).policy)}}

    def put(self, call: Call) -> None:
        text, bucket = str(call.params["Policy"]), self._buckets.existing(call)
        if len(text.encode()) > _LARGEST_BYTES:
            said = "Bucket policy exceeds the maximum allowed document size."
            raise AwsError("PolicyTooLarge", said, status=400, fields={"MaxSizeAllowed": str(_LARGEST_BYTES)})
        try:
            parse_to_store(text, "resource")
        except MalformedPolicy as error:
            raise AwsError("MalformedPolicy", str(error), status=400) from None
        if blocks_public(bucket, "BlockPublicPolicy") and is_public(text):
            raise blocked(call, "policies", "BlockPublicPolicy")
        try:
            kept = principals.stored(self._storage.connection, text, account=call.account)
        except principals.UnknownPrincipal as unknown:
            said = "Invalid principal in policy"
            raise AwsError(
                "MalformedPolicy", said, status=400, fields={"Detail": f'"AWS" : "{unknown.entry}"'}
            ) from None
        self._storage.set_policy(bucket.name, kept)

    def delete(self, call: Call) -> None:
        self._storage.set_policy(self._buckets.existing(call).name, "")

    def _existing(self, call: Call) -> Bucket:
        bucket = self._buckets.existing(call)
        if not bucket.policy:
            text = "The bucket policy does not exist"
            raise AwsError("NoSuchBucketPolicy", text, status=404, fields={"BucketName": bucket.name})
        return bucket
