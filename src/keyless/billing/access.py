"""What the collector must reach: nothing but writing new objects.

``s3:PutObject`` is enough, and the guide's Pod Identity policy grants no ``s3:DeleteObject``: the collector never
renames, deletes, lists or reads.
"""

from __future__ import annotations

from keyless.api import Access


def access(bucket: str, account: str, *, partition: str = "aws") -> Access:
    """The collector's needs for one bucket."""
    arn = f"arn:{partition}:s3:::{bucket}"
    return Access(
        component="vector",
        service_account="vector",
        actions=("s3:PutObject",),
        resources=(f"{arn}/account={account}/*", f"{arn}/manifest/*"),
        probe="s3:PutObject",
    )
