"""EKS as a service: its parts put together."""

from __future__ import annotations

from keyless.local.cloud.database import Database
from keyless.local.cloud.eks.absent import AbsentKinds
from keyless.local.cloud.eks.access_entries import AccessEntries, AccessPolicies
from keyless.local.cloud.eks.addons import Addons
from keyless.local.cloud.eks.associations import Associations
from keyless.local.cloud.eks.cluster import ClusterFacts, ClusterOperations
from keyless.local.cloud.eks.projection import Projection
from keyless.local.cloud.eks.tags import Tagged, Tags
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.iam.directory import Directory
from keyless.local.cloud.service import Service


class Eks:
    """EKS with its one cluster."""

    def __init__(
        self, database: Database, facts: ClusterFacts, directory: Directory, *, projection: Projection, now: float
    ) -> None:
        self._facts = facts
        self._cluster = ClusterOperations(database, facts, now)
        self.associations = Associations(database, facts, self._cluster, projection, directory)
        self._addons = Addons(database, facts, self._cluster, self.associations, projection)
        self._addons.make_first(now)
        self.entries = AccessEntries(database, facts, self._cluster, projection, directory)
        self._policies = AccessPolicies(self.entries, facts.name, projection)

    def service(self) -> Service:
        """The table of EKS."""
        return Service(
            "eks",
            operations=(
                *self._cluster.operations(),
                *AbsentKinds(self._cluster).operations(),
                *self._addons.operations(),
                *self.associations.operations(),
                *self.entries.operations(),
                *self._policies.operations(),
                *Tags(self._tagged()).operations(),
            ),
            invalid=lambda text: AwsError("InvalidParameterException", text, status=400),
        )

    def _tagged(self) -> tuple[Tagged, ...]:
        return _ClusterTags(self._facts, self._cluster), self._addons, self.associations, self.entries


class _ClusterTags:
    """The cluster as something that has tags."""

    def __init__(self, facts: ClusterFacts, cluster: ClusterOperations) -> None:
        self._facts = facts
        self._cluster = cluster

    def tags_of(self, arn: str) -> dict[str, str] | None:
        return self._cluster.tags() if arn == self._facts.arn else None

    def set_tags_of(self, arn: str, tags: dict[str, str]) -> None:
        assert arn == self._facts.arn
        self._cluster.set_tags(tags)
