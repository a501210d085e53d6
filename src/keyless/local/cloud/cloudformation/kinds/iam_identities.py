"""``AWS::IAM::Role``.

Spec: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-iam-role.html
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from keyless.local.cloud.call import Wire
from keyless.local.cloud.cloudformation.kinds.kind import (
    Draft,
    Flow,
    Made,
    Request,
    as_list,
    changed,
    difference,
    document,
    tags_of,
)
from keyless.local.cloud.cloudformation.model import Properties, Resource

GONE = frozenset({"NoSuchEntity"})
Steps = Generator[Request, Wire, None]


class IamRole:
    """A role with its inline and attached policies."""

    type = "AWS::IAM::Role"
    required = frozenset({"AssumeRolePolicyDocument"})
    optional = frozenset(
        {
            "Description",
            "ManagedPolicyArns",
            "MaxSessionDuration",
            "Path",
            "PermissionsBoundary",
            "Policies",
            "RoleName",
            "Tags",
        }
    )
    immutable = frozenset({"Path", "RoleName"})
    attributes = frozenset({"Arn", "RoleId"})
    name_property = "RoleName"
    is_iam = True
    is_atomic = True
    longest_name = 64

    def create(self, draft: Draft) -> Flow:
        """CreateRole, then its policies."""
        given = draft.properties
        name = given.get("RoleName", draft.name)
        params: dict[str, Any] = {
            "RoleName": name,
            "AssumeRolePolicyDocument": document(given["AssumeRolePolicyDocument"]),
        }
        for option in ("Description", "Path", "PermissionsBoundary"):
            if option in given:
                params[option] = given[option]
        if "MaxSessionDuration" in given:
            params["MaxSessionDuration"] = int(given["MaxSessionDuration"])
        if tags := as_list(given.get("Tags")):
            params["Tags"] = tags
        role = (yield Request("iam", "CreateRole", params))["Role"]
        yield from self._policies(name, {}, given)
        return Made(name, {"Arn": role["Arn"], "RoleId": role["RoleId"]})

    def update(self, old: Resource, draft: Draft) -> Flow:
        """One call for each property that differs."""
        name, was, given = old.physical_id, old.properties, draft.properties
        for _ in changed(was, given, "AssumeRolePolicyDocument"):
            text = document(given["AssumeRolePolicyDocument"])
            yield Request("iam", "UpdateAssumeRolePolicy", {"RoleName": name, "PolicyDocument": text})
        if any(changed(was, given, "Description", "MaxSessionDuration")):
            params = {
                "RoleName": name,
                "Description": given.get("Description", ""),
                "MaxSessionDuration": int(given.get("MaxSessionDuration", 3600)),
            }
            yield Request("iam", "UpdateRole", params)
        for _ in changed(was, given, "PermissionsBoundary"):
            yield _boundary(name, given.get("PermissionsBoundary"))
        yield from self._policies(name, was, given)
        yield from _retag(name, was, given)
        return Made(name, old.attributes)

    def delete(self, old: Resource) -> Flow:
        """The policies it was given here, then the role; one attached by others stands in the way, as on AWS."""
        yield from self._policies(old.physical_id, old.properties, {}, absent=GONE)
        yield Request("iam", "DeleteRole", {"RoleName": old.physical_id}, GONE)
        return Made("")

    def _policies(self, name: str, old: Properties, new: Properties, absent: frozenset[str] = frozenset()) -> Steps:
        attached = difference(as_list(old.get("ManagedPolicyArns")), as_list(new.get("ManagedPolicyArns")))
        for arn in attached.come:
            yield Request("iam", "AttachRolePolicy", {"RoleName": name, "PolicyArn": arn})
        was, wanted = _inline(old), _inline(new)
        for policy, text in wanted.items():
            if was.get(policy) != text:
                params = {"RoleName": name, "PolicyName": policy, "PolicyDocument": text}
                yield Request("iam", "PutRolePolicy", params)
        for arn in attached.gone:
            yield Request("iam", "DetachRolePolicy", {"RoleName": name, "PolicyArn": arn}, absent)
        for policy in was.keys() - wanted.keys():
            yield Request("iam", "DeleteRolePolicy", {"RoleName": name, "PolicyName": policy}, absent)


def _inline(properties: Properties) -> dict[str, str]:
    return {one["PolicyName"]: document(one["PolicyDocument"]) for one in as_list(properties.get("Policies"))}


def _boundary(name: str, arn: str | None) -> Request:
    if arn:
        return Request("iam", "PutRolePermissionsBoundary", {"RoleName": name, "PermissionsBoundary": arn})
    return Request("iam", "DeleteRolePermissionsBoundary", {"RoleName": name})


def _retag(name: str, old: Properties, new: Properties) -> Steps:
    """What others tagged stays."""
    before, after = tags_of(old), tags_of(new)
    if gone := sorted(before.keys() - after.keys()):
        yield Request("iam", "UntagRole", {"RoleName": name, "TagKeys": gone})
    if come := [{"Key": key, "Value": value} for key, value in after.items() if before.get(key) != value]:
        yield Request("iam", "TagRole", {"RoleName": name, "Tags": come})
