"""Gather the evidence of one question from Kubernetes and AWS, with the caller's own rights. Writes nothing.

Beyond what :mod:`keyless.identity.verify` reads of a chain: the policy of the resource (GetBucketPolicy of S3,
GetResourcePolicy of Secrets Manager, GetKeyPolicy of KMS, the trust policy of a role). Policies of an organisation and
of VPC endpoints are not looked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from keyless.api import Access, Arn
from keyless.aws import AWS_FAILURES, Session
from keyless.identity.explain.keys import key_use
from keyless.identity.explain.model import Evidence, Question
from keyless.identity.verify import Cluster, ControlPlane, Facts, Sources, Space, Subject
from keyless.identity.verify.aws_facts import AwsFacts, document_source, why
from keyless.identity.verify.kube_facts import KubeFacts
from keyless.identity.verify.lookup import missing
from keyless.identity.verify.model import Missing, Role, Unread
from keyless.policy import Named, Source, Unreadable


@dataclass(frozen=True, slots=True)
class _Reader:
    """How one service tells the policy of a resource; ``absent`` are the codes for "there is none"."""

    operation: str
    field: str
    absent: tuple[str, ...]


_READERS = {
    "s3": _Reader("GetBucketPolicy", "Policy", ("NoSuchBucketPolicy", "NoSuchBucket")),
    "secretsmanager": _Reader("GetResourcePolicy", "ResourcePolicy", ("ResourceNotFoundException",)),
    "kms": _Reader("GetKeyPolicy", "Policy", ("NotFoundException",)),
}
# They make the resource, or are about none in particular.
_MAKES = frozenset(
    [
        "s3:createbucket",
        "s3:listallmybuckets",
        "secretsmanager:createsecret",
        "secretsmanager:listsecrets",
        "ssm:putparameter",
        "ssm:describeparameters",
        "ssm:getparametersbypath",
    ]
)
# Their resources may have policies, which nothing here reads: better to say so than to leave them out.
_UNREAD_SERVICES = frozenset(
    [
        "backup",
        "codeartifact",
        "dynamodb",
        "ecr",
        "elasticfilesystem",
        "es",
        "events",
        "glue",
        "kinesis",
        "lambda",
        "sns",
        "sqs",
        "s3express",
    ]
)


async def gather(sources: Sources, question: Question, now: float) -> Evidence:
    """Read what bears on ``question``."""
    chain, resource_policy, key, gone = await asyncio.gather(
        _chain(sources, question),
        _resource_policy(sources.aws, question.resource),
        key_use(sources.aws, question),
        _missing(sources.aws, question),
    )
    return Evidence(question, chain, resource_policy, now, key, gone)


async def _missing(aws: Session, question: Question) -> Missing | None:
    """The resource, where it is certainly not there and the action is not the one that makes it."""
    action = question.action.lower()
    service = question.resource.split(":", 3)[2] if question.resource.count(":") >= 5 else ""
    if action in _MAKES or not service or not action.startswith(f"{service}:"):
        return None
    return await missing(aws, question.resource)


async def _chain(sources: Sources, question: Question) -> Facts:
    """The chain of any service account: no control plane has to be behind it."""
    name, namespace = question.service_account, question.namespace
    kube, aws = KubeFacts(sources.kube, sources.release), AwsFacts(sources.aws)
    subject = Subject(f"{namespace}/{name}", name, deployment=name, condition="", enabled="", annotations="")
    place = ControlPlane("", "", namespace, {})
    issuer, workload = await asyncio.gather(kube.issuer(), kube.service_account(place, subject))
    cluster, providers, associations, agent = await asyncio.gather(
        aws.cluster(sources.cluster, issuer),
        aws.providers(),
        aws.associations(sources.cluster, name),
        aws.agent(sources.cluster),
    )
    facts = Facts(
        subject=subject,
        access=_access(question),
        space=Space({}, (), frozenset()),
        control_plane=place,
        workload=workload,
        cluster=cluster,
        providers=providers,
        associations=associations,
        agent=agent,
    )
    account = cluster.account if isinstance(cluster, Cluster) else ""
    return replace(facts, role=await aws.role(facts.role_arn, account)) if facts.role_arn else facts


def _access(question: Question) -> Access | None:
    """What a role that is made for the question needs; nothing where the resource is of another service."""
    service = question.action.partition(":")[0]
    if not question.resource.startswith("arn:") or question.resource.split(":")[2] != service:
        return None
    name = question.service_account
    return Access(name, name, (question.action,), (question.resource,), question.action)


async def _resource_policy(aws: Session, resource: str) -> Source | None:
    try:
        arn = Arn.parse(resource)
    except ValueError:
        return None
    name = f"policy of {resource}"
    if arn.service == "iam" and arn.resource.startswith("role/"):
        return await _trust(aws, resource)
    if arn.service in _UNREAD_SERVICES:
        return Unreadable(name, f"policies of {arn.service} resources are not read")
    reader = _READERS.get(arn.service)
    if reader is None:
        return None
    asked = _parameters(arn)
    if any("*" in value or "?" in value for value in asked.values()):
        return Unreadable(name, "a pattern, not one resource")
    try:
        answer = await aws.call(arn.service, reader.operation, **asked)
    except AWS_FAILURES as error:
        return None if error.code in reader.absent else Unreadable(name, why(arn.service, error))
    text = answer.get(reader.field)
    return document_source(name, text, "resource") if text else None


async def _trust(aws: Session, role: str) -> Source | None:
    found: Role | Unread | None = await AwsFacts(aws).role(role, "")
    if isinstance(found, Unread):
        return Unreadable(f"trust policy of {role}", found.why)
    return Named(f"trust policy of {found.name}", found.trust) if found else None


def _parameters(arn: Arn) -> Mapping[str, Any]:
    if arn.service == "s3":
        return {"Bucket": arn.resource.partition("/")[0]}
    if arn.service == "secretsmanager":
        return {"SecretId": str(arn)}
    return {"KeyId": str(arn), "PolicyName": "default"}
