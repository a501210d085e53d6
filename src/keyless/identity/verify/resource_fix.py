"""The statement that a bucket's or a key's own policy lacks, added to what is there and proven. Pure.

Ids of what was deleted are left out of what is written, or are the role's ARN again: AWS takes no policy back that
has one (:mod:`keyless.identity.verify.stale`).
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence

from keyless.api import Arn
from keyless.identity.verify.behind import KeyUse
from keyless.identity.verify.model import Bucket, Fix, Role
from keyless.identity.verify.stale import living, renewal, stale_principals
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
    says = f"adds a statement to the key policy that lets role {role.name} do {use.action}{_rest(use.written)}"
    return Fix(_put_key_policy(use, region, after), says, difference(use.written, after))


def renew_key_policy(use: KeyUse, role: Role, region: str, holds: Holds) -> Fix | None:
    """Put the role's ARN in the place of the id that the key's policy keeps of the role that had its name before."""
    after = _renewed(use.written, role.arn, use.policy.name, holds)
    if after is None:
        return None
    return Fix(_put_key_policy(use, region, after), _renews(role.arn), difference(use.written, after))


def _put_key_policy(use: KeyUse, region: str, document: Written) -> str:
    command = f"aws kms put-key-policy --key-id {use.arn} --policy-name default --policy {_quoted(document)}"
    return command + elsewhere(use.arn, region)


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
    does = "adds a statement to the bucket's policy" if bucket.written else "gives the bucket a policy"
    says = f"{does} that lets {role_arn} do this{_rest(bucket.written)}"
    return Fix(_put_bucket_policy(bucket, after), says, difference(bucket.written, after))


def renew_bucket_policy(bucket: Bucket, role_arn: str, holds: Holds) -> Fix | None:
    """Put the role's ARN in the place of the id that the bucket's policy keeps of the role that had its name before."""
    after = None if bucket.foreign else _renewed(bucket.written, role_arn, f"policy of bucket {bucket.name}", holds)
    if after is None:
        return None
    return Fix(_put_bucket_policy(bucket, after), _renews(role_arn), difference(bucket.written, after))


def _put_bucket_policy(bucket: Bucket, document: Written) -> str:
    return f"aws s3api put-bucket-policy --bucket {bucket.name} --policy {_quoted(document)}"


def elsewhere(arn: str, region: str) -> str:
    """The option that leads a command to the region of an ARN, where that is not the one it would go to."""
    there = arn.split(":", 4)[3]
    return f" --region {there}" if there and there != region else ""


def _amended(written: Written | None, added: Written, name: str, most: int, holds: Holds) -> Written | None:
    before = living(written) if written else None
    if written and before is None:
        return None
    after = with_statement(before, added)
    fits = len(compact(after).encode()) <= most
    return after if fits and _allows(after, name, holds) and proven(before, after, [added], "resource") else None


def _renewed(written: Written | None, arn: str, name: str, holds: Holds) -> Written | None:
    after = renewal(written, arn)
    return after if after is not None and _allows(after, name, holds) else None


def _allows(document: Written, name: str, holds: Holds) -> bool:
    try:
        return holds(Named(name, parse(document, "resource")))
    except MalformedPolicy:
        return False


def _renews(arn: str) -> str:
    return f"puts {arn} in the place of that id; whoever it was is gone, and AWS keeps the new role's id from now on"


def _rest(before: Written | None) -> str:
    ids = stale_principals(before)
    return f" and leaves out {', '.join(ids)}, which AWS knows no more" if ids else "; nothing else changes"


def _quoted(document: Written) -> str:
    return shlex.quote(compact(document))
