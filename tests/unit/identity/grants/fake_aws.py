"""IAM and EKS as grants meet them: what they hold, what they refuse."""

# AWS spells its operations and parameters so.
# ruff: noqa: N803

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

from keyless.aws import AwsPermanent, AwsTransient
from keyless.aws.errors import Said

ACCOUNT = "111122223333"


class FakeAws:
    """``failures`` are raised in turn by writes; ``tells_all``: whether the caller may read the whole account."""

    def __init__(self) -> None:
        self.roles: dict[str, dict[str, Any]] = {}
        self.policies: dict[str, dict[str, Any]] = {}
        self.providers: dict[str, list[str]] = {}
        self.urls: dict[str, str] = {}
        self.associations: dict[str, dict[str, Any]] = {}
        self.failures: list[Exception] = []
        self.writes = self.reads = 0
        self.tells_all = True

    async def call(self, service: str, operation: str, /, **params: Any) -> dict[str, Any]:
        if not operation.startswith(("Get", "List", "Describe")):
            if self.failures:
                raise self.failures.pop(0)
            self.writes += 1
        else:
            self.reads += 1
        found: Callable[..., dict[str, Any]] = getattr(self, f"_{operation}")
        return copy.deepcopy(found(**params))

    def _ListRoles(self, MaxItems: int, Marker: str = "0") -> dict[str, Any]:
        assert MaxItems == 1000
        start, found = int(Marker), list(self.roles)
        more = {"IsTruncated": True, "Marker": str(start + 40)} if start + 40 < len(found) else {"IsTruncated": False}
        return {"Roles": [{"RoleName": name} for name in found[start : start + 40]], **more}

    def _role(self, name: str) -> dict[str, Any]:
        if name not in self.roles:
            raise refused("NoSuchEntity", f"The role with name {name} cannot be found.")
        return self.roles[name]

    def _GetRole(self, RoleName: str) -> dict[str, Any]:
        return {"Role": self._role(RoleName)}

    def _GetAccountAuthorizationDetails(self, Filter: list[str], MaxItems: int, Marker: str = "0") -> dict[str, Any]:
        if not self.tells_all:
            raise refused("AccessDenied", "not authorized to perform: iam:GetAccountAuthorizationDetails")
        assert (Filter, MaxItems) == (["Role"], 1000)
        start, found = int(Marker), list(self.roles)
        listed = [self._detail(name) for name in found[start : start + 30]]  # AWS may give fewer than were asked for
        more = {"IsTruncated": True, "Marker": str(start + 30)} if start + 30 < len(found) else {"IsTruncated": False}
        return {"RoleDetailList": listed, **more}

    def _detail(self, name: str) -> dict[str, Any]:
        policies = [{"PolicyName": one, "PolicyDocument": text} for one, text in self.policies[name].items()]
        return {**self.roles[name], "RolePolicyList": policies, "AttachedManagedPolicies": []}

    def _ListRolePolicies(self, RoleName: str) -> dict[str, Any]:
        return {"PolicyNames": list(self.policies[RoleName])}

    def _ListAttachedRolePolicies(self, RoleName: str) -> dict[str, Any]:
        return {"AttachedPolicies": []}

    def _GetRolePolicy(self, RoleName: str, PolicyName: str) -> dict[str, Any]:
        return {"PolicyDocument": self.policies[RoleName][PolicyName]}

    def _CreateRole(self, RoleName: str, AssumeRolePolicyDocument: str, **rest: Any) -> dict[str, Any]:
        trust = json.loads(AssumeRolePolicyDocument)
        arn = f"arn:aws:iam::{ACCOUNT}:role/{RoleName}"
        self.roles[RoleName] = {"RoleName": RoleName, "Arn": arn, "AssumeRolePolicyDocument": trust, **rest}
        self.policies[RoleName] = {}
        return {}

    def _UpdateAssumeRolePolicy(self, RoleName: str, PolicyDocument: str) -> dict[str, Any]:
        self._role(RoleName)["AssumeRolePolicyDocument"] = json.loads(PolicyDocument)
        return {}

    def _PutRolePolicy(self, RoleName: str, PolicyName: str, PolicyDocument: str) -> dict[str, Any]:
        self._role(RoleName)
        self.policies[RoleName][PolicyName] = json.loads(PolicyDocument)
        return {}

    def _DeleteRolePolicy(self, RoleName: str, PolicyName: str) -> dict[str, Any]:
        del self.policies[RoleName][PolicyName]
        return {}

    def _DeleteRole(self, RoleName: str) -> dict[str, Any]:
        assert not self.policies.pop(RoleName)
        del self.roles[RoleName]
        return {}

    def _GetOpenIDConnectProvider(self, OpenIDConnectProviderArn: str) -> dict[str, Any]:
        if OpenIDConnectProviderArn not in self.providers:
            raise refused("NoSuchEntity", "OpenIDConnect Provider not found")
        url = self.urls.get(OpenIDConnectProviderArn, OpenIDConnectProviderArn.partition(":oidc-provider/")[2])
        return {"ClientIDList": self.providers[OpenIDConnectProviderArn], "Url": url}

    def _CreateOpenIDConnectProvider(self, Url: str, ClientIDList: list[str], Tags: Any) -> dict[str, Any]:
        self.providers[f"arn:aws:iam::{ACCOUNT}:oidc-provider/{Url.removeprefix('https://')}"] = ClientIDList
        return {}

    def _AddClientIDToOpenIDConnectProvider(self, OpenIDConnectProviderArn: str, ClientID: str) -> dict[str, Any]:
        self.providers[OpenIDConnectProviderArn].append(ClientID)
        return {}

    def _ListPodIdentityAssociations(self, clusterName: str) -> dict[str, Any]:
        return {"associations": list(self.associations.values())}

    def _DescribePodIdentityAssociation(self, clusterName: str, associationId: str) -> dict[str, Any]:
        return {"association": self.associations[associationId]}

    def _CreatePodIdentityAssociation(self, **params: Any) -> dict[str, Any]:
        name = f"a-{len(self.associations)}{params['namespace']}"
        self.associations[name] = {"associationId": name, **params}
        return {}

    def _DeletePodIdentityAssociation(self, clusterName: str, associationId: str) -> dict[str, Any]:
        del self.associations[associationId]
        return {}


def refused(code: str, message: str) -> AwsPermanent:
    """A refusal in AWS's words."""
    return AwsPermanent(Said("Call", code, message))


def throttled() -> AwsTransient:
    """AWS asks to wait."""
    return AwsTransient(Said("Call", "Throttling", "Rate exceeded"))
