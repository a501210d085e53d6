"""Read what AWS has of the grants. Reads only; a refused read ends it, since a plan from half the facts is unsafe."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from keyless.aws import AWS_FAILURES
from keyless.identity.grants.model import TAG, Asked, Have, HeldAssociation, HeldRole, Way
from keyless.identity.grants.placing import number
from keyless.identity.grants.service import Caller
from keyless.policy.amend import Written


async def gather(asked: Asked, aws: Caller) -> Have:
    """The provider, the roles named as ours would be, and the cluster's associations."""
    listed = await _pages(aws, ("iam", "ListRoles", "Roles"), ("Marker", "Marker"))
    names = [one["RoleName"] for one in listed if any(number(one["RoleName"], wish.role) for wish in asked.wishes)]
    roles = await asyncio.gather(*(_role(aws, name) for name in names))
    audiences = await _audiences(asked, aws) if asked.way is Way.IRSA else ()
    associations = await _associations(asked, aws) if asked.way is Way.PODS else ()
    return Have(audiences, {role.name: role for role in roles}, associations)


async def _role(aws: Caller, name: str) -> HeldRole:
    found = (await aws.call("iam", "GetRole", RoleName=name))["Role"]
    names = (await aws.call("iam", "ListRolePolicies", RoleName=name))["PolicyNames"]
    attached = (await aws.call("iam", "ListAttachedRolePolicies", RoleName=name))["AttachedPolicies"]
    policies: dict[str, Written] = {}
    for one in names:
        policies[one] = (await aws.call("iam", "GetRolePolicy", RoleName=name, PolicyName=one))["PolicyDocument"]
    managed = any(tag["Key"] == TAG for tag in found.get("Tags", ()))
    boundary = found.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn", "")
    return HeldRole(name, found["Arn"], found["AssumeRolePolicyDocument"], managed, policies, bool(attached), boundary)


async def _audiences(asked: Asked, aws: Caller) -> tuple[str, ...] | None:
    arn = asked.cluster.provider_arn
    try:
        found = await aws.call("iam", "GetOpenIDConnectProvider", OpenIDConnectProviderArn=arn)
    except AWS_FAILURES as error:
        if error.code in ("NoSuchEntity", "NoSuchEntityException"):
            return None
        raise
    return tuple(found.get("ClientIDList", ()))


async def _associations(asked: Asked, aws: Caller) -> tuple[HeldAssociation, ...]:
    name = asked.cluster.name
    wanted = {wish.service_account for wish in asked.wishes}
    call = ("eks", "ListPodIdentityAssociations", "associations")
    listed = await _pages(aws, call, ("nextToken", "nextToken"), clusterName=name)
    ids = [one["associationId"] for one in listed if one["serviceAccount"] in wanted]
    reads = [aws.call("eks", "DescribePodIdentityAssociation", clusterName=name, associationId=one) for one in ids]
    return tuple(_held(await asyncio.gather(*reads)))


def _held(answers: list[dict[str, Any]]) -> Iterator[HeldAssociation]:
    for one in (answer["association"] for answer in answers):
        managed = TAG in (one.get("tags") or {})
        yield HeldAssociation(one["associationId"], one["namespace"], one["serviceAccount"], one["roleArn"], managed)


async def _pages(
    aws: Caller, what: tuple[str, str, str], tokens: tuple[str, str], **params: str
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
