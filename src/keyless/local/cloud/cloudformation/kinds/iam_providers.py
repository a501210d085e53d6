"""``AWS::IAM::OIDCProvider``.

Spec: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-iam-oidcprovider.html
"""

from __future__ import annotations

from typing import Any

from keyless.local.cloud.cloudformation.kinds.iam_identities import GONE
from keyless.local.cloud.cloudformation.kinds.kind import (
    Draft,
    Flow,
    Made,
    Request,
    as_list,
    changed,
    difference,
)
from keyless.local.cloud.cloudformation.model import Resource


class IamOidcProvider:
    """An OpenID Connect provider."""

    type = "AWS::IAM::OIDCProvider"
    required = frozenset[str]()
    optional = frozenset({"ClientIdList", "Tags", "ThumbprintList", "Url"})
    immutable = frozenset({"Url"})
    attributes = frozenset({"Arn"})
    name_property = ""
    is_iam = False
    is_atomic = True
    longest_name = 255

    def create(self, draft: Draft) -> Flow:
        """CreateOpenIDConnectProvider."""
        given = draft.properties
        params: dict[str, Any] = {"Url": given.get("Url", ""), "ClientIDList": as_list(given.get("ClientIdList"))}
        if thumbprints := as_list(given.get("ThumbprintList")):
            params["ThumbprintList"] = thumbprints
        if tags := as_list(given.get("Tags")):
            params["Tags"] = tags
        arn = (yield Request("iam", "CreateOpenIDConnectProvider", params))["OpenIDConnectProviderArn"]
        return Made(arn, {"Arn": arn})

    def update(self, old: Resource, draft: Draft) -> Flow:
        """Client ids one by one, thumbprints all at once."""
        arn, was, given = old.physical_id, old.properties, draft.properties
        moved = difference(as_list(was.get("ClientIdList")), as_list(given.get("ClientIdList")))
        for client_id in moved.come:
            params = {"OpenIDConnectProviderArn": arn, "ClientID": client_id}
            yield Request("iam", "AddClientIDToOpenIDConnectProvider", params)
        for client_id in moved.gone:
            params = {"OpenIDConnectProviderArn": arn, "ClientID": client_id}
            yield Request("iam", "RemoveClientIDFromOpenIDConnectProvider", params)
        for _ in changed(was, given, "ThumbprintList"):
            thumbprints = as_list(given.get("ThumbprintList"))
            listed = {"OpenIDConnectProviderArn": arn, "ThumbprintList": thumbprints}
            yield Request("iam", "UpdateOpenIDConnectProviderThumbprint", listed)
        if tags := as_list(given.get("Tags")):
            yield Request("iam", "TagOpenIDConnectProvider", {"OpenIDConnectProviderArn": arn, "Tags": tags})
        return Made(arn, old.attributes)

    def delete(self, old: Resource) -> Flow:
        """DeleteOpenIDConnectProvider."""
        yield Request("iam", "DeleteOpenIDConnectProvider", {"OpenIDConnectProviderArn": old.physical_id}, GONE)
        return Made("")
