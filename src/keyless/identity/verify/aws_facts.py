"""Read what AWS has of the chain. Reads only: each denied read becomes a fact that names the action it lacked.

The reader needs GetRole, ListRolePolicies, GetRolePolicy, ListAttachedRolePolicies, GetPolicy, GetPolicyVersion,
GetOpenIDConnectProvider and ListOpenIDConnectProviders of IAM, ListRoles where no role is named or there;
DescribeCluster, ListClusters, DescribeAddon, ListPodIdentityAssociations and DescribePodIdentityAssociation of EKS.
GetCallerIdentity needs no permission. Buckets: :mod:`keyless.identity.verify.buckets`; what is behind a resource:
:mod:`keyless.identity.verify.reached`.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from keyless.api import Arn
from keyless.aws import AWS_FAILURES, AwsError, Session, caller_identity
from keyless.identity.verify.model import (
    AGENT_ADDON,
    Association,
    Cluster,
    Facts,
    Provider,
    Role,
    Unread,
)
from keyless.identity.verify.near import resembling
from keyless.identity.verify.pods import is_role_arn
from keyless.policy import Document, Kind, MalformedPolicy, Named, Source, Unreadable, parse
from keyless.policy.amend import Written

T = TypeVar("T")
_DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403", "Forbidden")
# Where the action that is needed has another name than the operation.
_ACTIONS = {
    "HeadBucket": "ListBucket",
    "ListBuckets": "ListAllMyBuckets",
    "GetBucketEncryption": "GetEncryptionConfiguration",
}
_EXPLICIT = re.compile(r"with an explicit deny in ((?:an? |the )?[a-zA-Z -]+)")
_ABSENT = ("NoSuchEntity", "NoSuchEntityException", "ResourceNotFoundException")


class AwsFacts:
    """AWS through one session (the caller's own)."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def caller(self) -> str:
        """The ARN of the caller; empty where AWS does not know them."""
        try:
            return (await caller_identity(self._session)).arn
        except AWS_FAILURES:
            return ""

    async def cluster(self, name: str, issuer: str) -> Cluster | Unread:
        """The account behind the session, and the issuer: the API server's own word, else what EKS says."""
        try:
            caller = await caller_identity(self._session)
            issuer = issuer or await self._issuer(name)
        except AWS_FAILURES as error:
            return Unread(why("eks" if error.operation == "DescribeCluster" else "sts", error))
        partition = Arn.parse(caller.arn).partition
        return Cluster(name, issuer, caller.account, self._session.region, partition)

    async def cluster_fault(self, name: str, issuer: str) -> str:
        """Why the EKS cluster of this name is not the one of ``issuer``; empty where nobody can tell."""
        if not name:
            return ""
        try:
            found = await self._issuer(name)
        except AWS_FAILURES as error:
            return f"no EKS cluster {name}{await self._clusters()}" if error.code in _ABSENT else ""
        differs = bool(issuer and found and issuer != found)
        return f"EKS cluster {name} has the issuer {found}, and this API server {issuer}" if differs else ""

    async def _clusters(self) -> str:
        try:
            names = (await self._session.call("eks", "ListClusters")).get("clusters", [])
        except AWS_FAILURES:
            return ""  # names are a courtesy; that the cluster is missing is the fact
        return f" (there is {', '.join(names)})" if names else ""

    async def _issuer(self, name: str) -> str:
        described = await self._session.call("eks", "DescribeCluster", name=name)
        issuer: str = described["cluster"]["identity"]["oidc"]["issuer"]
        return issuer

    async def providers(self) -> tuple[Provider, ...] | Unread:
        """All OIDC providers of the account (at most 700)."""
        try:
            listed = await self._session.call("iam", "ListOpenIDConnectProviders")
            arns = [item["Arn"] for item in listed.get("OpenIDConnectProviderList", [])]
            return tuple(await asyncio.gather(*(self._provider(arn) for arn in arns)))
        except AWS_FAILURES as error:
            return Unread(why("iam", error))

    async def _provider(self, arn: str) -> Provider:
        found = await self._session.call("iam", "GetOpenIDConnectProvider", OpenIDConnectProviderArn=arn)
        return Provider(arn, found["Url"].removeprefix("https://"), tuple(found.get("ClientIDList", ())))

    async def associations(self, cluster: str, service_account: str) -> tuple[Association, ...] | Unread:
        """The associations of a service account name, in all namespaces."""
        if not cluster:
            return ()
        try:
            listed = await self._associations(cluster, serviceAccount=service_account)
            own = [one for one in listed if one["serviceAccount"] == service_account]
            return tuple(await asyncio.gather(*(self._association(cluster, a["associationId"]) for a in own)))
        except AWS_FAILURES as error:
            return () if error.code in _ABSENT else Unread(why("eks", error))

    async def misspelt(self, cluster: str, namespace: str, service_account: str) -> tuple[Association, ...]:
        """The associations of a namespace for names that resemble a service account's: a courtesy, none if denied."""
        if not cluster:
            return ()
        try:
            listed = await self._associations(cluster, namespace=namespace)
            names = resembling(service_account, {one["serviceAccount"] for one in listed} - {service_account})
            near = [one for one in listed if one["serviceAccount"] in names]
            return tuple(await asyncio.gather(*(self._association(cluster, a["associationId"]) for a in near)))
        except AWS_FAILURES:
            return ()

    async def _associations(self, cluster: str, **chosen: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        page: dict[str, str] = {}
        while True:
            answer = await self._session.call(
                "eks", "ListPodIdentityAssociations", clusterName=cluster, **chosen, **page
            )
            found += answer.get("associations", [])
            if not answer.get("nextToken"):
                return found
            page = {"nextToken": answer["nextToken"]}

    async def _association(self, cluster: str, association_id: str) -> Association:
        answer = await self._session.call(
            "eks", "DescribePodIdentityAssociation", clusterName=cluster, associationId=association_id
        )
        a = answer["association"]
        tags = not a.get("disableSessionTags", False)
        label = f"session policy of association {association_id}"
        bound = document_source(label, a["policy"], "session") if a.get("policy") else None
        target, external = a.get("targetRoleArn") or "", a.get("externalId") or ""
        place = (a["namespace"], a["serviceAccount"], a["roleArn"])
        return Association(association_id, *place, tags, bound, target, external)

    async def agent(self, cluster: str) -> str | Unread | None:
        """The status of the Pod Identity agent's addon."""
        if not cluster:
            return None
        try:
            answer = await self._session.call("eks", "DescribeAddon", clusterName=cluster, addonName=AGENT_ADDON)
        except AWS_FAILURES as error:
            return None if error.code in _ABSENT else Unread(why("eks", error))
        return str(answer["addon"]["status"])

    async def roles(self) -> Mapping[str, Document] | Unread:
        """All roles of the account by ARN, with their trust policies; one that cannot be read is left out."""
        found: dict[str, Document] = {}
        page: dict[str, str] = {}
        try:
            while True:
                answer = await self._session.call("iam", "ListRoles", **page)
                for role in answer.get("Roles", []):
                    try:
                        found[role["Arn"]] = parse(role["AssumeRolePolicyDocument"], "trust")
                    except MalformedPolicy:
                        continue
                if not answer.get("IsTruncated"):
                    return found
                page = {"Marker": answer["Marker"]}
        except AWS_FAILURES as error:
            return Unread(why("iam", error))

    async def first_role(self, facts: Facts, account: str) -> Role | Unread | None:
        """The association's own role, where a target role comes after it."""
        association = facts.association
        return await self.role(association.role_arn, account) if association and association.target_arn else None

    async def role(self, arn: str, account: str) -> Role | Unread | None:
        """The role of exactly that ARN, with its documents."""
        if not is_role_arn(arn):
            return None  # told of where it stands; IAM would answer that no role can have such a name
        named = Arn.parse(arn)
        if account and named.account != account:
            return Unread(f"is of account {named.account}; these credentials are of {account}")
        try:
            found = (await self._session.call("iam", "GetRole", RoleName=arn.rpartition("/")[2]))["Role"]
        except AWS_FAILURES as error:
            return None if error.code in _ABSENT else Unread(why("iam", error))
        if found["Arn"] != arn:
            return None  # the name is there under another path: STS would not find this ARN
        try:
            trust = parse(found["AssumeRolePolicyDocument"], "trust")
        except MalformedPolicy as error:
            return Unread(f"has a trust policy that cannot be read: {error}")
        boundary = found.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn", "")
        inline, attached, limit = await asyncio.gather(
            self._inline(found["RoleName"]),
            self._attached(found["RoleName"]),
            self._managed(boundary, "boundary"),
        )
        tags = {tag["Key"]: tag["Value"] for tag in found.get("Tags", ())}
        documents, unread = inline
        sources = tuple(document_source(f"inline policy {key}", each, "identity") for key, each in documents.items())
        written = Unread(unread[0].why) if unread else documents
        policies = (*sources, *unread, *attached)
        text, unique_id = as_written(found["AssumeRolePolicyDocument"]), found.get("RoleId", "")
        return Role(arn, trust, policies, limit, tags, text, written, unique_id)

    async def _inline(self, role: str) -> tuple[dict[str, Written], tuple[Unreadable, ...]]:
        try:
            listed = await self._pages("ListRolePolicies", "PolicyNames", role)
        except AWS_FAILURES as error:
            return {}, (Unreadable("inline policies", why("iam", error)),)
        read = await asyncio.gather(*(self._inline_policy(role, name) for name in listed))
        documents = {name: one for name, one in zip(listed, read, strict=True) if not isinstance(one, Unreadable)}
        return documents, tuple(one for one in read if isinstance(one, Unreadable))

    async def _inline_policy(self, role: str, name: str) -> Written | Unreadable:
        try:
            answer = await self._session.call("iam", "GetRolePolicy", RoleName=role, PolicyName=name)
        except AWS_FAILURES as error:
            return Unreadable(f"inline policy {name}", why("iam", error))
        return as_written(answer["PolicyDocument"]) or {}

    async def _attached(self, role: str) -> tuple[Source, ...]:
        try:
            listed = await self._pages("ListAttachedRolePolicies", "AttachedPolicies", role)
        except AWS_FAILURES as error:
            return (Unreadable("attached policies", why("iam", error)),)
        found = await asyncio.gather(*(self._managed(item["PolicyArn"], "identity") for item in listed))
        return tuple(source for source in found if source)

    async def _managed(self, arn: str, kind: Kind) -> Source | None:
        if not arn:
            return None
        try:
            version = (await self._session.call("iam", "GetPolicy", PolicyArn=arn))["Policy"]["DefaultVersionId"]
            answer = await self._session.call("iam", "GetPolicyVersion", PolicyArn=arn, VersionId=version)
        except AWS_FAILURES as error:
            return Unreadable(arn, why("iam", error))
        return document_source(arn, answer["PolicyVersion"]["Document"], kind)

    async def _pages(self, operation: str, field: str, role: str) -> list[Any]:
        found: list[Any] = []
        page: dict[str, str] = {}
        while True:
            answer = await self._session.call("iam", operation, RoleName=role, **page)
            found += answer.get(field, [])
            if not answer.get("IsTruncated"):
                return found
            page = {"Marker": answer["Marker"]}


def as_written(document: Any) -> Written | None:
    """A document as JSON has it; botocore decodes it, or leaves it as a text where it cannot."""
    if isinstance(document, str):
        try:
            document = json.loads(document)
        except ValueError:
            return None
    return document if isinstance(document, dict) else None


def document_source(label: str, document: Any, kind: Kind) -> Source:
    """A document as the engine takes it; one that does not parse counts as unreadable."""
    try:
        return Named(label, parse(document, kind))
    except MalformedPolicy as error:
        return Unreadable(label, f"cannot be read: {error}")


def why(service: str, error: AwsError) -> str:
    """ "lacks iam:GetRole", or AWS's words where it was not a matter of rights."""
    if error.code in _DENIED:
        action = f"{service}:{_ACTIONS.get(error.operation, error.operation)}"
        denied = _EXPLICIT.search(error.message)
        if denied:
            return f"not readable: the caller is denied {action} by an explicit Deny in {denied[1]}"
        return f"not readable: the caller lacks {action}"
    return f"not readable: {error.operation} answered {error.code}: {error.message}"
