"""What a cluster here never has: node groups, Fargate profiles, identity providers beside its own issuer, insights.

Tools list these of every cluster and expect an empty answer; making one is an operation that is not here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from keyless.local.cloud.call import Call, Target
from keyless.local.cloud.eks.cluster import ClusterOperations
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.service import Operation


@dataclass(frozen=True, slots=True)
class Absent:
    """One kind: its operations, the member of the list's answer, and the resource that Describe asks about."""

    plural: str
    singular: str
    member: str
    resource: str
    words: str
    named: Callable[[Mapping[str, Any]], str]


KINDS = (
    Absent(
        "Nodegroups",
        "Nodegroup",
        "nodegroups",
        "nodegroup",
        "No node group found for name: {}.",
        lambda params: str(params["nodegroupName"]),
    ),
    Absent(
        "FargateProfiles",
        "FargateProfile",
        "fargateProfileNames",
        "fargateprofile",
        "No Fargate Profile found with name: {}.",
        lambda params: str(params["fargateProfileName"]),
    ),
    Absent(
        "IdentityProviderConfigs",
        "IdentityProviderConfig",
        "identityProviderConfigs",
        "identityproviderconfig",
        "No identity provider config found with name: {}.",
        lambda params: str(params["identityProviderConfig"]["name"]),
    ),
    Absent(
        "Insights",
        "Insight",
        "insights",
        "",
        "No insight found for id: {}.",
        lambda params: str(params["id"]),
    ),
)


class AbsentKinds:
    """Lists that are empty, and descriptions of what is not there."""

    def __init__(self, cluster: ClusterOperations) -> None:
        self._cluster = cluster

    def operations(self) -> tuple[Operation, ...]:
        """The table of this part."""
        return tuple(
            operation
            for kind in KINDS
            for operation in (
                Operation(f"List{kind.plural}", self._lister(kind), self._on_cluster),
                Operation(f"Describe{kind.singular}", self._describer(kind), self._target_of(kind)),
            )
        )

    def _on_cluster(self, call: Call) -> Target:
        return self._cluster.target(call, call.params["clusterName"])

    def _target_of(self, kind: Absent) -> Callable[[Call], Target]:
        """One of a cluster's; an insight has no ARN of its own."""

        def target(call: Call) -> Target:
            if not kind.resource:
                return self._on_cluster(call)
            infix = "oidc/" if kind.resource == "identityproviderconfig" else ""
            path = f"{kind.resource}/{call.params['clusterName']}/{infix}{kind.named(call.params)}/*"
            return Target(call.arn(path, service="eks"))

        return target

    def _lister(self, kind: Absent) -> Callable[[Call], dict[str, Any]]:
        def lists(call: Call) -> dict[str, Any]:
            self._cluster.check(call, call.params["clusterName"])
            return {kind.member: []}

        return lists

    def _describer(self, kind: Absent) -> Callable[[Call], dict[str, Any]]:
        def describes(call: Call) -> dict[str, Any]:
            self._cluster.check(call, call.params["clusterName"])
            raise AwsError("ResourceNotFoundException", kind.words.format(kind.named(call.params)), status=404)

        return describes
