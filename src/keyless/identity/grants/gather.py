"""Read what AWS has of the grants. Reads only; a refused read ends it, since a plan from half the facts is unsafe.

Calls of AWS: one for 1,000 roles of the account (IAM may give fewer, and has no filter by name), then four for each
role of ours, or, of many, one more for 1,000 roles of the account; one for the provider; one for 100 associations and
one for each of them, whose role no list tells.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from keyless.aws import AWS_FAILURES
from keyless.identity.grants.model import TAG, Asked, Have, HeldAssociation, HeldRole, Way
from keyless.identity.grants.placing import number
from keyless.identity.grants.plan import operator_policy
from keyless.identity.grants.refusals import Caller, Explaining
from keyless.policy.amend import Written

_MANY = 10
"""So many roles are read by name; of more, a call that tells of the whole account spares AWS a hundred."""


async def gather(asked: Asked, aws: Caller, *, known: Mapping[str, HeldAssociation] = MappingProxyType({})) -> Have:
    """The provider, the roles named as ours would be, and the cluster's associations.

    ``known``: associations by id that were read a moment ago, and are not read again.
    """
    aws = Explaining(aws, operator_policy(asked))
    listed = await _pages(aws, ("iam", "ListRoles", "Roles"), ("Marker", "Marker"), MaxItems=1000)
    names = [one["RoleName"] for one in listed if any(number(one["RoleName"], wish.role) for wish in asked.wishes)]
    whole = await _at_once(aws, set(names)) if len(names) > _MANY else None
    roles = whole if whole is not None else await asyncio.gather(*(_role(aws, name) for name in names))
    audiences, url = await _provider(asked, aws) if asked.way is Way.IRSA else ((), "")
    associations = await _associations(asked, aws, known) if asked.way is Way.PODS else ()
    return Have(audiences, {role.name: role for role in roles}, associations, url)


async def _at_once(aws: Caller, names: set[str]) -> list[HeldRole] | None:
    """The roles by GetAccountAuthorizationDetails; None where the caller may not read the whole account."""
    call = ("iam", "GetAccountAuthorizationDetails", "RoleDetailList")
    try:
        listed = await _pages(aws, call, ("Marker", "Marker"), Filter=["Role"], MaxItems=1000)
    except AWS_FAILURES as error:
        if error.code in ("AccessDenied", "AccessDeniedException"):
            return None
        raise
    return [_detailed(one) for one in listed if one["RoleName"] in names]


def _detailed(found: dict[str, Any]) -> HeldRole:
    policies = {one["PolicyName"]: one["PolicyDocument"] for one in found.get("RolePolicyList", ())}
    return _held_role(found, policies, attached=bool(found.get("AttachedManagedPolicies")))


async def _role(aws: Caller, name: str) -> HeldRole:
    found = (await aws.call("iam", "GetRole", RoleName=name))["Role"]
    names = (await aws.call("iam", "ListRolePolicies", RoleName=name))["PolicyNames"]
    attached = (await aws.call("iam", "ListAttachedRolePolicies", RoleName=name))["AttachedPolicies"]
    policies: dict[str, Written] = {}
    for one in names:
        policies[one] = (await aws.call("iam", "GetRolePolicy", RoleName=name, PolicyName=one))["PolicyDocument"]
    return _held_role(found, policies, attached=bool(attached))


def _held_role(found: dict[str, Any], policies: dict[str, Written], *, attached: bool) -> HeldRole:
    managed = any(tag["Key"] == TAG for tag in found.get("Tags", ()))
    boundary = found.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn", "")
    trust = found["AssumeRolePolicyDocument"]
    return HeldRole(found["RoleName"], found["Arn"], trust, managed, policies, attached, boundary)


async def _provider(asked: Asked, aws: Caller) -> tuple[tuple[str, ...] | None, str]:
    arn = asked.cluster.provider_arn
    try:
        found = await aws.call("iam", "GetOpenIDConnectProvider", OpenIDConnectProviderArn=arn)
    except AWS_FAILURES as error:
        if error.code in ("NoSuchEntity", "NoSuchEntityException"):
            return None, ""
        raise
    return tuple(found.get("ClientIDList", ())), str(found.get("Url", ""))


async def _associations(asked: Asked, aws: Caller, known: Mapping[str, HeldAssociation]) -> tuple[HeldAssociation, ...]:
    name = asked.cluster.name
    wanted = {wish.service_account for wish in asked.wishes}
    call = ("eks", "ListPodIdentityAssociations", "associations")
    listed = await _pages(aws, call, ("nextToken", "nextToken"), clusterName=name)
    ids = [one["associationId"] for one in listed if one["serviceAccount"] in wanted]
    new = [one for one in ids if one not in known]
    reads = [aws.call("eks", "DescribePodIdentityAssociation", clusterName=name, associationId=one) for one in new]
    return (*(known[one] for one in ids if one in known), *_held(await asyncio.gather(*reads)))


def _held(answers: list[dict[str, Any]]) -> Iterator[HeldAssociation]:
    for one in (answer["association"] for answer in answers):
        managed = TAG in (one.get("tags") or {})
        yield HeldAssociation(one["associationId"], one["namespace"], one["serviceAccount"], one["roleArn"], managed)


async def _pages(
    aws: Caller, what: tuple[str, str, str], tokens: tuple[str, str], **params: Any
) -> list[dict[str, Any]]:
    """All pages of a list; ``tokens``: where an answer and a request carry the next page's token."""
    service, operation, key = what
    found: list[dict[str, Any]] = []
    page: dict[str, str] = {}
    while True:
        answer = await aws.call(service, operation, **params, **page)
        found += answer.get(key, [])
        if not answer.get(tokens[0]):
            return found
        page = {tokens[1]: answer[tokens[0]]}
