"""A follower with all that it needs of AWS. Imported when a WorkloadIdentity is there: most Spaces have none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime

from keyless.aws import Session
from keyless.identity.verify import Cluster
from keyless.identity.verify.aws_facts import AwsFacts
from keyless.identity.verify.kube_facts import KubeFacts, Release
from keyless.identity.verify.model import Unread
from keyless.kube import Kube
from keyless.space.control_planes.ports import ReadValues
from keyless.space.workload_identity.controller import Clusters, Follower
from keyless.space.workload_identity.proof import Proof


def assemble(host: Kube, environ: Mapping[str, str], read_values: ReadValues, now: Callable[[], datetime]) -> Follower:
    """Signed by the operator's own identity."""
    aws = Session.from_environment(environ)

    async def cluster(name: str) -> Cluster | Unread:
        return await AwsFacts(aws).cluster(name, await KubeFacts(host, Release()).issuer())

    return Follower(host, aws, Proof(host, aws), Clusters(cluster), read_values, now=now, pause=asyncio.sleep)
