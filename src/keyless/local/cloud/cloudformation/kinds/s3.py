"""``AWS::S3::Bucket``, with its name, tags and versioning.

Spec: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-s3-bucket.html
"""

from __future__ import annotations

from typing import Any

from keyless.local.cloud.cloudformation.kinds.iam_identities import Steps
from keyless.local.cloud.cloudformation.kinds.kind import Draft, Flow, Made, Request, as_list, changed
from keyless.local.cloud.cloudformation.model import Properties, Resource


class S3Bucket:
    """A bucket; it is removed only while it is empty, as on AWS."""

    type = "AWS::S3::Bucket"
    required = frozenset[str]()
    optional = frozenset({"BucketName", "Tags", "VersioningConfiguration"})
    immutable = frozenset({"BucketName"})
    attributes = frozenset({"Arn"})
    name_property = "BucketName"
    is_iam = False
    is_atomic = True
    longest_name = 63

    def create(self, draft: Draft) -> Flow:
        """CreateBucket, then what is set on it."""
        name = draft.properties.get("BucketName", draft.name.lower())
        params: dict[str, Any] = {"Bucket": name}
        if draft.region != "us-east-1":
            params["CreateBucketConfiguration"] = {"LocationConstraint": draft.region}
        yield Request("s3", "CreateBucket", params)
        yield from self._settings(name, {}, draft)
        return Made(name, {"Arn": f"arn:aws:s3:::{name}"})

    def update(self, old: Resource, draft: Draft) -> Flow:
        """What is set on it."""
        yield from self._settings(old.physical_id, old.properties, draft)
        return Made(old.physical_id, old.attributes)

    def delete(self, old: Resource) -> Flow:
        """DeleteBucket."""
        yield Request("s3", "DeleteBucket", {"Bucket": old.physical_id}, frozenset({"NoSuchBucket"}))
        return Made("")

    def _settings(self, name: str, old: Properties, draft: Draft) -> Steps:
        given = draft.properties
        for _ in changed(old, given, "VersioningConfiguration"):
            wanted = {"Status": given.get("VersioningConfiguration", {}).get("Status", "Suspended")}
            yield Request("s3", "PutBucketVersioning", {"Bucket": name, "VersioningConfiguration": wanted})
        if tags := as_list(given.get("Tags")):
            yield Request("s3", "PutBucketTagging", {"Bucket": name, "Tagging": {"TagSet": tags}})
