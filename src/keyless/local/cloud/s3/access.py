"""Operations on who may do what apart from policies: ACLs, ownership of objects, the public access block."""

from __future__ import annotations

from typing import Any

from keyless.local.cloud.call import Call
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.s3.acls import must_take_acl, owner_acl
from keyless.local.cloud.s3.buckets import Buckets
from keyless.local.cloud.s3.objects import Objects
from keyless.local.cloud.s3.settings import OWNERSHIP, PUBLIC_ACCESS, setting

_SWITCHES = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


class Access:
    """ACLs, ownership controls and the public access block of buckets."""

    def __init__(self, buckets: Buckets, objects: Objects) -> None:
        self._buckets = buckets
        self._objects = objects

    def bucket_acl(self, call: Call) -> dict[str, Any]:
        self._buckets.existing(call)
        return owner_acl(call.account)

    def object_acl(self, call: Call) -> dict[str, Any]:
        self._objects.readable(call)
        return owner_acl(call.account)

    def put_bucket_acl(self, call: Call) -> None:
        must_take_acl(call, self._buckets.existing(call))

    def put_object_acl(self, call: Call) -> dict[str, Any]:
        found = self._objects.readable(call)
        must_take_acl(call, found.bucket)
        return found.shown_version

    def public_access(self, call: Call) -> dict[str, Any]:
        found = setting(self._buckets.existing(call), PUBLIC_ACCESS)
        if found is None:
            text = "The public access block configuration was not found"
            raise _absent("NoSuchPublicAccessBlockConfiguration", text, call)
        return {PUBLIC_ACCESS: found}

    def put_public_access(self, call: Call) -> None:
        given = call.params[PUBLIC_ACCESS]
        self._buckets.set(call, PUBLIC_ACCESS, {name: bool(given.get(name)) for name in _SWITCHES})

    def delete_public_access(self, call: Call) -> None:
        self._buckets.set(call, PUBLIC_ACCESS, None)

    def ownership(self, call: Call) -> dict[str, Any]:
        found = setting(self._buckets.existing(call), OWNERSHIP)
        if found is None:
            raise _absent("OwnershipControlsNotFoundError", "The bucket ownership controls were not found", call)
        return {OWNERSHIP: found}

    def put_ownership(self, call: Call) -> None:
        given = call.params[OWNERSHIP]
        if len(given["Rules"]) != 1:
            text = "The XML you provided was not well-formed or did not validate against our published schema"
            raise AwsError("MalformedXML", text, status=400)
        self._buckets.set(call, OWNERSHIP, given)

    def delete_ownership(self, call: Call) -> None:
        self._buckets.set(call, OWNERSHIP, None)


def _absent(code: str, text: str, call: Call) -> AwsError:
    return AwsError(code, text, status=404, fields={"BucketName": call.params["Bucket"]})
