"""Roles and users of an account, from IAM's GetAccountAuthorizationDetails. Pure.

A managed policy that the answer does not hold, or that does not parse, counts as unreadable: what it says may change
every answer about its holders.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from keyless.identity.access.model import Holder
from keyless.identity.verify.aws_facts import document_source
from keyless.policy import Kind, MalformedPolicy, Source, Unreadable, parse
from keyless.policy.statements import Document

_NOBODY = parse('{"Statement": [{"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "sts:*"}]}', "trust")
Details = Mapping[str, Sequence[Mapping[str, Any]]]


def holders_of(details: Details) -> Iterator[Holder]:
    """Roles, then users with what their groups give them."""
    managed = {one["Arn"]: _text(one) for one in details.get("Policies", ())}
    groups = {one["GroupName"]: one for one in details.get("GroupDetailList", ())}
    for one in details.get("RoleDetailList", ()):
        identity = tuple(_identity(one, "RolePolicyList", managed))
        yield Holder(one["Arn"], identity, _boundary(one, managed), _trust(one), _tags(one))
    for one in details.get("UserDetailList", ()):
        own = list(_identity(one, "UserPolicyList", managed))
        for name in one.get("GroupList", ()):
            own += _identity(groups.get(name, {}), "GroupPolicyList", managed, f" of group {name}")
        yield Holder(one["Arn"], tuple(own), _boundary(one, managed), tags=_tags(one))


def _text(policy: Mapping[str, Any]) -> Any:
    versions = policy.get("PolicyVersionList") or ()
    return next((one["Document"] for one in versions if one.get("IsDefaultVersion")), None)


def _identity(one: Mapping[str, Any], inline: str, managed: Mapping[str, Any], whose: str = "") -> Iterator[Source]:
    for each in one.get(inline) or ():
        yield document_source(f"inline policy {each['PolicyName']}{whose}", each["PolicyDocument"], "identity")
    for each in one.get("AttachedManagedPolicies") or ():
        yield _managed(each["PolicyArn"], managed, "identity")


def _managed(arn: str, managed: Mapping[str, Any], kind: Kind) -> Source:
    document = managed.get(arn)
    return Unreadable(arn, "IAM did not show it") if document is None else document_source(arn, document, kind)


def _boundary(one: Mapping[str, Any], managed: Mapping[str, Any]) -> Source | None:
    arn = (one.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn", "")
    return _managed(arn, managed, "boundary") if arn else None


def _trust(role: Mapping[str, Any]) -> Document:
    """A trust policy that does not parse admits nobody here: AWS itself stores none."""
    try:
        return parse(role["AssumeRolePolicyDocument"], "trust")
    except MalformedPolicy:
        return _NOBODY


def _tags(one: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in one.get("Tags") or ()}
