"""IAM's operations on users and their access keys."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

from keyless.local.cloud.authorise import resource_tag_keys, tag_keys
from keyless.local.cloud.call import Call, Target
from keyless.local.cloud.errors import validation
from keyless.local.cloud.iam import checks, shapes
from keyless.local.cloud.iam.directory import Directory
from keyless.local.cloud.iam.model import AccessKey, User
from keyless.local.cloud.service import Operation
from keyless.local.cloud.sessions import new_id


def new_access_key(user: str, now: float) -> AccessKey:
    """A fresh key for ``user``."""
    return AccessKey(new_id("AKIA", 16), user, secrets.token_urlsafe(30), now)


class Users:
    """Create, read and delete users and keys. A call without UserName means the caller."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def operations(self) -> tuple[Operation, ...]:
        """The table of this part."""
        return (
            Operation("CreateUser", self._create, self._new_user),
            Operation("GetUser", self._get, self.target),
            Operation("ListUsers", self._list, lambda call: Target(_arn(call, f"user{_prefix(call)}"))),
            Operation("DeleteUser", self._delete, self.target),
            Operation("TagUser", self._tag, self.target),
            Operation("UntagUser", self._untag, self.target),
            Operation("ListUserTags", self._list_tags, self.target),
            Operation("CreateAccessKey", self._create_key, self.target),
            Operation("ListAccessKeys", self._list_keys, self.target),
            Operation("UpdateAccessKey", self._update_key, self.target),
            Operation("DeleteAccessKey", self._delete_key, self.target),
            Operation("PutUserPermissionsBoundary", self._put_boundary, self.target),
            Operation("DeleteUserPermissionsBoundary", self._delete_boundary, self.target),
        )

    def find(self, name: str) -> User:
        """The user, or NoSuchEntity."""
        found = self._directory.user(name)
        if found is None:
            raise checks.missing(f"The user with name {name} cannot be found.")
        return found

    def target(self, call: Call) -> Target:
        """The user that a call names, for authorisation."""
        name = _name(call)
        found = self._directory.user(name)
        keys = resource_tag_keys(found.tags if found else {})
        return Target(found.arn if found else _arn(call, f"user/{name}"), keys=keys, label=f"user {name}")

    def _new_user(self, call: Call) -> Target:
        tags = {tag["Key"]: tag["Value"] for tag in call.params.get("Tags", ())}
        path = call.params.get("Path", "/")
        return Target(_arn(call, f"user{path}{call.params['UserName']}"), keys=tag_keys(tags))

    def _create(self, call: Call) -> dict[str, Any]:
        name, path = call.params["UserName"], call.params.get("Path", "/")
        if any(user.name.lower() == name.lower() for user in self._directory.users()):
            raise checks.taken(f"User with name {name} already exists.")
        if self._directory.database.count("iam-user") >= checks.USERS:
            raise checks.beyond(f"Cannot exceed quota for UsersPerAccount: {checks.USERS}")
        user = User(
            name=name,
            id=new_id("AIDA"),
            arn=_arn(call, f"user{path}{name}"),
            path=path,
            created_at=call.now,
            tags=checks.tags(call.params.get("Tags", ())),
            boundary=self._boundary(call.params.get("PermissionsBoundary", "")),
        )
        self._directory.save_user(user)
        return {"User": shapes.user(user)}

    def _boundary(self, arn: str) -> str:
        if arn and self._directory.policy(arn) is None:
            raise checks.missing(f"Scope ARN: {arn} does not exist or is not attachable.")
        return arn

    def _get(self, call: Call) -> dict[str, Any]:
        return {"User": shapes.user(self.find(_name(call)))}

    def _list(self, call: Call) -> dict[str, Any]:
        users = [shapes.user(user) for user in self._directory.users() if user.path.startswith(_prefix(call))]
        return shapes.page(call, "Users", users)

    def _delete(self, call: Call) -> None:
        user = self.find(_name(call))
        if self._directory.access_keys(user.name):
            raise checks.in_use("Cannot delete entity, must delete access keys first.")
        if user.attached:
            raise checks.in_use("Cannot delete entity, must detach all policies first.")
        if user.inline:
            raise checks.in_use("Cannot delete entity, must delete policies first.")
        self._directory.remove("iam-user", user.name)

    def _tag(self, call: Call) -> None:
        user = self.find(_name(call))
        self._directory.save_user(replace(user, tags=checks.tags(call.params["Tags"], user.tags)))

    def _untag(self, call: Call) -> None:
        user = self.find(_name(call))
        kept = {key: value for key, value in user.tags.items() if key not in call.params["TagKeys"]}
        self._directory.save_user(replace(user, tags=kept))

    def _list_tags(self, call: Call) -> dict[str, Any]:
        return shapes.page(call, "Tags", checks.as_tags(self.find(_name(call)).tags))

    def _create_key(self, call: Call) -> dict[str, Any]:
        user = self.find(_name(call))
        if len(self._directory.access_keys(user.name)) >= checks.ACCESS_KEYS_PER_USER:
            raise checks.beyond(f"Cannot exceed quota for AccessKeysPerUser: {checks.ACCESS_KEYS_PER_USER}")
        key = new_access_key(user.name, call.now)
        self._directory.save_access_key(key)
        return {"AccessKey": {**shapes.access_key(key), "SecretAccessKey": key.secret}}

    def _list_keys(self, call: Call) -> dict[str, Any]:
        user = self.find(_name(call))
        keys = [shapes.access_key(key) for key in self._directory.access_keys(user.name)]
        return shapes.page(call, "AccessKeyMetadata", keys)

    def _key(self, call: Call) -> AccessKey:
        found = self._directory.access_key(call.params["AccessKeyId"])
        if found is None or found.user != _name(call):
            raise checks.missing(f"The Access Key with id {call.params['AccessKeyId']} cannot be found.")
        return found

    def _update_key(self, call: Call) -> None:
        self._directory.save_access_key(replace(self._key(call), active=call.params["Status"] == "Active"))

    def _delete_key(self, call: Call) -> None:
        self._directory.database.remove("iam-access-key", self._key(call).id)

    def _put_boundary(self, call: Call) -> None:
        user = self.find(_name(call))
        self._directory.save_user(replace(user, boundary=self._boundary(call.params["PermissionsBoundary"])))

    def _delete_boundary(self, call: Call) -> None:
        self._directory.save_user(replace(self.find(_name(call)), boundary=""))


def _name(call: Call) -> str:
    name = call.params.get("UserName")
    if not name and call.caller.kind != "User":
        raise validation("Must specify userName when calling with non-User credentials")
    return str(name or call.caller.name)


def _prefix(call: Call) -> str:
    return str(call.params.get("PathPrefix", "/"))


def _arn(call: Call, resource: str) -> str:
    return call.arn(resource, service="iam", region="")
