"""``AWS::EKS::PodIdentityAssociation``. Its creation carries a token, so that a repeated step finds what was made.

Spec: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-eks-podidentityassociation.html
"""

from __future__ import annotations

from typing import Any

from keyless.local.cloud.cloudformation.kinds.kind import Draft, Flow, Made, Request, tags_of
from keyless.local.cloud.cloudformation.model import Resource

_GONE = frozenset({"ResourceNotFoundException"})
_OPTIONS = {"DisableSessionTags": "disableSessionTags", "Policy": "policy", "TargetRoleArn": "targetRoleArn"}


class PodIdentityAssociation:
    """Which role the pods of a service account get."""

    type = "AWS::EKS::PodIdentityAssociation"
    required = frozenset({"ClusterName", "Namespace", "RoleArn", "ServiceAccount"})
    optional = frozenset({"Tags", *_OPTIONS})
    immutable = frozenset({"ClusterName", "Namespace", "ServiceAccount"})
    attributes = frozenset({"AssociationArn", "AssociationId", "ExternalId"})
    name_property = ""
    is_iam = False
    is_atomic = False
    longest_name = 63

    def create(self, draft: Draft) -> Flow:
        """CreatePodIdentityAssociation."""
        given = draft.properties
        params: dict[str, Any] = {
            "clusterName": given["ClusterName"],
            "namespace": given["Namespace"],
            "serviceAccount": given["ServiceAccount"],
            "roleArn": given["RoleArn"],
            "clientRequestToken": draft.token,
        }
        if tags := tags_of(given):
            params["tags"] = tags
        params |= {option: given[name] for name, option in _OPTIONS.items() if name in given}
        made = (yield Request("eks", "CreatePodIdentityAssociation", params))["association"]
        return _made(made)

    def update(self, old: Resource, draft: Draft) -> Flow:
        """UpdatePodIdentityAssociation, with every property that may change."""
        given = draft.properties
        params: dict[str, Any] = {
            "clusterName": given["ClusterName"],
            "associationId": old.attributes["AssociationId"],
            "roleArn": given["RoleArn"],
            "disableSessionTags": given.get("DisableSessionTags", False),
            "policy": given.get("Policy", ""),
            "targetRoleArn": given.get("TargetRoleArn", ""),
        }
        made = (yield Request("eks", "UpdatePodIdentityAssociation", params))["association"]
        return _made(made)

    def delete(self, old: Resource) -> Flow:
        """DeletePodIdentityAssociation."""
        where = {"clusterName": old.properties["ClusterName"], "associationId": old.attributes["AssociationId"]}
        yield Request("eks", "DeletePodIdentityAssociation", where, _GONE)
        return Made("")


def _made(found: Any) -> Made:
    attributes = {"AssociationArn": found["associationArn"], "AssociationId": found["associationId"]}
    if "externalId" in found:
        attributes["ExternalId"] = found["externalId"]
    return Made(found["associationArn"], attributes)
