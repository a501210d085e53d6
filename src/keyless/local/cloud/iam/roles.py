"""IAM's operations on roles."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson

from keyless.api import Arn
from keyless.local.cloud.authorise import resource_tag_keys, tag_keys
from keyless.local.cloud.call import Call, Target
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.iam import checks, shapes
from keyless.local.cloud.iam.directory import Directory
from keyless.local.cloud.iam.model import Role
from keyless.local.cloud.service import Operation
from keyless.local.cloud.sessions import new_id

_SHORTEST, _LONGEST = 3600, 43200


class Roles:
    """Create, read, change and delete roles."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def operations(self) -> tuple[Operation, ...]:
        """The table of this part."""
        return (
            Operation("CreateRole", self._create, self._new_role),
            Operation("GetRole", self._get, self.target),
            Operation("ListRoles", self._list, self._all),
            Operation("UpdateRole", self._update, self.target),
            Operation("UpdateRoleDescription", self._update_description, self.target),
            Operation("UpdateAssumeRolePolicy", self._update_trust, self.target),
            Operation("DeleteRole", self._delete, self.target),
            Operation("TagRole", self._tag, self.target),
            Operation("UntagRole", self._untag, self.target),
            Operation("ListRoleTags", self._list_tags, self.target),
            Operation("PutRolePermissionsBoundary", self._put_boundary, self.target),
            Operation("DeleteRolePermissionsBoundary", self._delete_boundary, self.target),
            Operation("ListInstanceProfiles", self._no_profiles, lambda call: Target(_arn(call, "instance-profile/*"))),
            Operation("ListInstanceProfilesForRole", self._no_profiles_for_role, self.target),
            Operation("GetInstanceProfile", self._no_profile, _profile_target),
        )

    def find(self, name: str) -> Role:
        """The role, or NoSuchEntity."""
        found = self._directory.role(name)
        if found is None:
            raise checks.missing(f"The role with name {name} cannot be found.")
        return found

    def target(self, call: Call) -> Target:
        """The role that a call names, for authorisation."""
        name = call.params["RoleName"]
        found = self._directory.role(name)
        keys = {**resource_tag_keys(found.tags if found else {}), **_requested(call)}
        return Target(found.arn if found else _arn(call, f"role/{name}"), keys=keys, label=f"role {name}")

    def _new_role(self, call: Call) -> Target:
        name, path = call.params["RoleName"], call.params.get("Path", "/")
        return Target(_arn(call, f"role{path}{name}"), keys=_requested(call))

    def _all(self, call: Call) -> Target:
        return Target(_arn(call, f"role{call.params.get('PathPrefix', '/')}"))

    def _create(self, call: Call) -> dict[str, Any]:
        params, directory = call.params, self._directory
        name, path = params["RoleName"], params.get("Path", "/")
        if any(role.name.lower() == name.lower() for role in self._namesakes(name)):
            raise checks.taken(f"Role with name {name} already exists.")
        if directory.database.count("iam-role") >= checks.ROLES:
            raise checks.beyond(f"Cannot exceed quota for RolesPerAccount: {checks.ROLES}")
        role = Role(
            name=name,
            id=new_id("AROA"),
            arn=_arn(call, f"role{path}{name}"),
            path=path,
            created_at=call.now,
            trust=self._trust(params["AssumeRolePolicyDocument"]),
            description=params.get("Description", ""),
            max_session_seconds=_duration(params.get("MaxSessionDuration", _SHORTEST)),
            tags=checks.tags(params.get("Tags", ())),
            boundary=self._boundary(params.get("PermissionsBoundary", "")),
        )
        directory.save_role(role)
        return {"Role": shapes.role(role)}

    def _namesakes(self, name: str) -> list[Role]:
        """Names are unique without regard to case, and found with it."""
        found = self._directory.role(name)
        return [found] if found else [role for role in self._directory.roles() if role.name.lower() == name.lower()]

    def _trust(self, text: str) -> str:
        checks.trust(text)
        for arn in _principals(text):
            self._principal_exists(arn)
        return text

    def _principal_exists(self, principal: str) -> None:
        """An AWS principal of this account must exist: AWS stores its unique id, not its name."""
        try:
            arn = Arn.parse(principal)
        except ValueError:
            return
        kind, _, rest = arn.resource.partition("/")
        name = rest.rpartition("/")[2]
        if arn.service != "iam" or arn.account != self._directory.account or kind not in {"role", "user"}:
            return
        found = self._directory.role(name) if kind == "role" else self._directory.user(name)
        if found is None or found.arn != principal:
            raise AwsError("MalformedPolicyDocument", f'Invalid principal in policy: "AWS":"{principal}"', status=400)

    def _boundary(self, arn: str) -> str:
        if arn and self._directory.policy(arn) is None:
            raise checks.missing(f"Scope ARN: {arn} does not exist or is not attachable.")
        return arn

    def _get(self, call: Call) -> dict[str, Any]:
        return {"Role": shapes.role(self.find(call.params["RoleName"]))}

    def _list(self, call: Call) -> dict[str, Any]:
        prefix = call.params.get("PathPrefix", "/")
        return shapes.page(
            call,
            "Roles",
            [shapes.role(role, whole=False) for role in self._directory.roles() if role.path.startswith(prefix)],
        )

    def _update(self, call: Call) -> None:
        role = self.find(call.params["RoleName"])
        self._directory.save_role(
            replace(
                role,
                description=call.params.get("Description", role.description),
                max_session_seconds=_duration(call.params.get("MaxSessionDuration", role.max_session_seconds)),
            )
        )

    def _update_description(self, call: Call) -> dict[str, Any]:
        role = replace(self.find(call.params["RoleName"]), description=call.params["Description"])
        self._directory.save_role(role)
        return {"Role": shapes.role(role)}

    def _update_trust(self, call: Call) -> None:
        role = self.find(call.params["RoleName"])
        self._directory.save_role(replace(role, trust=self._trust(call.params["PolicyDocument"])))

    def _delete(self, call: Call) -> None:
        role = self.find(call.params["RoleName"])
        if role.attached:
            raise checks.in_use("Cannot delete entity, must detach all policies first.")
        if role.inline:
            raise checks.in_use("Cannot delete entity, must delete policies first.")
        self._directory.remove("iam-role", role.name)

    def _tag(self, call: Call) -> None:
        role = self.find(call.params["RoleName"])
        self._directory.save_role(replace(role, tags=checks.tags(call.params["Tags"], role.tags)))

    def _untag(self, call: Call) -> None:
        role = self.find(call.params["RoleName"])
        kept = {key: value for key, value in role.tags.items() if key not in call.params["TagKeys"]}
        self._directory.save_role(replace(role, tags=kept))

    def _list_tags(self, call: Call) -> dict[str, Any]:
        return shapes.page(call, "Tags", checks.as_tags(self.find(call.params["RoleName"]).tags))

    def _put_boundary(self, call: Call) -> None:
        role = self.find(call.params["RoleName"])
        self._directory.save_role(replace(role, boundary=self._boundary(call.params["PermissionsBoundary"])))

    def _delete_boundary(self, call: Call) -> None:
        self._directory.save_role(replace(self.find(call.params["RoleName"]), boundary=""))

    def _no_profiles(self, call: Call) -> dict[str, Any]:
        return shapes.page(call, "InstanceProfiles", ())

    def _no_profiles_for_role(self, call: Call) -> dict[str, Any]:
        self.find(call.params["RoleName"])
        return shapes.page(call, "InstanceProfiles", ())

    def _no_profile(self, call: Call) -> None:
        raise checks.missing(f"Instance Profile {call.params['InstanceProfileName']} cannot be found.")


