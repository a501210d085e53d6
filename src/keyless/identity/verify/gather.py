"""Gather the facts of chains, from Kubernetes and AWS, with the caller's own rights. Writes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from keyless.api import Access, Arn
from keyless.api.places import bucket_fault
from keyless.aws import Session
from keyless.identity.verify.around_facts import around_all, around_one
from keyless.identity.verify.aws_facts import AwsFacts
from keyless.identity.verify.behind import Reached
from keyless.identity.verify.buckets import bucket
from keyless.identity.verify.kube_facts import KubeFacts, Release
from keyless.identity.verify.lookup import missing
from keyless.identity.verify.model import (
    Bounds,
    Bucket,
    Cluster,
    ControlPlane,
    Facts,
    Missing,
    Space,
    Subject,
    Unread,
    Waiting,
)
from keyless.identity.verify.once import Once
from keyless.identity.verify.reached import crypted_with, reached, signed_with
from keyless.kube import Kube

_MOST_LOOKED_UP = 100
"""A call for each: beyond this many, a missing one is left to the component's own report."""
AccessOf = Callable[[Space, ControlPlane, Cluster], Awaitable[Access | None]]
"""What the component must reach for a control plane; ``None`` where it has nothing to reach yet."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Whom to ask. ``cluster`` is the EKS name; empty off EKS, where there are no associations."""

    kube: Kube
    aws: Session
    cluster: str
    release: Release = field(default_factory=Release)


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which control planes: one by ``name`` (in group ``default`` unless told), all of a ``group``, or all."""

    name: str = ""
    group: str = ""

    def has(self, plane: ControlPlane | Waiting) -> bool:
        """Whether it is one of them."""
        group = self.group or ("default" if self.name else plane.group)
        return plane.group == group and plane.name == (self.name or plane.name)

    @property
    def words(self) -> str:
        """``ControlPlane ctp1 in group default``."""
        place = self.group or ("default" if self.name else "")
        return f"ControlPlane{f' {self.name}' if self.name else ''}{f' in group {place}' if place else ''}"


BoundsOf = Callable[[Space, ControlPlane, Cluster], Bounds | None]
"""What the component lets others ask of its role; ``None`` for one that nobody asks."""


def unbounded(_space: Space, _plane: ControlPlane, _cluster: Cluster) -> Bounds | None:
    """Nobody asks the component for anything."""
    return None


@dataclass(frozen=True, slots=True)
class Needs:
    """What is declared of a component."""

    access_of: AccessOf
    bounds_of: BoundsOf = unbounded


async def gather(sources: Sources, subject: Subject, chosen: Chosen, needs: Needs, now: float = 0.0) -> list[Facts]:
    """The facts of each chosen chain; one without a control plane when the chosen one is not there.

    ``now``: seconds since 1970, for policies that hold for a time.
    """
    sources = replace(sources, aws=Once(sources.aws))
    kube, aws = KubeFacts(sources.kube, sources.release), AwsFacts(sources.aws)
    planes = await kube.control_planes()
    space, issuer = await asyncio.gather(kube.space(planes), kube.issuer())
    cluster, providers, associations, agent, caller, around = await asyncio.gather(
        aws.cluster(sources.cluster, issuer),
        aws.providers(),
        aws.associations(sources.cluster, subject.service_account),
        aws.agent(sources.cluster),
        aws.caller(),
        around_all(sources.kube),
    )
    common = Facts(
        subject=subject,
        access=None,
        space=space,
        control_plane=None,
        workload=None,
        cluster=cluster,
        providers=providers,
        associations=associations,
        agent=agent,
        caller=caller,
        around=around,
        now=now,
    )
    common = replace(common, cluster_fault=await aws.cluster_fault(sources.cluster, issuer))
    if subject.of_space:
        namespace = sources.release.namespace
        # Its own namespace is the one that trust may name.
        common = replace(common, space=replace(space, host_namespaces=frozenset({namespace})))
        return [await _chain(sources, common, ControlPlane("", "", namespace, {}), needs)]
    wanted = [plane for plane in planes if chosen.has(plane)]
    # One that the operator has not seen yet is nobody's failure, unless somebody asks for it by name.
    waiting = [plane for plane in await kube.waiting() if chosen.has(plane) and (plane.reason or chosen.name)]
    unplaced = [replace(common, waits=plane) for plane in waiting]
    if not wanted and not unplaced:
        known = tuple(f"{plane.group}/{plane.name}" for plane in planes)
        return [replace(common, sought=chosen.words, known=known)]
    return [*await asyncio.gather(*(_chain(sources, common, plane, needs) for plane in wanted)), *unplaced]


async def _chain(sources: Sources, common: Facts, plane: ControlPlane, needs: Needs) -> Facts:
    kube, aws = KubeFacts(sources.kube, sources.release), AwsFacts(sources.aws)
    look = kube.scheduled if common.subject.of_space else kube.workload
    facts = replace(common, control_plane=plane, workload=await look(plane, common.subject))
    around = await around_one(sources.kube, common.around, plane, common.subject, facts.pods)
    facts = replace(facts, around=around)
    account = ""
    if isinstance(facts.cluster, Cluster):
        account = facts.cluster.account
        bounds = needs.bounds_of(facts.space, plane, facts.cluster)
        facts = replace(facts, access=await needs.access_of(facts.space, plane, facts.cluster), bounds=bounds)
    facts = replace(facts, bucket=await _bucket(sources.aws, facts, account))
    facts = replace(facts, gone=await _gone(sources.aws, facts.access))
    facts = replace(facts, reached=await _reached(sources.aws, facts))
    if facts.role_arn:
        role, through = await asyncio.gather(aws.role(facts.role_arn, account), aws.first_role(facts, account))
        facts = replace(facts, role=role, through=through)
    else:
        account_name = common.subject.service_account
        facts = replace(facts, misspelt=await aws.misspelt(sources.cluster, plane.host_namespace, account_name))
    return replace(facts, roles=await aws.roles()) if facts.role is None else facts


async def _gone(aws: Session, access: Access | None) -> tuple[Missing, ...]:
    """The secrets and parameters that are not there; the bucket has a look of its own."""
    patterns = [each for each in (access.resources if access else ()) if Arn.parse(each).service != "s3"]
    looked = await asyncio.gather(*(missing(aws, each) for each in patterns[:_MOST_LOOKED_UP]))
    return tuple(one for one in looked if one is not None)


async def _reached(aws: Session, facts: Facts) -> dict[str, Reached]:
    """What stands behind what the component needs; a bucket that is not there, or not AWS's, has nothing behind it."""
    if facts.access is None:
        return {}
    asked = isinstance(facts.bucket, Bucket | Unread)
    patterns = [each for each in facts.access.resources if asked or Arn.parse(each).service != "s3"]
    found = await reached(aws, facts.access, patterns[:_MOST_LOOKED_UP])
    return {**found, **await signed_with(aws, facts.access), **await crypted_with(aws, facts.access)}


async def _bucket(aws: Session, facts: Facts, account: str) -> Bucket | Missing | Unread | None:
    """Where the values say that the component stores; a store that is not AWS's own is not asked."""
    section, values = facts.subject.storage, facts.space.values
    name = values.get(f"{section}.aws.bucket", "")
    if not section or values.get(f"{section}.aws.endpoint") or not name or bucket_fault(name):
        return None
    return await bucket(aws, name, account)
