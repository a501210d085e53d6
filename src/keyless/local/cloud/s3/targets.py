"""What each S3 operation touches, for authorisation: ARNs, actions, condition keys, the bucket's policy.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
"""

from __future__ import annotations

from collections.abc import Callable

from keyless.local.cloud.call import Call, ResourcePolicy, Target
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
        """A write that brings tags along asks for two permissions."""
        actions = ("PutObject", "PutObjectTagging") if call.params.get("Tagging") else ("PutObject",)
        return [self.on_object(action)(call) for action in actions]

    def on_attributes(self, call: Call) -> list[Target]:
        """GetObjectAttributes asks for two permissions."""
        return [self.on_object(action)(call) for action in ("GetObject", "GetObjectAttributes")]

    def bucket(self, call: Call, action: str) -> Target:
        """The bucket, with what a listing asks for as condition keys."""
        keys: dict[str, ContextValue] = {}
        for key, member in (("s3:prefix", "Prefix"), ("s3:delimiter", "Delimiter"), ("s3:max-keys", "MaxKeys")):
            if call.params.get(member) is not None:
                keys[key] = str(call.params[member])
        return self._target(call, action, call.params["Bucket"], "", keys)

    def object(self, call: Call, action: str, bucket: str, key: str) -> Target:
        """One object; a conditional write shows as ``s3:if-none-match`` or ``s3:if-match``."""
        keys: dict[str, ContextValue] = {}
        for name in ("if-none-match", "if-match", "x-amz-acl", "x-amz-server-side-encryption"):
            if value := call.request.header(name):
                keys[f"s3:{name}"] = value
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
        return Target(arn, f"s3:{action}", call.account, keys, policy, f'"{arn}"')


def _of_version(call: Call, action: str) -> str:
    return _OF_VERSIONS.get(action, action) if call.params.get("VersionId") else action
