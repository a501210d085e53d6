"""What IAM's operations touch, for authorisation: ARNs without a region, and the condition keys IAM sets.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
"""

from __future__ import annotations

from collections.abc import Mapping

from keyless.local.cloud.authorise import resource_tag_keys, tag_keys
from keyless.local.cloud.call import Call
from keyless.policy import ContextValue

Keys = dict[str, ContextValue]


def arn(call: Call, resource: str) -> str:
    """An ARN of IAM in the call's account."""
    return call.arn(resource, service="iam", region="")


def path_of(call: Call, member: str = "Path") -> str:
    """The path that a call names, ``/`` for none."""
    return str(call.params.get(member) or "/")


def requested(call: Call) -> Keys:
    """The keys that a call's own parameters set: tags, tag keys to take away, a boundary."""
    keys = tag_keys({tag["Key"]: tag["Value"] for tag in call.params.get("Tags", ())})
    if boundary := call.params.get("PermissionsBoundary"):
        keys["iam:PermissionsBoundary"] = str(boundary)
    if removed := call.params.get("TagKeys"):
        keys["aws:TagKeys"] = tuple(removed)
    return keys


def resource_keys(tags: Mapping[str, str], boundary: str = "") -> Keys:
    """The keys of an object that is there: its tags under both of their names, and the boundary it has."""
    keys = resource_tag_keys(dict(tags)) | {f"iam:ResourceTag/{key}": value for key, value in tags.items()}
    if boundary:
        keys["iam:PermissionsBoundary"] = boundary
    return keys
