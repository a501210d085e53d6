"""What ``keyless identity access`` asks: a resource that is there, of an account and a cluster that are seen."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import typer

from keyless.api import Permanent
from keyless.cli.exits import NotSeen

if TYPE_CHECKING:
    from keyless.api import Arn
    from keyless.aws import Session
    from keyless.identity.access import Report


class NotThere(Permanent):
    """The resource is certainly not there, so a word was wrong: an answer about nobody would be misread."""


def question_of(resource: str, actions: list[str]) -> tuple[Arn, tuple[tuple[str, str], ...]]:
    """The ARN and what is asked of it; wrong use where that is nothing."""
    from keyless.cli.explain import warn_of_unlisted
    from keyless.identity.access import Unasked, asked_about, parsed

    for action in actions:
        if not all(action.partition(":")) or "*" in action:
            raise typer.BadParameter(
                f"expected one action such as s3:GetObject, found {action!r}", param_hint="--action"
            )
        warn_of_unlisted(action)
    try:
        arn = parsed(resource)
        return arn, asked_about(arn, actions)
    except Unasked as error:
        raise typer.BadParameter(str(error), param_hint="RESOURCE") from None


async def reached(arn: Arn, asked: tuple[tuple[str, str], ...], cluster_name: str) -> Report:
    """Ask Kubernetes and AWS; raises NotSeen where the account or the cluster is not shown."""
    from keyless.aws import AWS_FAILURES, Session
    from keyless.identity.access import gather, report
    from keyless.identity.verify import Cluster
    from keyless.identity.verify.aws_facts import AwsFacts, why
    from keyless.identity.verify.kube_facts import KubeFacts, Release
    from keyless.kube import connect

    aws = Session.from_environment(os.environ)
    async with connect(os.environ) as kube:
        cluster = await AwsFacts(aws).cluster(cluster_name, await KubeFacts(kube, Release()).issuer())
        if not isinstance(cluster, Cluster):
            raise NotSeen(f"the cluster's issuer and account: {cluster.why}")
        exact = await _there(aws, arn, cluster.account)
        asked = tuple((action, str(exact) if one == str(arn) else one) for action, one in asked)
        owner = await _owner(aws, exact, cluster.account)
        try:
            return report(await gather(kube, aws, cluster, str(exact), asked, owner))
        except AWS_FAILURES as error:
            raise NotSeen(f"the roles and users of account {cluster.account}: {why('iam', error)}") from None


async def _there(aws: Session, arn: Arn, account: str) -> Arn:
    """The resource as AWS names it: a secret's ARN ends in what AWS chose. Raises NotThere, with near names."""
    from keyless.identity.access.finding import exact, missing_role
    from keyless.identity.verify.lookup import missing

    gone = await (missing_role(aws, arn) if arn.service == "iam" else missing(aws, str(arn)))
    if gone is not None:
        near = f"; there is {', '.join(gone.near)}" if gone.near else ""
        raise NotThere(f"expected a resource of account {account} or one that it may see, found no {gone.name}{near}")
    return await exact(aws, arn)


async def _owner(aws: Session, arn: Arn, account: str) -> str:
    """The account of a bucket, whose ARN does not tell it: another one where it certainly is not ours."""
    from keyless.identity.verify.buckets import bucket
    from keyless.identity.verify.model import Bucket

    if arn.service != "s3":
        return arn.account or account
    found = await bucket(aws, arn.resource.partition("/")[0], account)
    return "another" if isinstance(found, Bucket) and found.foreign else account
