"""What the collector must reach: nothing but writing new objects.

``s3:PutObject`` is enough, and the guide's Pod Identity policy grants no ``s3:DeleteObject``: the collector never
renames, deletes, lists or reads.
"""

from __future__ import annotations

from keyless.api import Access
from keyless.aws.writing import BARE, HEADERS, Writing

_NEVER_SENT = ("x-amz-storage-class", "x-amz-website-redirect-location", "object-lock-mode", "if-match")


def access(bucket: str, account: str, *, partition: str = "aws", writing: Writing = BARE) -> Access:
    """The collector's needs for one bucket, into which it writes as ``writing`` has it.

    A list of grantees (``x-amz-acl``) is a permission of its own; a key is asked for behind the bucket.
    """
    arn = f"arn:{partition}:s3:::{bucket}"
    return Access(
        component="vector",
        service_account="vector",
        actions=("s3:PutObject", *(["s3:PutObjectAcl"] if writing.acl else [])),
        resources=(f"{arn}/account={account}/*", f"{arn}/manifest/*"),
        probe="s3:PutObject",
        sent=_sent(writing),
    )


def _sent(writing: Writing) -> tuple[tuple[str, str], ...]:
    """The headers that S3 makes condition keys of: facts/s3-writes.md."""
    said = writing.members(b"", "")
    members = ("ServerSideEncryption", "SSEKMSKeyId", "ACL", "IfNoneMatch")
    told = [(f"s3:{HEADERS[name].lower()}", said.get(name, "")) for name in members]
    return (*told, *((f"s3:{name}", "") for name in _NEVER_SENT))
