"""Grants of a thousand control planes: how long a plan takes, and how many calls of AWS it needs; beside the roles."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

from keyless.aws import AwsPermanent
from keyless.aws.errors import Said
from keyless.identity.grants import Asked, Have, Mode, Way, Wish, gather, plan
from keyless.identity.verify import Cluster
from tests.bench.row import Row

ACCOUNT = "111122223333"
PLANES = 1000
CLUSTER = Cluster("prod", "https://oidc.eks.eu-west-1.amazonaws.com/id/ABCDEF", ACCOUNT, "eu-west-1")
DATA = {"Sid": "KeylessData", "Effect": "Allow", "Action": ["s3:PutObject"], "Resource": ["arn:aws:s3:::usage/*"]}
WISHES = {"billing": "vector", "shared-secrets": "external-secrets-controller"}


class Held:
    """AWS as the plan left it, with answers at once; ``calls`` counts them."""

    def __init__(self, wanted: Asked | None = None) -> None:
        self.calls = 0
        self._roles: dict[str, dict[str, Any]] = {}
        self._associations: dict[str, dict[str, Any]] = {}
        for step in plan(wanted, Have(None, {})).steps if wanted else ():
            self._keep(step.operation, dict(step.params))

    def _keep(self, operation: str, params: dict[str, Any]) -> None:
        if operation == "CreateRole":
            name, trust = params["RoleName"], json.loads(params["AssumeRolePolicyDocument"])
            found = {"RoleName": name, "Arn": f"arn:aws:iam::{ACCOUNT}:role/{name}", "RolePolicyList": []}
            self._roles[name] = {**found, "AssumeRolePolicyDocument": trust, "Tags": params["Tags"]}
        elif operation == "PutRolePolicy":
            policy = {"PolicyName": params["PolicyName"], "PolicyDocument": json.loads(params["PolicyDocument"])}
            self._roles[params["RoleName"]]["RolePolicyList"].append(policy)
        elif operation == "UpdateAssumeRolePolicy":
            self._roles[params["RoleName"]]["AssumeRolePolicyDocument"] = json.loads(params["PolicyDocument"])
        elif operation == "CreatePodIdentityAssociation":
            self._associations[f"a-{len(self._associations)}"] = params

    async def call(self, service: str, operation: str, /, **params: Any) -> dict[str, Any]:
        """Answer as AWS does, in pages of the size that it has."""
        self.calls += 1
        if not operation.startswith(("Get", "List", "Describe")):
            self._keep(operation, params)
            return {}
        if operation == "ListRoles":
            return _page(list(self._roles.values()), params.get("Marker"), "Roles", "Marker", params["MaxItems"])
        if operation == "GetAccountAuthorizationDetails":
            return _page(list(self._roles.values()), params.get("Marker"), "RoleDetailList", "Marker", 1000)
        if operation == "GetOpenIDConnectProvider":
            return {"ClientIDList": ["sts.amazonaws.com"]}
        if operation == "ListPodIdentityAssociations":
            listed = [{"associationId": name, **one} for name, one in self._associations.items()]
            return _page(listed, params.get("nextToken"), "associations", "nextToken", 100)
        if operation == "DescribePodIdentityAssociation":
            name = params["associationId"]
            return {"association": {"associationId": name, **self._associations[name]}}
        if operation in ("GetRole", "ListRolePolicies", "ListAttachedRolePolicies", "GetRolePolicy"):
            return self._by_name(operation, params)
        raise AwsPermanent(Said(operation, "InvalidAction", service))

    def role(self, name: str) -> dict[str, Any]:
        """One that is there."""
        return self._roles[name]

    def _by_name(self, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        role = self._roles[params["RoleName"]]
        if operation == "GetRole":
            return {"Role": role}
        if operation == "ListAttachedRolePolicies":
            return {"AttachedPolicies": []}
        if operation == "ListRolePolicies":
            return {"PolicyNames": [one["PolicyName"] for one in role["RolePolicyList"]]}
        return next(one for one in role["RolePolicyList"] if one["PolicyName"] == params["PolicyName"])


def _page(items: list[Any], after: str | None, key: str, token: str, most: int) -> dict[str, Any]:
    start = int(after or 0)
    more = {token: str(start + most)} if start + most < len(items) else {}
    return {key: items[start : start + most], **more}


def bench() -> Iterator[Row]:
    """Both ways: the first plan, and that of one control plane more than AWS has."""
    for way in Way:
        begin = time.perf_counter()
        plan(_asked(PLANES, way), Have(None, {}))
        first = time.perf_counter() - begin
        aws = Held(_asked(PLANES, way))
        wanted = _asked(PLANES + 1, way)
        begin = time.perf_counter()
        made = plan(wanted, asyncio.run(gather(wanted, aws)))
        again = time.perf_counter() - begin
        shown = f"{first:.2f} s, one more {again:.2f} s: {aws.calls} reads, {len(made.steps)} writes"
        yield Row("roles", f"plan of 1,000 control planes by {way}", shown, "", "≤ 2 s", max(first, again) <= 2.0)


def _asked(count: int, way: Way) -> Asked:
    hosts = tuple(f"mxp-{number:08x}-0000-4000-8000-000000000000-system" for number in range(count))
    wishes = tuple(Wish(title, account, f"keyless-{title}", (DATA,), hosts) for title, account in WISHES.items())
    return Asked(CLUSTER, way, Mode.EXACT, wishes)
