"""Server-side encryption as headers tell it: which one an object has, and what may not be asked for. Pure.

Which key a name means, and the encryption itself, are :mod:`envelopes`'. With S3's own keys nothing is encrypted: the
state folder is what guards content. Buckets made since April 2026 refuse keys that customers bring along (SSE-C).
https://docs.aws.amazon.com/AmazonS3/latest/userguide/serv-side-encryption.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keyless.local.cloud.errors import AwsError

SSE = ("ServerSideEncryption", "SSEKMSKeyId", "BucketKeyEnabled")
_KMS = {"aws:kms", "aws:kms:dsse"}
#: what every bucket has had since January 2023, and new ones since April 2026
DEFAULT_RULES = [
    {
        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"},
        "BucketKeyEnabled": False,
        "BlockedEncryptionTypes": {"EncryptionType": ["SSE-C"]},
    }
]
_KEY_WITHOUT_KMS = (
    "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms"
)


def encrypted(params: Mapping[str, Any], rules: list[dict[str, Any]]) -> dict[str, Any]:
    """The members that tell how an object is encrypted; a key is named as the request or the bucket names it."""
    if params.get("SSECustomerAlgorithm") or params.get("SSECustomerKey"):
        text = "Server side encryption with customer provided keys (SSE-C) is blocked for this bucket."
        raise AwsError("AccessDenied", text, status=403)
    asked, key = params.get("ServerSideEncryption"), params.get("SSEKMSKeyId") or ""
    if key and asked not in _KMS:
        raise AwsError("InvalidArgument", _KEY_WITHOUT_KMS, status=400)
    rule = rules[0]
    default = rule["ApplyServerSideEncryptionByDefault"]
    algorithm = asked or default["SSEAlgorithm"]
    found: dict[str, Any] = {"ServerSideEncryption": algorithm}
    if algorithm in _KMS:
        found["SSEKMSKeyId"] = key or ("" if asked else default.get("KMSMasterKeyID", "")) or "alias/aws/s3"
        enabled = params.get("BucketKeyEnabled")
        if rule.get("BucketKeyEnabled") if enabled is None else enabled:
            found["BucketKeyEnabled"] = True
    return found
