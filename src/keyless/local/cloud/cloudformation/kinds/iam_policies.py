"""``AWS::IAM::Policy`` (inline) and ``AWS::IAM::ManagedPolicy``. Groups are not here, so neither are ``Groups``.

Spec: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-iam-managedpolicy.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from keyless.local.cloud.cloudformation.kinds.iam_identities import GONE, Steps
from keyless.local.cloud.cloudformation.kinds.kind import (
    Draft,
    Flow,
    Made,
    Request,
    as_list,
    changed,
    difference,
    document,
)
from keyless.local.cloud.cloudformation.model import Properties, Resource

_HOLDERS = (("Role", "Roles"), ("User", "Users"))


def _holders(properties: Properties) -> Iterator[tuple[str, str]]:
    for kind, name in _HOLDERS:
        yield from ((kind, holder) for holder in as_list(properties.get(name)))


class IamPolicy:
    """An inline policy in several roles and users."""

    type = "AWS::IAM::Policy"
    required = frozenset({"PolicyDocument", "PolicyName"})
    optional = frozenset({"Roles", "Users"})
    immutable = frozenset[str]()
    attributes = frozenset[str]()
    name_property = ""
    is_iam = True
    is_atomic = True
    longest_name = 128

    def create(self, draft: Draft) -> Flow:
        """Put it into each of its holders."""
        yield from self._put(draft.properties)
        return Made(draft.name)

    def update(self, old: Resource, draft: Draft) -> Flow:
        """Put it again, and take it from where it no longer belongs."""
        was, given = old.properties, draft.properties
        renamed = was["PolicyName"] != given["PolicyName"]
        yield from self._put(given)
        now = set(_holders(given))
        for kind, holder in _holders(was):
            if renamed or (kind, holder) not in now:
                yield _remove(kind, holder, was["PolicyName"])
        return Made(old.physical_id)

    def delete(self, old: Resource) -> Flow:
        """Take it from its holders."""
        for kind, holder in _holders(old.properties):
            yield _remove(kind, holder, old.properties["PolicyName"])
        return Made("")

    def _put(self, given: Properties) -> Steps:
        text = document(given["PolicyDocument"])
        for kind, holder in _holders(given):
            params = {f"{kind}Name": holder, "PolicyName": given["PolicyName"], "PolicyDocument": text}
            yield Request("iam", f"Put{kind}Policy", params)


def _remove(kind: str, holder: str, name: str) -> Request:
    return Request("iam", f"Delete{kind}Policy", {f"{kind}Name": holder, "PolicyName": name}, GONE)


class IamManagedPolicy:
    """A managed policy, attached to roles and users."""

    type = "AWS::IAM::ManagedPolicy"
    required = frozenset({"PolicyDocument"})
    optional = frozenset({"Description", "ManagedPolicyName", "Path", "Roles", "Users"})
    immutable = frozenset({"Description", "ManagedPolicyName", "Path"})
    attributes = frozenset({"PolicyArn", "PolicyId", "DefaultVersionId"})
    name_property = "ManagedPolicyName"
    is_iam = True
    is_atomic = True
    longest_name = 128

    def create(self, draft: Draft) -> Flow:
        """CreatePolicy, then attach it."""
        given = draft.properties
        params: dict[str, Any] = {
            "PolicyName": given.get("ManagedPolicyName", draft.name),
            "PolicyDocument": document(given["PolicyDocument"]),
        }
        for option in ("Description", "Path"):
            if option in given:
                params[option] = given[option]
        policy = (yield Request("iam", "CreatePolicy", params))["Policy"]
        arn = policy["Arn"]
        yield from self._attach(arn, {}, given)
        return Made(
            arn, {"PolicyArn": arn, "PolicyId": policy["PolicyId"], "DefaultVersionId": policy["DefaultVersionId"]}
        )

    def update(self, old: Resource, draft: Draft) -> Flow:
        """A new version takes the place of the one before; attachments follow."""
        arn, attributes = old.physical_id, dict(old.attributes)
        for _ in changed(old.properties, draft.properties, "PolicyDocument"):
            text = document(draft.properties["PolicyDocument"])
            params = {"PolicyArn": arn, "PolicyDocument": text, "SetAsDefault": True}
            made = (yield Request("iam", "CreatePolicyVersion", params))["PolicyVersion"]
            superseded = {"PolicyArn": arn, "VersionId": attributes["DefaultVersionId"]}
            yield Request("iam", "DeletePolicyVersion", superseded, GONE)
            attributes["DefaultVersionId"] = made["VersionId"]
        yield from self._attach(arn, old.properties, draft.properties)
        return Made(arn, attributes)

    def delete(self, old: Resource) -> Flow:
        """Detach it where the stack attached it, then DeletePolicy."""
        yield from self._attach(old.physical_id, old.properties, {})
        yield Request("iam", "DeletePolicy", {"PolicyArn": old.physical_id}, GONE)
        return Made("")

    def _attach(self, arn: str, old: Properties, new: Properties) -> Steps:
        for kind, name in _HOLDERS:
            moved = difference(as_list(old.get(name)), as_list(new.get(name)))
            for holder in moved.come:
                yield Request("iam", f"Attach{kind}Policy", {f"{kind}Name": holder, "PolicyArn": arn})
            for holder in moved.gone:
                yield Request("iam", f"Detach{kind}Policy", {f"{kind}Name": holder, "PolicyArn": arn}, GONE)
