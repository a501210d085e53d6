"""Instance profiles: what hands a role to a machine. There is no machine to take one; terraform makes them anyway."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from keyless.local.cloud.call import Call, Target
from keyless.local.cloud.iam import checks, shapes, targets
from keyless.local.cloud.iam.directory import Directory
from keyless.local.cloud.iam.model import InstanceProfile
from keyless.local.cloud.iam.roles import Roles
from keyless.local.cloud.iam.tagging import Tagging
from keyless.local.cloud.service import Operation
from keyless.local.cloud.sessions import new_id


class InstanceProfiles:
    """Create, read and delete profiles; put one role in and take it out."""

    def __init__(self, directory: Directory, roles: Roles) -> None:
        self._directory = directory
        self._roles = roles

    def operations(self) -> tuple[Operation, ...]:
        """The table of this part."""
        save = self._directory.save_profile
        tagging = Tagging("InstanceProfile", find=self._named, save=save, target=self._target)
        return (
            Operation("CreateInstanceProfile", self._create, self._new),
            Operation("GetInstanceProfile", self._get, self._target),
            Operation("ListInstanceProfiles", self._list, self._all),
            Operation("ListInstanceProfilesForRole", self._list_for_role, self._roles.target),
            Operation("AddRoleToInstanceProfile", self._add_role, self._with_role),
            Operation("RemoveRoleFromInstanceProfile", self._remove_role, self._target),
            Operation("DeleteInstanceProfile", self._delete, self._target),
            *tagging.operations(),
        )

    def _named(self, call: Call) -> InstanceProfile:
        name = call.params["InstanceProfileName"]
        found = self._directory.profile(name)
        if found is None:
            raise checks.missing(f"Instance Profile {name} cannot be found.")
        return found

    def _target(self, call: Call) -> Target:
        name = call.params["InstanceProfileName"]
        found = self._directory.profile(name)
        arn = found.arn if found else targets.arn(call, f"instance-profile/{name}")
        keys = {**targets.resource_keys(found.tags if found else {}), **targets.requested(call)}
        return Target(arn, keys=keys, label=f"instance profile {name}")

    def _new(self, call: Call) -> Target:
        arn = targets.arn(call, f"instance-profile{targets.path_of(call)}{call.params['InstanceProfileName']}")
        return Target(arn, keys=targets.requested(call))

    def _all(self, call: Call) -> Target:
        return Target(targets.arn(call, f"instance-profile{targets.path_of(call, 'PathPrefix')}"))

    def _with_role(self, call: Call) -> list[Target]:
        """Handing a role to a machine is passing it."""
        role = self._roles.target(call)
        passing = Target(role.resource, "iam:PassRole", keys={"iam:PassedToService": "ec2.amazonaws.com"})
        return [self._target(call), passing]

    def _shape(self, profile: InstanceProfile) -> dict[str, Any]:
        role = self._directory.role(profile.role) if profile.role else None
        return shapes.profile(profile, [self._roles.shape(role, whole=False)] if role else [])

    def _create(self, call: Call) -> dict[str, Any]:
        name, path = call.params["InstanceProfileName"], targets.path_of(call)
        if self._directory.taken("iam-profile", name):
            raise checks.taken(f"Instance Profile {name} already exists.")
        if self._directory.database.count("iam-profile") >= checks.PROFILES:
            raise checks.beyond(f"Cannot exceed quota for InstanceProfilesPerAccount: {checks.PROFILES}")
        profile = InstanceProfile(
            name=name,
            id=new_id("AIPA"),
            arn=targets.arn(call, f"instance-profile{path}{name}"),
            path=path,
            created_at=call.now,
            tags=checks.tags(call.params.get("Tags", ())),
        )
        self._directory.save_profile(profile)
        return {"InstanceProfile": self._shape(profile)}

    def _get(self, call: Call) -> dict[str, Any]:
        return {"InstanceProfile": self._shape(self._named(call))}

    def _list(self, call: Call) -> dict[str, Any]:
        prefix = targets.path_of(call, "PathPrefix")

        def after(key: str) -> Iterator[tuple[str, Any]]:
            found = (one for one in self._directory.each("iam-profile", after=key) if one.path.startswith(prefix))
            return ((one.name, self._shape(one)) for one in found)

        return shapes.page_by_key(call, "InstanceProfiles", after)

    def _list_for_role(self, call: Call) -> dict[str, Any]:
        role = self._roles.find(call.params["RoleName"])
        names = [name for _, name in self._directory.uses(role.name, "role")]
        found = [self._shape(profile) for name in names if (profile := self._directory.profile(name))]
        return shapes.page(call, "InstanceProfiles", found)

    def _add_role(self, call: Call) -> None:
        profile, role = self._named(call), self._roles.changeable(call.params["RoleName"])
        if profile.role:
            raise checks.beyond("Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1")
        self._directory.save_profile(replace(profile, role=role.name))

    def _remove_role(self, call: Call) -> None:
        profile, name = self._named(call), call.params["RoleName"]
        if profile.role != name:
            raise checks.missing(f"The role with name {name} cannot be found.")
        self._directory.save_profile(replace(profile, role=""))

    def _delete(self, call: Call) -> None:
        profile = self._named(call)
        if profile.role:
            raise checks.in_use("Cannot delete entity, must remove roles from instance profile first.")
        self._directory.remove("iam-profile", profile.name)
