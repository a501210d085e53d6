"""IAM's operations on groups: who is in one has its policies, too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from keyless.local.cloud.call import Call, Target
from keyless.local.cloud.iam import checks, shapes, targets
from keyless.local.cloud.iam.directory import Directory
from keyless.local.cloud.iam.model import Group, User
from keyless.local.cloud.iam.users import Users
from keyless.local.cloud.service import Operation
from keyless.local.cloud.sessions import new_id


class Groups:
    """Create, read, rename and delete groups; members come and go."""

    def __init__(self, directory: Directory, users: Users) -> None:
        self._directory = directory
        self._users = users

    def operations(self) -> tuple[Operation, ...]:
        """The table of this part."""
        return (
            Operation("CreateGroup", self._create, self._new),
            Operation("GetGroup", self._get, self.target),
            Operation("ListGroups", self._list, self._all),
            Operation("UpdateGroup", self._update, self._renamed),
            Operation("DeleteGroup", self._delete, self.target),
            Operation("AddUserToGroup", self._add, self.target),
            Operation("RemoveUserFromGroup", self._remove, self.target),
            Operation("ListGroupsForUser", self._list_for_user, self._users.target),
        )

    def find(self, name: str) -> Group:
        """The group, or NoSuchEntity."""
        found = self._directory.group(name)
        if found is None:
            raise checks.missing(f"The group with name {name} cannot be found.")
        return found

    def target(self, call: Call) -> Target:
        """The group that a call names, for authorisation."""
        name = call.params["GroupName"]
        found = self._directory.group(name)
        return Target(found.arn if found else targets.arn(call, f"group/{name}"), label=f"group {name}")

    def _new(self, call: Call) -> Target:
        return Target(targets.arn(call, f"group{targets.path_of(call)}{call.params['GroupName']}"))

    def _all(self, call: Call) -> Target:
        return Target(targets.arn(call, f"group{targets.path_of(call, 'PathPrefix')}"))

    def _renamed(self, call: Call) -> list[Target]:
        """Renaming needs the permission on the old name and on the new one."""
        old = self.target(call)
        return [old, Target(self._new_arn(call, old.resource))]

    def _new_arn(self, call: Call, arn: str) -> str:
        _, _, rest = arn.rpartition(":")[2].partition("/")
        path, _, name = f"/{rest}".rpartition("/")
        path = call.params.get("NewPath") or f"{path}/"
        return targets.arn(call, f"group{path}{call.params.get('NewGroupName') or name}")

    def _create(self, call: Call) -> dict[str, Any]:
        name, path = call.params["GroupName"], targets.path_of(call)
        if self._directory.taken("iam-group", name):
            raise checks.taken(f"Group with name {name} already exists.")
        if self._directory.database.count("iam-group") >= checks.GROUPS:
            raise checks.beyond(f"Cannot exceed quota for GroupsPerAccount: {checks.GROUPS}")
        group = Group(name, new_id("AGPA"), targets.arn(call, f"group{path}{name}"), path, call.now)
        self._directory.save(group)
        return {"Group": shapes.group(group)}

    def _members(self, group: Group) -> list[User]:
        names = [name for _, name in self._directory.uses(group.name, "member")]
        return [user for name in names if (user := self._directory.user(name))]

    def _get(self, call: Call) -> dict[str, Any]:
        group = self.find(call.params["GroupName"])
        users = [shapes.user(user, whole=False) for user in self._members(group)]
        return {"Group": shapes.group(group), **shapes.page(call, "Users", users)}

    def _list(self, call: Call) -> dict[str, Any]:
        prefix = targets.path_of(call, "PathPrefix")

        def after(key: str) -> Iterator[tuple[str, Any]]:
            groups = (group for group in self._directory.each("iam-group", after=key) if group.path.startswith(prefix))
            return ((group.name, shapes.group(group)) for group in groups)

        return shapes.page_by_key(call, "Groups", after)

    def _update(self, call: Call) -> None:
        group = self.find(call.params["GroupName"])
        name = call.params.get("NewGroupName") or group.name
        if name != group.name and self._directory.taken("iam-group", name) and name.lower() != group.name.lower():
            raise checks.taken(f"Group with name {name} already exists.")
        members = self._members(group)
        arn = self._new_arn(call, group.arn)
        changed = replace(group, name=name, path=call.params.get("NewPath") or group.path, arn=arn)
        if name != group.name:
            self._directory.remove("iam-group", group.name)
        self._directory.save(changed)
        for user in members:
            groups = tuple(name if one == group.name else one for one in user.groups)
            self._directory.save(replace(user, groups=groups))

    def _delete(self, call: Call) -> None:
        group = self.find(call.params["GroupName"])
        if self._directory.uses(group.name, "member"):
            raise checks.in_use("Cannot delete entity, must remove users from group first.")
        if group.attached:
            raise checks.in_use("Cannot delete entity, must detach all policies first.")
        if group.inline:
            raise checks.in_use("Cannot delete entity, must delete policies first.")
        self._directory.remove("iam-group", group.name)

    def _add(self, call: Call) -> None:
        group, user = self.find(call.params["GroupName"]), self._users.find(call.params["UserName"])
        if group.name in user.groups:
            return
        if len(user.groups) >= checks.GROUPS_PER_USER:
            raise checks.beyond(f"Cannot exceed quota for GroupsPerUser: {checks.GROUPS_PER_USER}")
        self._directory.save(replace(user, groups=(*user.groups, group.name)))

    def _remove(self, call: Call) -> None:
        group, user = self.find(call.params["GroupName"]), self._users.find(call.params["UserName"])
        if group.name not in user.groups:
            raise checks.missing(f"User {user.name} is not in group {group.name}.")
        self._directory.save(replace(user, groups=tuple(one for one in user.groups if one != group.name)))

    def _list_for_user(self, call: Call) -> dict[str, Any]:
        user = self._users.find(call.params["UserName"])
        groups = [shapes.group(group) for name in user.groups if (group := self._directory.group(name))]
        return shapes.page(call, "Groups", groups)
