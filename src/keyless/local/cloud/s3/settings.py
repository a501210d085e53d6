"""The defaults of a new bucket, and reading a bucket's settings over them. Pure.

A setting is kept as the structure that boto3 sends. One that was never touched is AWS's default for a new bucket; one
that was deleted is ``None``.
"""

from __future__ import annotations

from typing import Any

from keyless.local.cloud.s3.encryption import DEFAULT_RULES
from keyless.local.cloud.s3.storage import Bucket

PUBLIC_ACCESS = "PublicAccessBlockConfiguration"
OWNERSHIP = "OwnershipControls"
ENCRYPTION = "ServerSideEncryptionConfiguration"
LOCK = "ObjectLockConfiguration"
ENFORCED = "BucketOwnerEnforced"

#: since April 2023: nothing public, no ACLs
DEFAULTS: dict[str, Any] = {
    PUBLIC_ACCESS: {
        "BlockPublicAcls": True,
        "IgnorePublicAcls": True,
        "BlockPublicPolicy": True,
        "RestrictPublicBuckets": True,
    },
    OWNERSHIP: {"Rules": [{"ObjectOwnership": ENFORCED}]},
    ENCRYPTION: {"Rules": DEFAULT_RULES},
    "RequestPaymentConfiguration": {"Payer": "BucketOwner"},
}


def setting(bucket: Bucket, name: str) -> Any | None:
    """The setting in effect, or None where there is none."""
    return bucket.settings.get(name, DEFAULTS.get(name))


def blocks_public(bucket: Bucket, what: str) -> bool:
    """Whether the public access block's ``what`` (``BlockPublicPolicy`` …) is on."""
    return bool((setting(bucket, PUBLIC_ACCESS) or {}).get(what))


def ownership(bucket: Bucket) -> str:
    """Who owns new objects, and whether ACLs count; without the setting, the writer does."""
    controls = setting(bucket, OWNERSHIP)
    return str(controls["Rules"][0]["ObjectOwnership"]) if controls else "ObjectWriter"
