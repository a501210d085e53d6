"""Gather the evidence of one question from Kubernetes and AWS, with the caller's own rights. Writes nothing.

Beyond what :mod:`keyless.identity.verify` reads of a chain: the policy of the resource (GetBucketPolicy of S3,
GetResourcePolicy of Secrets Manager, GetKeyPolicy of KMS, the trust policy of a role). Policies of an organisation and
of VPC endpoints are not looked for.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from keyless.api import Access, KeylessError, Permanent
from keyless.aws import Session
from keyless.identity.explain.model import Evidence, Question
from keyless.identity.verify import Cluster, ControlPlane, Facts, Sources, Space, Subject
from keyless.identity.verify.aws_facts import AwsFacts
from keyless.identity.verify.behind import Reached
from keyless.identity.verify.keys import key_use
from keyless.identity.verify.kube_facts import KubeFacts
from keyless.identity.verify.lookup import missing
from keyless.identity.verify.model import Missing
from keyless.identity.verify.reached import deletion_of
from keyless.identity.verify.resource_policies import resource_policy
from keyless.kube import ApiError

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


# Secrets Manager refuses them for a secret that waits for its deletion.
_OF_A_VALUE = ("secretsmanager:getsecretvalue", "secretsmanager:putsecretvalue", "secretsmanager:updatesecret")


async def gather(sources: Sources, question: Question, now: float) -> Evidence:
    """Read what bears on ``question``."""
    chain, policy, key, gone, deleted = await asyncio.gather(
        _chain(sources, question),
        resource_policy(sources.aws, question.resource),
        key_use(sources.aws, question.action, question.resource),
        _missing(sources.aws, question),
        _deletion(sources.aws, question),
    )
    keys = {} if key is None else {question.action: key}
    behind = {question.resource: Reached(question.resource, policy, keys, deleted)}
    return Evidence(question, replace(chain, now=now, reached=behind), policy, key, gone, deleted)


async def _deletion(aws: Session, question: Question) -> str:
    about_the_value = question.action.lower() in _OF_A_VALUE and question.resource.startswith("arn:")
    return await deletion_of(aws, question.resource) if about_the_value else ""


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
    cluster, providers, associations, agent, caller = await asyncio.gather(
        aws.cluster(sources.cluster, issuer),
        aws.providers(),
        aws.associations(sources.cluster, name),
        aws.agent(sources.cluster),
        aws.caller(),
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
        caller=caller,
    )
    if not facts.role_arn:
        facts = replace(facts, misspelt=await aws.misspelt(sources.cluster, namespace, name))
        return replace(facts, cluster_fault=await _of_a_control_plane(kube, facts))
    account = cluster.account if isinstance(cluster, Cluster) else ""
    role, through = await asyncio.gather(aws.role(facts.role_arn, account), aws.first_role(facts, account))
    facts = replace(facts, role=role, through=through)
    return replace(facts, roles=await aws.roles()) if role is None else facts


async def _of_a_control_plane(kube: KubeFacts, facts: Facts) -> str:
    """Whether the wrong API may have been asked: raises Permanent where it does not know the service account either.

    A person in a control plane's own shell asks there for a service account of the host, and would be told "Denied".
    """
    try:
        await kube.control_planes()
    except ApiError:
        return ""  # who may not list ControlPlanes may still ask about a service account
    except Permanent as error:
        if facts.workload is None or facts.workload.annotations is None:
            raise
        return str(error)
    except KeylessError:
        return ""
    return ""


def _access(question: Question) -> Access | None:
    """What a role that is made for the question needs; nothing where the resource is of another service."""
    service = question.action.partition(":")[0]
    if not question.resource.startswith("arn:") or question.resource.split(":")[2] != service:
        return None
    name = question.service_account
    return Access(name, name, (question.action,), (question.resource,), question.action)
