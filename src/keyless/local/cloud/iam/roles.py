"""IAM's operations on roles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from keyless.local.cloud.call import Call, Target
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.iam import checks, principals, shapes, targets
from keyless.local.cloud.iam.directory import Directory
from keyless.local.cloud.iam.model import Role
from keyless.local.cloud.iam.tagging import Tagging
from keyless.local.cloud.service import Operation
from keyless.local.cloud.sessions import new_id

_SHORTEST, _LONGEST = 3600, 43200
LINKED_PATH = "/aws-service-role/"


class Roles:
    """Create, read, change and delete roles."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def operations(self) -> tuple[Operation, ...]:
        """The table of this part."""
        tagging = Tagging("Role", find=self._changeable, save=self._directory.save, target=self.target)
        return (
            Operation("CreateRole", self._create, self._new_role),
            Operation("GetRole", self._get, self.target),
            Operation("ListRoles", self._list, self._all),
            Operation("UpdateRole", self._update, self.target),
            Operation("UpdateRoleDescription", self._update_description, self.target),
            Operation("UpdateAssumeRolePolicy", self._update_trust, self.target),
            Operation("DeleteRole", self._delete, self.target),
            Operation("PutRolePermissionsBoundary", self._put_boundary, self.target),
            Operation("DeleteRolePermissionsBoundary", self._delete_boundary, self.target),
            *tagging.operations(),
        )

    def find(self, name: str) -> Role:
        """The role, or NoSuchEntity."""
        found = self._directory.role(name)
        if found is None:
            raise checks.missing(f"The role with name {name} cannot be found.")
        return found

    def changeable(self, name: str) -> Role:
        """The role, unless it belongs to a service: those are AWS's to change."""
        found = self.find(name)
        if found.path.startswith(LINKED_PATH):
            text = f"Cannot perform the operation on the protected role '{name}' - this role is only modifiable by AWS"
            raise AwsError("UnmodifiableEntity", text, status=400)
        return found

    def target(self, call: Call) -> Target:
        """The role that a call names, for authorisation."""
        name = call.params["RoleName"]
        found = self._directory.role(name)
        keys = {**targets.holder_keys(call, found), **targets.requested(call)}
        return Target(found.arn if found else targets.arn(call, f"role/{name}"), keys=keys, label=f"role {name}")

    def shape(self, role: Role, *, whole: bool = True) -> dict[str, Any]:
        """A role as answers have it."""
        return shapes.role(role, principals.shown(self._directory.database.connection, role.trust), whole=whole)

    def _changeable(self, call: Call) -> Role:
        return self.changeable(call.params["RoleName"])

    def _new_role(self, call: Call) -> Target:
        arn = targets.arn(call, f"role{targets.path_of(call)}{call.params['RoleName']}")
        return Target(arn, keys=targets.requested(call))

    def _all(self, call: Call) -> Target:
        return Target(targets.arn(call, f"role{targets.path_of(call, 'PathPrefix')}"))

    def _create(self, call: Call) -> dict[str, Any]:
        params, directory = call.params, self._directory
        name, path = params["RoleName"], targets.path_of(call)
        if path.startswith(LINKED_PATH):
            raise AwsError("ValidationError", f"The specified path {path} is reserved for AWS's own roles", status=400)
        if directory.taken("iam-role", name):
            raise checks.taken(f"Role with name {name} already exists.")
        if directory.database.count("iam-role") >= checks.ROLES:
            raise checks.beyond(f"Cannot exceed quota for RolesPerAccount: {checks.ROLES}")
        role = Role(
            name=name,
            id=new_id("AROA"),
            arn=targets.arn(call, f"role{path}{name}"),
            path=path,
            created_at=call.now,
            trust=checks.trust(directory, params["AssumeRolePolicyDocument"]),
            description=params.get("Description", ""),
            max_session_seconds=_duration(params.get("MaxSessionDuration", _SHORTEST)),
            tags=checks.tags(params.get("Tags", ())),
            boundary=checks.boundary(directory, params.get("PermissionsBoundary", "")),
        )
        directory.save(role)
        return {"Role": self.shape(role)}

    def _get(self, call: Call) -> dict[str, Any]:
        return {"Role": self.shape(self.find(call.params["RoleName"]))}

    def _list(self, call: Call) -> dict[str, Any]:
        prefix = targets.path_of(call, "PathPrefix")

        def after(key: str) -> Iterator[tuple[str, Any]]:
            roles = (role for role in self._directory.each("iam-role", after=key) if role.path.startswith(prefix))
            return ((role.name, self.shape(role, whole=False)) for role in roles)

        return shapes.page_by_key(call, "Roles", after)

    def _update(self, call: Call) -> None:
        role = self._changeable(call)
        self._directory.save(
            replace(
                role,
                description=call.params.get("Description", role.description),
                max_session_seconds=_duration(call.params.get("MaxSessionDuration", role.max_session_seconds)),
            )
        )

    def _update_description(self, call: Call) -> dict[str, Any]:
        role = replace(self._changeable(call), description=call.params["Description"])
        self._directory.save(role)
        return {"Role": self.shape(role)}

    def _update_trust(self, call: Call) -> None:
        trust = checks.trust(self._directory, call.params["PolicyDocument"])
        self._directory.save(replace(self._changeable(call), trust=trust))

    def _delete(self, call: Call) -> None:
        role = self._changeable(call)
        if self._directory.uses(role.name, "role"):
            raise checks.in_use("Cannot delete entity, must remove roles from instance profile first.")
        if role.attached:
            raise checks.in_use("Cannot delete entity, must detach all policies first.")
        if role.inline:
            raise checks.in_use("Cannot delete entity, must delete policies first.")
        self._directory.remove("iam-role", role.name)

    def _put_boundary(self, call: Call) -> None:
        boundary = checks.boundary(self._directory, call.params["PermissionsBoundary"])
        self._directory.save(replace(self._changeable(call), boundary=boundary))

    def _delete_boundary(self, call: Call) -> None:
        role = self._changeable(call)
        if not role.boundary:
            raise checks.missing(f"The permissions boundary for role {role.name} cannot be found.")
        self._directory.save(replace(role, boundary=""))


def _duration(seconds: int) -> int:
    if not _SHORTEST <= seconds <= _LONGEST:
        bound = f"greater than or equal to {_SHORTEST}" if seconds < _SHORTEST else f"less than or equal to {_LONGEST}"
        text = f"Value '{seconds}' at 'maxSessionDuration' failed to satisfy constraint: Member must have value {bound}"
        raise AwsError("ValidationError", f"1 validation error detected: {text}", status=400)
    return seconds
