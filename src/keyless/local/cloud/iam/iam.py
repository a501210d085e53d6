"""IAM as a service: its parts put together, and the few operations about the account itself."""

from __future__ import annotations

from typing import Any

from keyless.local.cloud.call import Call
from keyless.local.cloud.iam import checks
from keyless.local.cloud.iam.directory import Directory
from keyless.local.cloud.iam.holders import HolderPolicies
from keyless.local.cloud.iam.policies import ManagedPolicies
from keyless.local.cloud.iam.providers import Providers
from keyless.local.cloud.iam.roles import Roles
from keyless.local.cloud.iam.simulation import Simulator
from keyless.local.cloud.iam.users import Users
from keyless.local.cloud.service import Operation, Service


class Iam:
    """IAM of one account."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def service(self) -> Service:
        """The table of IAM."""
        roles, users = Roles(self._directory), Users(self._directory)
        return Service(
            "iam",
            operations=(
                *roles.operations(),
                *HolderPolicies(self._directory, "Role", find=roles.find, target=roles.target).operations(),
                *users.operations(),
                *HolderPolicies(self._directory, "User", find=users.find, target=users.target).operations(),
                *ManagedPolicies(self._directory).operations(),
                *Providers(self._directory).operations(),
                *Simulator(self._directory, find_role=roles.find, find_user=users.find).operations(),
                Operation("ListAccountAliases", _no_aliases),
                Operation("GetAccountSummary", self._summary),
                Operation("ListGroupsForUser", _no_groups, users.target),
            ),
        )

    def _summary(self, _: Call) -> dict[str, Any]:
        count = self._directory.database.count
        return {
            "SummaryMap": {
                "Users": count("iam-user"),
                "UsersQuota": checks.USERS,
                "Roles": count("iam-role"),
                "RolesQuota": checks.ROLES,
                "Policies": count("iam-policy"),
                "PoliciesQuota": checks.POLICIES,
                "Providers": count("iam-provider"),
                "AccessKeysPerUserQuota": checks.ACCESS_KEYS_PER_USER,
                "PolicySizeQuota": checks.MANAGED_SIZE,
                "AssumeRolePolicySizeQuota": checks.TRUST_SIZE,
                "VersionsPerPolicyQuota": checks.VERSIONS,
            }
        }


def _no_aliases(_: Call) -> dict[str, Any]:
    return {"AccountAliases": [], "IsTruncated": False}


def _no_groups(_: Call) -> dict[str, Any]:
    return {"Groups": [], "IsTruncated": False}
