"""Gather what an access report rests on, with the caller's own rights. Reads only, and no value of a secret.

Of AWS: GetAccountAuthorizationDetails (one call for 1,000 of the account's roles, users, groups and policies),
ListAccessKeys and GetAccessKeyLastUsed of users who reach the resource, associations, the resource's policy and the key
behind it. Of Kubernetes: service accounts, pods, roles and bindings of the whole cluster, and where keys are named.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from keyless.api import KeylessError
from keyless.aws import AWS_FAILURES, Session
from keyless.identity.access.holders import holders_of
from keyless.identity.access.keeping import kept_keys
from keyless.identity.access.model import Account, Evidence, Rbac, StaticKey
from keyless.identity.verify.aws_facts import why
from keyless.identity.verify.keys import key_uses
from keyless.identity.verify.model import ANNOTATION, Association, Cluster
from keyless.identity.verify.resource_policies import resource_policy
from keyless.kube import Kube, KubeObject, Resource
from keyless.kube.resources import CLUSTERROLEBINDINGS, CLUSTERROLES, PODS, ROLEBINDINGS, ROLES, SERVICEACCOUNTS

_PAGE = 1000


async def gather(
    kube: Kube, aws: Session, cluster: Cluster, resource: str, asked: tuple[tuple[str, str], ...], owner: str = ""
) -> Evidence:
    """Read what bears on the pairs of action and resource; raises what AWS answers where the account is not shown."""
    resources = list(dict.fromkeys(one for _, one in asked))
    details, policies, keys, associations, (accounts, rbac, kept, unread) = await asyncio.gather(
        _details(aws),
        asyncio.gather(*(resource_policy(aws, one.removesuffix("/*")) for one in resources)),
        key_uses(aws, [(action, one.removesuffix("/*")) for action, one in asked]),
        _associations(aws, cluster.name),
        _of_kubernetes(kube),
    )
    held, not_associated = associations
    evidence = Evidence(
        resource=resource,
        account=cluster.account,
        asked=asked,
        holders=tuple(holders_of(details)),
        cluster=cluster,
        policies=dict(zip(resources, policies, strict=True)),
        keys={pair: use for pair, use in zip(asked, keys, strict=True) if use is not None},
        accounts=accounts,
        associations=held,
        rbac=rbac,
        kept_keys=kept,
        unread=(*unread, *not_associated),
        owner=owner,
    )
    return await _with_keys(aws, evidence)


async def _details(aws: Session) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    page: dict[str, Any] = {}
    while True:
        answer = await aws.call("iam", "GetAccountAuthorizationDetails", MaxItems=_PAGE, **page)
        for field in ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies"):
            found.setdefault(field, []).extend(answer.get(field) or ())
        if not answer.get("IsTruncated"):
            return found
        page = {"Marker": answer["Marker"]}


async def _associations(aws: Session, cluster: str) -> tuple[tuple[Association, ...], tuple[str, ...]]:
    """All of the cluster's; no list tells their roles, so each is read."""
    if not cluster:
        return (), ()
    ids: list[str] = []
    page: dict[str, str] = {}
    try:
        while True:
            listed = await aws.call("eks", "ListPodIdentityAssociations", clusterName=cluster, **page)
            ids += [one["associationId"] for one in listed.get("associations") or ()]
            if not listed.get("nextToken"):
                break
            page = {"nextToken": listed["nextToken"]}
        read = await asyncio.gather(
            *(aws.call("eks", "DescribePodIdentityAssociation", clusterName=cluster, associationId=one) for one in ids)
        )
    except AWS_FAILURES as error:
        if error.code in ("ResourceNotFoundException",):
            return (), ()  # not an EKS cluster
        return (), (f"associations of cluster {cluster}: {why('eks', error)}",)
    made = [answer["association"] for answer in read]
    return tuple(one for each in made for one in _association(each)), ()


def _association(one: Mapping[str, Any]) -> list[Association]:
    """With a target role, the pod's session is the target's; it has passed through the other."""
    place = (one["associationId"], one["namespace"], one["serviceAccount"])
    roles = [one["roleArn"], *([one["targetRoleArn"]] if one.get("targetRoleArn") else [])]
    return [Association(*place, role, not one.get("disableSessionTags", False), None) for role in roles]


async def _of_kubernetes(kube: Kube) -> tuple[tuple[Account, ...], Rbac, tuple[StaticKey, ...], tuple[str, ...]]:
    wanted = (SERVICEACCOUNTS, PODS, CLUSTERROLES, CLUSTERROLEBINDINGS, ROLES, ROLEBINDINGS)
    read = await asyncio.gather(*(_listed(kube, one) for one in wanted))
    accounts, pods, *rbac = (items for items, _ in read)
    kept, not_kept = await kept_keys(kube, pods)
    unread = (*(word for _, word in read if word), *not_kept)
    return _accounts(accounts, pods), Rbac(*(tuple(one) for one in rbac)), kept, unread


async def _listed(kube: Kube, resource: Resource) -> tuple[list[KubeObject], str]:
    try:
        return (await kube.list(resource)).items, ""
    except KeylessError as error:
        return [], f"{resource.plural} of the cluster: {error}"


def _accounts(accounts: list[KubeObject], pods: list[KubeObject]) -> tuple[Account, ...]:
    running: dict[tuple[str, str], list[str]] = {}
    for pod in pods:
        place = (pod["metadata"]["namespace"], (pod.get("spec") or {}).get("serviceAccountName") or "default")
        running.setdefault(place, []).append(pod["metadata"]["name"])
    found = []
    for one in accounts:
        place = (one["metadata"]["namespace"], one["metadata"]["name"])
        names = (one["metadata"].get("annotations") or {}).get(ANNOTATION, "")
        found.append(Account(*place, names, tuple(sorted(running.get(place, ())))))
    return tuple(found)


async def _with_keys(aws: Session, evidence: Evidence) -> Evidence:
    """The access keys of users who reach it, or may become who does: the others' say nothing of this resource."""
    from keyless.identity.access.plan import report

    users = [one.holder for one in report(evidence).reaches if not one.holder.is_role]
    read = await asyncio.gather(*(_keys(aws, one.name) for one in users))
    keys = {user.name: found for user, (found, _) in zip(users, read, strict=True)}
    return replace(evidence, user_keys=keys, unread=(*evidence.unread, *(word for _, word in read if word)))


async def _keys(aws: Session, user: str) -> tuple[tuple[StaticKey, ...], str]:
    try:
        listed = (await aws.call("iam", "ListAccessKeys", UserName=user)).get("AccessKeyMetadata") or ()
        active = [one["AccessKeyId"] for one in listed if one.get("Status") == "Active"]
        used = await asyncio.gather(*(_used(aws, one) for one in active))
    except AWS_FAILURES as error:
        return (), f"access keys of user {user}: {why('iam', error)}"
    return tuple(
        StaticKey(f"access key {key} of user {user}", word) for key, word in zip(active, used, strict=True)
    ), ""


async def _used(aws: Session, key: str) -> str:
    try:
        found = (await aws.call("iam", "GetAccessKeyLastUsed", AccessKeyId=key)).get("AccessKeyLastUsed") or {}
    except AWS_FAILURES as error:
        return why("iam", error)  # that the key is active is the fact
    last = found.get("LastUsedDate")
    if not isinstance(last, datetime):
        return "never used"
    return f"last used {last.date().isoformat()} for {found.get('ServiceName', '?')}"
