"""IAM's operations on the account as a whole, and the parts of a user that nobody has here.

Tools ask for a user's devices, keys and passwords before they delete it (terraform's ``force_destroy``); the answer is
that there are none, and making one is not served.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from keyless.local.cloud.audit import last_by
from keyless.local.cloud.call import Call, Target
from keyless.local.cloud.iam import checks, principals, shapes, targets
from keyless.local.cloud.iam.directory import Directory, Holder
from keyless.local.cloud.iam.managed import AWS_MANAGED
from keyless.local.cloud.iam.model import Group, ManagedPolicy, Role, User
from keyless.local.cloud.iam.users import Users
from keyless.local.cloud.service import Operation

_NONE_OF_A_USER = {
    "ListMFADevices": "MFADevices",
    "ListSSHPublicKeys": "SSHPublicKeys",
    "ListServiceSpecificCredentials": "ServiceSpecificCredentials",
    "ListSigningCertificates": "Certificates",
}
_ORDER = ("User", "Role", "Group", "LocalManagedPolicy", "AWSManagedPolicy")


class Account:
    """Summary, aliases, and everything at once (GetAccountAuthorizationDetails)."""

    def __init__(self, directory: Directory, users: Users) -> None:
        self._directory = directory
        self._users = users

    def operations(self) -> tuple[Operation, ...]:
        """The table of this part."""
        return (
            Operation("ListAccountAliases", _no_aliases),
            Operation("GetAccountSummary", self._summary),
            Operation("GetAccountAuthorizationDetails", self._details),
            Operation("GetAccessKeyLastUsed", self._last_used, self._owner_of_key),
            Operation("GetLoginProfile", self._no_login, self._users.target),
            *(
                Operation(name, self._none_of(name, field), self._users.target)
                for name, field in _NONE_OF_A_USER.items()
            ),
        )

    def _none_of(self, name: str, field: str) -> Callable[[Call], dict[str, Any]]:
        def answer(call: Call) -> dict[str, Any]:
            self._users.named(call)
            fields: dict[str, Any] = {field: []}
            return fields if name == "ListServiceSpecificCredentials" else {**fields, "IsTruncated": False}

        return answer

    def _no_login(self, call: Call) -> None:
        user = self._users.named(call)
        raise checks.missing(f"Login Profile for User {user.name} cannot be found.")

    def _owner_of_key(self, call: Call) -> Target:
        key = self._directory.access_key(call.params["AccessKeyId"])
        user = self._directory.user(key.user) if key else None
        return Target(user.arn if user else targets.arn(call, "user/*"))

    def _last_used(self, call: Call) -> dict[str, Any]:
        """What the record of calls tells; a service or region is "N/A" where there is none."""
        asked = call.params["AccessKeyId"]
        key = self._directory.access_key(asked)
        if key is None:
            raise checks.missing(f"The Access Key with id {asked} cannot be found.")
        line = last_by(self._directory.database.connection, asked)
        used: dict[str, Any] = {"ServiceName": "N/A", "Region": "N/A"}
        if line is not None:
            when = datetime.fromisoformat(line["time"]).replace(microsecond=0)
            used = {"LastUsedDate": when, "ServiceName": line["service"], "Region": line["region"] or "N/A"}
        return {"UserName": key.user, "AccessKeyLastUsed": used}

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

    def _details(self, call: Call) -> dict[str, Any]:
        wanted = call.params.get("Filter") or _ORDER
        page = shapes.page_by_key(call, "found", lambda after: self._everything(after, wanted))
        fields: dict[str, Any] = {name: value for name, value in page.items() if name != "found"}
        fields |= {"UserDetailList": [], "RoleDetailList": [], "GroupDetailList": [], "Policies": []}
        for found in page["found"]:
            field, detail = self._detail(found)
            fields[field].append(detail)
        return fields

    def _everything(self, after: str, wanted: Any) -> Iterator[tuple[str, Any]]:
        """All objects with keys such as ``1 Role billing``, which sort as they come."""
        for number, word in enumerate(_ORDER):
            head = f"{number} {word} "
            if word in wanted and after < f"{number + 1}":
                behind = after.removeprefix(head) if after.startswith(head) else ""
                for found in self._of(word, behind):
                    yield head + (found.arn if isinstance(found, ManagedPolicy) else found.name), found

    def _of(self, word: str, after: str) -> Iterator[Any]:
        each = self._directory.each
        if word == "AWSManagedPolicy":
            used = (arn for arn in sorted(AWS_MANAGED) if arn > after and self._directory.count_uses(arn, "attached"))
            return (AWS_MANAGED[arn] for arn in used)
        if word == "LocalManagedPolicy":
            return each("iam-policy", after=after)
        if word == "User":
            return each("iam-user", after=after)
        return each("iam-role" if word == "Role" else "iam-group", after=after)

    def _detail(self, found: Holder | ManagedPolicy) -> tuple[str, dict[str, Any]]:
        if isinstance(found, ManagedPolicy):
            count = self._directory.count_uses
            shape = shapes.policy(found, attached=count(found.arn, "attached"), boundaries=count(found.arn, "boundary"))
            del shape["Tags"]
            versions = [shapes.version(one, found.default, whole=True) for one in reversed(found.versions)]
            return "Policies", {**shape, "PolicyVersionList": versions}
        inline = [{"PolicyName": name, "PolicyDocument": shapes.encoded(text)} for name, text in found.inline.items()]
        attached = [{"PolicyName": arn.rpartition("/")[2], "PolicyArn": arn} for arn in found.attached]
        own: dict[str, Any] = {"AttachedManagedPolicies": attached}
        if isinstance(found, Group):
            return "GroupDetailList", {**shapes.group(found), "GroupPolicyList": inline, **own}
        if isinstance(found, User):
            own |= {"UserPolicyList": inline, "GroupList": list(found.groups)}
            return "UserDetailList", {**shapes.user(found), **own}
        return "RoleDetailList", {**self._role(found), "RolePolicyList": inline, **own}

    def _role(self, role: Role) -> dict[str, Any]:
        shape = shapes.role(role, principals.shown(self._directory.database.connection, role.trust))
        profiles = [self._directory.profile(name) for _, name in self._directory.uses(role.name, "role")]
        return {**shape, "InstanceProfileList": [shapes.profile(one, []) for one in profiles if one]}


def _no_aliases(_: Call) -> dict[str, Any]:
    return {"AccountAliases": [], "IsTruncated": False}
