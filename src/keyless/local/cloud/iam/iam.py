"""IAM as a service: its parts put together, and the few operations about the account itself."""

from __future__ import annotations

from typing import Any

from keyless.local.cloud.call import Call
from keyless.local.cloud.iam import checks
from keyless.local.cloud.iam.directory import Directory
from keyless.local.cloud.iam.groups import Groups
from keyless.local.cloud.iam.holders import HolderPolicies
from keyless.local.cloud.iam.policies import ManagedPolicies
from keyless.local.cloud.iam.profiles import InstanceProfiles
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
        directory = self._directory
        roles, users = Roles(directory), Users(directory)
        groups = Groups(directory, users)
        of_roles = HolderPolicies(directory, "Role", find=roles.find, change=roles.changeable, target=roles.target)
        return Service(
            "iam",
            operations=(
                *roles.operations(),
                *of_roles.operations(),
                *users.operations(),
                *HolderPolicies(directory, "User", find=users.find, target=users.target).operations(),
                *groups.operations(),
                *HolderPolicies(directory, "Group", find=groups.find, target=groups.target).operations(),
                *InstanceProfiles(directory, roles).operations(),
                *ManagedPolicies(self._directory).operations(),
                *Providers(self._directory).operations(),
                *Simulator(self._directory, find_role=roles.find, find_user=users.find).operations(),
                Operation("ListAccountAliases", _no_aliases),
                Operation("GetAccountSummary", self._summary),
            ),
        )

    def _summary(self, _: Call) -> dict[str, Any]:
        count = self._directory.database.count
        return {
            "SummaryMap": {
                "Users": count("iam-user"),
                "UsersQuota": checks.USERS,
                "Groups": count("iam-group"),
                "GroupsQuota": checks.GROUPS,
                "GroupsPerUserQuota": checks.GROUPS_PER_USER,
                "InstanceProfiles": count("iam-profile"),
                "InstanceProfilesQuota": checks.PROFILES,
                "Roles": count("iam-role"),
                "RolesQuota": checks.ROLES,
                "Policies": count("iam-policy"),
                "PoliciesQuota": checks.POLICIES,
                "Providers": count("iam-provider"),
                "AccessKeysPerUserQuota": checks.ACCESS_KEYS_PER_USER,
                "AttachedPoliciesPerRoleQuota": checks.MANAGED_PER_HOLDER,
                "AttachedPoliciesPerUserQuota": checks.MANAGED_PER_HOLDER,
                "AttachedPoliciesPerGroupQuota": checks.MANAGED_PER_HOLDER,
                "UserPolicySizeQuota": checks.INLINE_SIZE["user"],
                "GroupPolicySizeQuota": checks.INLINE_SIZE["group"],
                "RolePolicySizeQuota": checks.INLINE_SIZE["role"],
                "PolicySizeQuota": checks.MANAGED_SIZE,
                "AssumeRolePolicySizeQuota": checks.TRUST_SIZE,
                "VersionsPerPolicyQuota": checks.VERSIONS,
            }
        }


def _no_aliases(_: Call) -> dict[str, Any]:
    return {"AccountAliases": [], "IsTruncated": False}
