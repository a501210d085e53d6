"""A bucket: whether it is there, whose it is, where, and its policy. Reads only.

HeadBucket answers 404 for a name that nobody has and 403 for one that the caller may not see: then the list of the
caller's own buckets tells whether it is another account's. Policies of other accounts' buckets are for those alone.
"""

from __future__ import annotations

from keyless.aws import AWS_FAILURES, AwsError, Session
from keyless.identity.verify.aws_facts import as_written, document_source, why
from keyless.identity.verify.model import ANOTHER, Bucket, Missing, Unread
from keyless.identity.verify.near import resembling
from keyless.policy import Source, Unreadable
from keyless.policy.amend import Written

_NO_BUCKET = ("404", "NoSuchBucket", "NotFound")
_FORBIDDEN = ("403", "AccessDenied", "Forbidden")


async def bucket(aws: Session, name: str, account: str = "") -> Bucket | Missing | Unread:
    """The bucket; or the names of the caller's own that resemble one that is not there.

    ``account`` is the caller's: where it is told, a bucket of another one is told from an own one.
    """
    try:
        head = await aws.call("s3", "HeadBucket", Bucket=name)
    except AWS_FAILURES as error:
        if error.code in _NO_BUCKET:
            return Missing(name, resembling(name, await _own(aws) or ()))
        return await _unseen(aws, name, error)
    region = str(head.get("BucketRegion", ""))
    if account and await _is_foreign(aws, name, account):
        return _of_others(name, region)
    policy, written = await _policy(aws, name)
    return Bucket(name, region, policy, written, account)


async def _unseen(aws: Session, name: str, error: AwsError) -> Bucket | Unread:
    """A bucket that may not be looked at: an own one keeps its policy, which may say why."""
    own = await _own(aws) if error.code in _FORBIDDEN else None
    if own is None:
        return Unread(why("s3", error))
    if name not in own:
        return _of_others(name, "")
    policy, written = await _policy(aws, name)
    return Bucket(name, "", policy, written)


def _of_others(name: str, region: str) -> Bucket:
    reason = "not readable: the bucket is of another account, and only that account may read its policy"
    return Bucket(name, region, Unreadable(_label(name), reason), owner=ANOTHER)


async def _is_foreign(aws: Session, name: str, account: str) -> bool:
    try:
        await aws.call("s3", "HeadBucket", Bucket=name, ExpectedBucketOwner=account)
    except AWS_FAILURES as error:
        # It was there without the owner's name a moment ago: what is refused now is the owner.
        return error.code in _FORBIDDEN
    return False


async def _own(aws: Session) -> tuple[str, ...] | None:
    try:
        listed = await aws.call("s3", "ListBuckets")
    except AWS_FAILURES:
        return None
    return tuple(one["Name"] for one in listed.get("Buckets", ()))


async def _policy(aws: Session, name: str) -> tuple[Source | None, Written | None]:
    try:
        answer = await aws.call("s3", "GetBucketPolicy", Bucket=name)
    except AWS_FAILURES as error:
        unread = None if error.code == "NoSuchBucketPolicy" else Unreadable(_label(name), why("s3", error))
        return unread, None
    return document_source(_label(name), answer["Policy"], "resource"), as_written(answer["Policy"])


def _label(name: str) -> str:
    return f"policy of bucket {name}"
