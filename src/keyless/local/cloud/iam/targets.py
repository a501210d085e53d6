"""What IAM's operations touch, for authorisation: ARNs without a region, and the condition keys IAM sets.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
"""

from __future__ import annotations

from collections.abc import Mapping

from keyless.local.cloud.authorise import resource_tag_keys, tag_keys
from keyless.local.cloud.call import Call
from keyless.local.cloud.iam.model import Role, User
from keyless.policy import ContextValue

Keys = dict[str, ContextValue]
#: the calls that see the boundary their user or role has (those that set one see the new one, as ``requested`` says)
_BOUNDED = frozenset(
    [f"{verb}{kind}Policy" for verb in ("Attach", "Delete", "Detach", "Put") for kind in ("Role", "User")]
    + ["DeleteRolePermissionsBoundary", "DeleteUserPermissionsBoundary", "DeleteRole", "GetRole"]
    + ["UpdateAssumeRolePolicy", "UpdateRole", "UpdateRoleDescription"]
)


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


def resource_keys(tags: Mapping[str, str]) -> Keys:
    """The keys of an object that is there: its tags."""
    return resource_tag_keys(dict(tags))


def entity_keys(tags: Mapping[str, str]) -> Keys:
    """The keys of a user or role that is there: its tags under both of their names."""
    return resource_keys(tags) | {f"iam:ResourceTag/{key}": value for key, value in tags.items()}


def holder_keys(call: Call, holder: Role | User | None) -> Keys:
    """The keys of the user or role that a call names, with its boundary where the call is one that may ask for it."""
    if holder is None:
        return {}
    bounded = holder.boundary and call.operation in _BOUNDED
    return entity_keys(holder.tags) | ({"iam:PermissionsBoundary": holder.boundary} if bounded else {})
