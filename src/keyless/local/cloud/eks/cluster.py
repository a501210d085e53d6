"""The one cluster: its facts, and the operations that read and tag it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from keyless.local.cloud.authorise import resource_tag_keys, tag_keys
from keyless.local.cloud.call import Call, Target
from keyless.local.cloud.database import Database
from keyless.local.cloud.eks.paging import page
from keyless.local.cloud.eks.versions import PLATFORM, VERSION, described
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.service import Operation, anything

_KIND = "eks-cluster"


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """What does not change while the cloud runs."""

    name: str
    account: str
    region: str
    endpoint: str
    issuer: str
    ca_pem: str

    @property
    def arn(self) -> str:
        """The cluster's ARN."""
        return f"arn:aws:eks:{self.region}:{self.account}:cluster/{self.name}"


def no_cluster(name: str) -> AwsError:
    """ResourceNotFound, in EKS's words."""
    return AwsError("ResourceNotFoundException", f"No cluster found for name: {name}.", status=404)


class ClusterOperations:
    """Describe, list and tag."""

    def __init__(self, database: Database, facts: ClusterFacts, now: float) -> None:
        self._database = database
        self._facts = facts
        if database.get(_KIND, facts.name) is None:
            database.put(_KIND, facts.name, {"created_at": now, "tags": {}})

    def operations(self) -> tuple[Operation, ...]:
        """The table of this part."""
        return (
            Operation("DescribeCluster", self._describe, lambda call: self.target(call, call.params["name"])),
            Operation("ListClusters", self._list),
            Operation("DescribeClusterVersions", self._versions, anything),
        )

    def target(self, call: Call, name: str) -> Target:
        """The cluster called ``name``, for authorisation."""
        arn = call.arn(f"cluster/{name}", service="eks")
        return Target(arn, keys={**resource_tag_keys(self.tags() if arn == self._facts.arn else {}), **_asked(call)})

    def check(self, call: Call, name: str) -> None:
        """Raise unless ``name`` is the cluster, in the region it is in."""
        if name != self._facts.name or call.region != self._facts.region:
            raise no_cluster(name)

    def tags(self) -> dict[str, str]:
        """The cluster's tags."""
        return dict(self._document()["tags"])

    def set_tags(self, tags: dict[str, str]) -> None:
        """Write the cluster's tags."""
        self._database.put(_KIND, self._facts.name, {**self._document(), "tags": tags})

    def _document(self) -> Any:
        return self._database.get(_KIND, self._facts.name)

    def _describe(self, call: Call) -> dict[str, Any]:
        self.check(call, call.params["name"])
        return {"cluster": self._shape()}

    def _shape(self) -> dict[str, Any]:
        facts, document = self._facts, self._document()
        return {
            "name": facts.name,
            "arn": facts.arn,
            "createdAt": document["created_at"],
            "version": VERSION,
            "endpoint": facts.endpoint,
            "roleArn": f"arn:aws:iam::{facts.account}:role/keyless-cluster",
            "resourcesVpcConfig": {
                "subnetIds": [],
                "securityGroupIds": [],
                "vpcId": "vpc-00000000000000000",
                "endpointPublicAccess": True,
                "endpointPrivateAccess": True,
                "publicAccessCidrs": ["127.0.0.0/8"],
            },
            "kubernetesNetworkConfig": {"serviceIpv4Cidr": "10.96.0.0/16", "ipFamily": "ipv4"},
            "logging": {"clusterLogging": []},
            "identity": {"oidc": {"issuer": facts.issuer}},
            "status": "ACTIVE",
            "certificateAuthority": {"data": base64.b64encode(facts.ca_pem.encode()).decode()},
            "platformVersion": PLATFORM,
            "tags": document["tags"],
            "health": {"issues": []},
            "accessConfig": {"bootstrapClusterCreatorAdminPermissions": True, "authenticationMode": "API"},
            "upgradePolicy": {"supportType": "EXTENDED"},
            "deletionProtection": False,
        }

    def _list(self, call: Call) -> dict[str, Any]:
        return {"clusters": [self._facts.name] if call.region == self._facts.region else []}

    def _versions(self, call: Call) -> dict[str, Any]:
        return page("clusterVersions", described(call.params, call.now), call.params)


def _asked(call: Call) -> dict[str, Any]:
    given = call.params.get("tags")
    return dict(tag_keys(given)) if isinstance(given, dict) else {}
