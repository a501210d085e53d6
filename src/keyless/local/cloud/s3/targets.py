"""What each S3 operation touches, for authorisation: ARNs, actions, condition keys, the bucket's policy.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
"""

from __future__ import annotations

from collections.abc import Callable

from keyless.local.cloud.call import Call, ResourcePolicy, Target
from keyless.local.cloud.s3.public import is_public
from keyless.local.cloud.s3.settings import blocks_public
from keyless.local.cloud.s3.storage import Storage
from keyless.local.cloud.s3.tags import header_tags
from keyless.policy import ContextValue

#: where the version is named, the action is another: GetObjectVersion, DeleteObjectVersionTagging …
_OF_VERSIONS = {
    "GetObject": "GetObjectVersion",
    "GetObjectAttributes": "GetObjectVersionAttributes",
    "DeleteObject": "DeleteObjectVersion",
    "GetObjectTagging": "GetObjectVersionTagging",
    "PutObjectTagging": "PutObjectVersionTagging",
    "DeleteObjectTagging": "DeleteObjectVersionTagging",
    "GetObjectAcl": "GetObjectVersionAcl",
    "PutObjectAcl": "PutObjectVersionAcl",
}
#: what a write brings along, and the permission that it takes beside s3:PutObject
_BROUGHT = {
    "Tagging": "PutObjectTagging",
    "ACL": "PutObjectAcl",
    "ObjectLockMode": "PutObjectRetention",
    "ObjectLockLegalHoldStatus": "PutObjectLegalHold",
    "IfMatch": "GetObject",
}
#: headers that are condition keys under their own names
_HEADERS = (
    "if-none-match", "if-match", "x-amz-acl", "x-amz-server-side-encryption", "x-amz-storage-class",
    "x-amz-server-side-encryption-aws-kms-key-id", "x-amz-copy-source", "x-amz-metadata-directive",
    "x-amz-website-redirect-location", "x-amz-content-sha256", "x-amz-grant-read", "x-amz-grant-full-control",
    "x-amz-grant-read-acp", "x-amz-grant-write", "x-amz-grant-write-acp", "x-amz-object-ownership",
)  # fmt: skip
#: … and those whose keys are called otherwise
_RENAMED = {
    "x-amz-object-lock-mode": "object-lock-mode",
    "x-amz-object-lock-retain-until-date": "object-lock-retain-until-date",
    "x-amz-object-lock-legal-hold": "object-lock-legal-hold",
}
TargetOf = Callable[[Call], Target]


class Targets:
    """Builds targets with the bucket's policy in them."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def on_bucket(self, action: str) -> TargetOf:
        """The bucket itself."""
        return lambda call: self.bucket(call, action)

    def on_object(self, action: str) -> TargetOf:
        """The object that the parameters name."""
        return lambda call: self.object(call, _of_version(call, action), call.params["Bucket"], call.params["Key"])

    def on_write(self, call: Call) -> list[Target]:
        """A write asks for a permission more for each of the tags, the list, the lock, the match it brings along."""
        more = [action for member, action in _BROUGHT.items() if call.params.get(member)]
        return [self.object(call, action, call.params["Bucket"], call.params["Key"]) for action in ("PutObject", *more)]

    def on_delete(self, call: Call) -> list[Target]:
        """A delete of what is unchanged tells whether it is."""
        reading = [] if call.params.get("IfMatch") in {None, "*"} else ["GetObject"]
        return [self.on_object(action)(call) for action in ("DeleteObject", *reading)]

    def on_attributes(self, call: Call) -> list[Target]:
        """GetObjectAttributes asks for two permissions."""
        return [self.on_object(action)(call) for action in ("GetObject", "GetObjectAttributes")]

    def bucket(self, call: Call, action: str) -> Target:
        """The bucket, with what a listing asks for as condition keys."""
        keys: dict[str, ContextValue] = {}
        for key, member in (("s3:prefix", "Prefix"), ("s3:delimiter", "Delimiter"), ("s3:max-keys", "MaxKeys")):
            if call.params.get(member) is not None:
                keys[key] = str(call.params[member])
        if place := (call.params.get("CreateBucketConfiguration") or {}).get("LocationConstraint"):
            keys["s3:locationconstraint"] = str(place)
        return self._target(call, action, call.params["Bucket"], "", _sent(call) | keys)

    def listing_of(self, call: Call, bucket: str) -> Target:
        """Whether the caller may learn what is in a bucket that the parameters do not name (a copy's source)."""
        return self._target(call, "ListBucket", bucket, "", {})

    def object(self, call: Call, action: str, bucket: str, key: str) -> Target:
        """One object, with its tags and what the request wants of it as condition keys."""
        keys = _sent(call)
        if version := call.params.get("VersionId"):
            keys["s3:VersionId"] = str(version)
        sent = header_tags(call.params.get("Tagging")) if isinstance(call.params.get("Tagging"), str) else {}
        if sent:
            keys |= {f"s3:RequestObjectTag/{name}": value for name, value in sent.items()}
            keys["s3:RequestObjectTagKeys"] = tuple(sent)
        stored = self._storage.object(bucket, key)
        if stored and stored.tags:
            keys |= {f"s3:ExistingObjectTag/{name}": value for name, value in stored.tags.items()}
        return self._target(call, action, bucket, key, keys)

    def _target(self, call: Call, action: str, bucket: str, key: str, keys: dict[str, ContextValue]) -> Target:
        arn = f"arn:aws:s3:::{bucket}/{key}" if key else f"arn:aws:s3:::{bucket}"
        found = self._storage.bucket(bucket)
        policy = ResourcePolicy(found.policy, "bucket policy") if found and found.policy else None
        if found and policy and call.caller.kind == "Anonymous" and blocks_public(found, "RestrictPublicBuckets"):
            # What a public policy lets everyone do, only the account may: who is nobody is let in by no policy.
            policy = None if is_public(found.policy) else policy
        return Target(arn, f"s3:{action}", call.account, keys, policy, f'"{arn}"')


def _sent(call: Call) -> dict[str, ContextValue]:
    """The headers that are condition keys, and how the request was signed."""
    keys: dict[str, ContextValue] = {}
    for name, value in call.request.headers:
        if name in _HEADERS:
            keys[f"s3:{name}"] = value
        elif renamed := _RENAMED.get(name):
            keys[f"s3:{renamed}"] = value
    if call.caller.kind != "Anonymous":
        keys["s3:signatureversion"] = "AWS4-HMAC-SHA256"
        keys["s3:authType"] = "REST-HEADER" if call.request.header("authorization") else "REST-QUERY-STRING"
    return keys


def _of_version(call: Call, action: str) -> str:
    return _OF_VERSIONS.get(action, action) if call.params.get("VersionId") else action
