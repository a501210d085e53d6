"""Access control lists, as far as one account needs them. Pure.

ACLs are disabled on every bucket unless it is told otherwise (``BucketOwnerEnforced``), and reading one tells that the
owner has full control. Where they are enabled, the lists that grant nobody else anything are taken; public ones are
refused as the public access block does, and lists that grant others something are not part of this cloud.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html
"""

from __future__ import annotations

import hashlib
from typing import Any

from keyless.local.cloud.call import Call
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.s3.settings import ENFORCED, blocks_public, ownership
from keyless.local.cloud.s3.storage import Bucket

_GRANTS = ("GrantFullControl", "GrantRead", "GrantReadACP", "GrantWrite", "GrantWriteACP")
#: the canned lists that give nobody but the account anything
_OWN = {"private", "bucket-owner-full-control", "bucket-owner-read"}
_PUBLIC = {"public-read", "public-read-write", "authenticated-read"}
_ALL = "http://acs.amazonaws.com/groups/global/"


def owner(account: str) -> dict[str, str]:
    """The account under the id that S3 gives it."""
    return {"ID": hashlib.sha256(f"canonical user of {account}".encode()).hexdigest()}


def owner_acl(account: str) -> dict[str, Any]:
    """Full control for the owner, and nothing else."""
    own = owner(account)
    return {"Owner": own, "Grants": [{"Grantee": own | {"Type": "CanonicalUser"}, "Permission": "FULL_CONTROL"}]}


def must_allow_acl(call: Call, bucket: Bucket) -> None:
    """Refuse an object's list that came with a write."""
    canned, granted = call.params.get("ACL"), _grantees(call)
    if not canned and not granted:
        return
    if ownership(bucket) == ENFORCED:
        if canned == "bucket-owner-full-control" and not granted:
            return
        raise _not_supported()
    _judge(call, bucket, canned or "", granted)


def must_take_acl(call: Call, bucket: Bucket) -> None:
    """Refuse to set the list of a bucket or of an object that is there."""
    if ownership(bucket) == ENFORCED:
        raise _not_supported()
    policy = call.params.get("AccessControlPolicy") or {}
    granted = [grant.get("Grantee") or {} for grant in policy.get("Grants") or ()]
    _judge(call, bucket, call.params.get("ACL") or "", [_grantee(one) for one in granted] + _grantees(call))


def must_create_with(call: Call) -> None:
    """Refuse a list that a new bucket cannot have."""
    canned, wanted = call.params.get("ACL") or "private", call.params.get("ObjectOwnership") or ENFORCED
    if (canned != "private" or _grantees(call)) and wanted == ENFORCED:
        text = "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting"
        raise AwsError("InvalidBucketAclWithObjectOwnership", text, status=400)
    _judge(call, None, canned, _grantees(call))


def _judge(call: Call, bucket: Bucket | None, canned: str, granted: list[str]) -> None:
    own = owner(call.account)["ID"]
    public = canned in _PUBLIC or any(one.startswith(_ALL) for one in granted)
    if public and (bucket is None or blocks_public(bucket, "BlockPublicAcls")):
        raise blocked(call, "access control lists (ACLs)", "BlockPublicAcls")
    if (canned and canned not in _OWN) or any(one != own for one in granted):
        text = "Access control lists that grant others something are not part of this cloud's s3"
        raise AwsError("NotImplemented", text, status=501)


def blocked(call: Call, what: str, by: str) -> AwsError:
    """AWS's sentence for what the public access block forbids."""
    bucket, key = call.params["Bucket"], call.params.get("Key")
    arn = f"arn:aws:s3:::{bucket}/{key}" if key else f"arn:aws:s3:::{bucket}"
    text = (
        f'User: {call.caller.arn} is not authorized to perform: s3:{call.operation} on resource: "{arn}"'
        f" because public {what} are blocked by the {by} block public access setting."
    )
    return AwsError("AccessDenied", text, status=403)


def _grantees(call: Call) -> list[str]:
    """Who the grant headers name: ``id="…", uri="…"``."""
    found = [part for name in _GRANTS if (text := call.params.get(name)) for part in str(text).split(",")]
    return [part.partition("=")[2].strip().strip('"') for part in found]


def _grantee(grantee: dict[str, Any]) -> str:
    return str(grantee.get("URI") or grantee.get("ID") or grantee.get("EmailAddress") or "")


def _not_supported() -> AwsError:
    return AwsError("AccessControlListNotSupported", "The bucket does not allow ACLs", status=400)