def _requested(call: Call) -> dict[str, Any]:
    keys = tag_keys({tag["Key"]: tag["Value"] for tag in call.params.get("Tags", ())})
    if boundary := call.params.get("PermissionsBoundary"):
        keys["iam:PermissionsBoundary"] = boundary
    if removed := call.params.get("TagKeys"):
        keys["aws:TagKeys"] = tuple(removed)
    return keys


def _profile_target(call: Call) -> Target:
    name = call.params["InstanceProfileName"]
    return Target(_arn(call, f"instance-profile/{name}"), label=f"instance profile {name}")


def _arn(call: Call, resource: str) -> str:
    return call.arn(resource, service="iam", region="")


def _duration(seconds: int) -> int:
    if not _SHORTEST <= seconds <= _LONGEST:
        bound = f"greater than or equal to {_SHORTEST}" if seconds < _SHORTEST else f"less than or equal to {_LONGEST}"
        text = f"Value '{seconds}' at 'maxSessionDuration' failed to satisfy constraint: Member must have value {bound}"
        raise AwsError("ValidationError", f"1 validation error detected: {text}", status=400)
    return seconds


def _principals(text: str) -> list[str]:
    """The AWS principals that a trust policy names one by one."""
    statements = orjson.loads(text).get("Statement", [])
    found: list[str] = []
    for statement in statements if isinstance(statements, list) else [statements]:
        principal = statement.get("Principal")
        named = principal.get("AWS", []) if isinstance(principal, dict) else []
        found += [named] if isinstance(named, str) else named
    return found
