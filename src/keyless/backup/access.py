"""What the component must reach: its own control plane's folder of the bucket."""

from __future__ import annotations

from keyless.api import Access
from keyless.aws.writing import BARE, HEADERS, Writing

COMPONENT = "backup"
SERVICE_ACCOUNT = "backup"
_SENT = ("ServerSideEncryption", "SSEKMSKeyId", "ACL")


def access(bucket: str, prefix: str, control_plane_id: str, *, partition: str, writing: Writing = BARE) -> Access:
    """Write and read back; the list and the deletions are asked for besides, by ``s3:ListBucket`` on the bucket."""
    arn = f"arn:{partition}:s3:::{bucket}"
    said = writing.members(b"", "")
    return Access(
        component=COMPONENT,
        service_account=SERVICE_ACCOUNT,
        actions=("s3:PutObject", "s3:GetObject", "s3:DeleteObject"),
        resources=(f"{arn}/{prefix}controlplane={control_plane_id}/*",),
        probe="s3:PutObject",
        sent=tuple((f"s3:{HEADERS[name].lower()}", said.get(name, "")) for name in _SENT),
    )
