"""The statement that a bucket's or a key's own policy lacks, added to what is there and proven. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence

from keyless.api import Arn
from keyless.identity.verify.behind import KeyUse
from keyless.identity.verify.model import Bucket, Fix, Role
from keyless.policy import MalformedPolicy, Named, Source, parse
from keyless.policy.amend import Written, compact, difference, proven, with_statement

# What such policies may hold, in bytes (facts/identity.md#quotas).
_KEY_POLICY = 32_768
_BUCKET_POLICY = 20_480

Holds = Callable[[Source], bool]
"""Whether the component may do its work by this policy of the resource."""


def put_key_policy(use: KeyUse, role: Role, region: str, holds: Holds) -> Fix | None:
    """Let the role use the key; only where the key is of the role's account, whose administrator reads this."""
    if use.written is None or Arn.parse(use.arn).account != Arn.parse(role.arn).account:
        return None
    added = {"Effect": "Allow", "Principal": {"AWS": role.arn}, "Action": use.action, "Resource": "*"}
    after = _amended(use.written, added, use.policy.name, _KEY_POLICY, holds)
    if after is None:
        return None
    command = f"aws kms put-key-policy --key-id {use.arn} --policy-name default --policy {_quoted(after)}"
    says = f"adds a statement to the key policy that lets role {role.name} do {use.action}; nothing else changes"
    return Fix(command + elsewhere(use.arn, region), says, difference(use.written, after))


def put_bucket_policy(
    bucket: Bucket, role_arn: str, actions: Sequence[str], resources: Sequence[str], holds: Holds
) -> Fix | None:
    """Let a role of another account do ``actions``: to be run by who may write the policy of the bucket."""
    if bucket.foreign or (bucket.policy is not None and bucket.written is None):
        return None
    added = {
        "Effect": "Allow",
        "Principal": {"AWS": role_arn},
        "Action": list(dict.fromkeys(actions)),
        "Resource": list(dict.fromkeys(resources)),
    }
    after = _amended(bucket.written, added, f"policy of bucket {bucket.name}", _BUCKET_POLICY, holds)
    if after is None:
        return None
    command = f"aws s3api put-bucket-policy --bucket {bucket.name} --policy {_quoted(after)}"
    does = "adds a statement to the bucket's policy" if bucket.written else "gives the bucket a policy"
    return Fix(command, f"{does} that lets {role_arn} do this; nothing else changes", difference(bucket.written, after))


def elsewhere(arn: str, region: str) -> str:
    """The option that leads a command to the region of an ARN, where that is not the one it would go to."""
    there = arn.split(":", 4)[3]
    return f" --region {there}" if there and there != region else ""


def _amended(before: Written | None, added: Written, name: str, most: int, holds: Holds) -> Written | None:
    after = with_statement(before, added)
    try:
        policy = Named(name, parse(after, "resource"))
    except MalformedPolicy:
        return None
    fits = len(compact(after).encode()) <= most
    return after if fits and holds(policy) and proven(before, after, [added], "resource") else None


def _quoted(document: Written) -> str:
    return shlex.quote(compact(document))
