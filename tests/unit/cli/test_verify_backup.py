"""What ``keyless verify backup`` looks at."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from keyless.cli.verifying import BACKUP, backup_access
from keyless.identity.verify import Cluster, ControlPlane, Space
from keyless.kube.memory import MemoryKube
from keyless.kube.resources import CONTROLPLANES
from keyless.space import components

PLANE = ControlPlane("ctp1", "default", "mine", {})


def _kube() -> MemoryKube:
    kube = MemoryKube(now=lambda: datetime(2026, 11, 29, tzinfo=UTC))
    metadata = {"name": "ctp1", "namespace": "default"}
    kube.put(CONTROLPLANES, {"metadata": metadata, "status": {"controlPlaneID": "the-id"}})
    return kube


def test_it_is_the_component_that_the_operator_brings() -> None:
    assert (BACKUP.deployment, BACKUP.service_account) == (
        components.BACKUP,
        components.SERVICE_ACCOUNT_NAMES[components.BACKUP],
    )


@pytest.mark.parametrize("prefix", ["", "b/"])
async def test_it_needs_the_control_planes_own_folder(prefix: str) -> None:
    values = {"backup.storage.aws.bucket": "snapshots", "backup.storage.aws.prefix": prefix}
    cluster = Cluster(account="111122223333", partition="aws-cn", region="cn-north-1", issuer="", name="")
    found = await backup_access(_kube())(Space(values, (), frozenset({"mine"})), PLANE, cluster)
    assert found is not None
    assert found.resources == (f"arn:aws-cn:s3:::snapshots/{prefix}controlplane=the-id/*",)
    assert found.actions == ("s3:PutObject", "s3:GetObject", "s3:DeleteObject")


async def test_without_a_bucket_there_is_nothing_to_need() -> None:
    cluster = Cluster(account="111122223333", partition="aws", region="us-west-2", issuer="", name="")
    assert await backup_access(_kube())(Space({}, (), frozenset({"mine"})), PLANE, cluster) is None
