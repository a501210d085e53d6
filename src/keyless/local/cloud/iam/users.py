"""IAM's operations on users and their access keys."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from keyless.local.cloud.call import Call, Target
from keyless.local.cloud.errors import validation
from keyless.local.cloud.iam import checks, shapes, targets
from keyless.local.cloud.iam.directory import Directory
from keyless.local.cloud.iam.model import AccessKey, User
from keyless.local.cloud.iam.tagging import Tagging
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
        tagging = Tagging("User", find=self.named, save=self._directory.save, target=self.target)
        return (
            Operation("CreateUser", self._create, self._new_user),
            Operation("GetUser", self._get, self.target),
            Operation("ListUsers", self._list, self._all),
            Operation("UpdateUser", self._update, self._renamed),
            Operation("DeleteUser", self._delete, self.target),
            Operation("CreateAccessKey", self._create_key, self.target),
            Operation("ListAccessKeys", self._list_keys, self.target),
            Operation("UpdateAccessKey", self._update_key, self.target),
            Operation("DeleteAccessKey", self._delete_key, self.target),
            Operation("PutUserPermissionsBoundary", self._put_boundary, self.target),
            Operation("DeleteUserPermissionsBoundary", self._delete_boundary, self.target),
            *tagging.operations(),
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
        keys = {**targets.holder_keys(call, found), **targets.requested(call)}
        return Target(found.arn if found else targets.arn(call, f"user/{name}"), keys=keys, label=f"user {name}")

    def _new_user(self, call: Call) -> Target:
        arn = targets.arn(call, f"user{targets.path_of(call)}{call.params['UserName']}")
        return Target(arn, keys=targets.requested(call))

    def _all(self, call: Call) -> Target:
        return Target(targets.arn(call, f"user{targets.path_of(call, 'PathPrefix')}"))

    def _renamed(self, call: Call) -> list[Target]:
        """Renaming needs the permission on the old name and on the new one."""
        found = self._directory.user(call.params["UserName"])
        path = call.params.get("NewPath") or (found.path if found else "/")
        name = call.params.get("NewUserName") or call.params["UserName"]
        return [self.target(call), Target(targets.arn(call, f"user{path}{name}"), label=f"user {name}")]

    def named(self, call: Call) -> User:
        """The user that a call names, or the caller."""
        return self.find(_name(call))

    def _create(self, call: Call) -> dict[str, Any]:
        name, path = call.params["UserName"], targets.path_of(call)
        if self._directory.taken("iam-user", name):
            raise checks.taken(f"User with name {name} already exists.")
        if self._directory.database.count("iam-user") >= checks.USERS:
            raise checks.beyond(f"Cannot exceed quota for UsersPerAccount: {checks.USERS}")
        user = User(
            name=name,
            id=new_id("AIDA"),
            arn=targets.arn(call, f"user{path}{name}"),
            path=path,
            created_at=call.now,
            tags=checks.tags(call.params.get("Tags", ())),
            boundary=checks.boundary(self._directory, call.params.get("PermissionsBoundary", "")),
        )
        self._directory.save(user)
        return {"User": shapes.user(user)}

    def _get(self, call: Call) -> dict[str, Any]:
        return {"User": shapes.user(self.named(call))}

    def _list(self, call: Call) -> dict[str, Any]:
        prefix = targets.path_of(call, "PathPrefix")

        def after(key: str) -> Iterator[tuple[str, Any]]:
            users = (user for user in self._directory.each("iam-user", after=key) if user.path.startswith(prefix))
            return ((user.name, shapes.user(user, whole=False)) for user in users)

        return shapes.page_by_key(call, "Users", after)

    def _update(self, call: Call) -> None:
        """Another name or path; the unique id stays, so policies that name the user go on doing so."""
        user = self.find(call.params["UserName"])
        name, path = call.params.get("NewUserName") or user.name, call.params.get("NewPath") or user.path
        if name.lower() != user.name.lower() and self._directory.taken("iam-user", name):
            raise checks.taken(f"User with name {name} already exists.")
        if name != user.name:
            for key in self._directory.access_keys(user.name):
                self._directory.save_access_key(replace(key, user=name))
            self._directory.remove("iam-user", user.name)
        self._directory.save(replace(user, name=name, path=path, arn=targets.arn(call, f"user{path}{name}")))

    def _delete(self, call: Call) -> None:
        user = self.named(call)
        if self._directory.access_keys(user.name):
            raise checks.in_use("Cannot delete entity, must delete access keys first.")
        if user.groups:
            raise checks.in_use("Cannot delete entity, must remove user from all groups first.")
        if user.attached:
            raise checks.in_use("Cannot delete entity, must detach all policies first.")
        if user.inline:
            raise checks.in_use("Cannot delete entity, must delete policies first.")
        self._directory.remove("iam-user", user.name)

    def _create_key(self, call: Call) -> dict[str, Any]:
        user = self.named(call)
        if len(self._directory.access_keys(user.name)) >= checks.ACCESS_KEYS_PER_USER:
            raise checks.beyond(f"Cannot exceed quota for AccessKeysPerUser: {checks.ACCESS_KEYS_PER_USER}")
        key = new_access_key(user.name, call.now)
        self._directory.save_access_key(key)
        return {"AccessKey": {**shapes.access_key(key), "SecretAccessKey": key.secret}}

    def _list_keys(self, call: Call) -> dict[str, Any]:
        user = self.named(call)
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
        boundary = checks.boundary(self._directory, call.params["PermissionsBoundary"])
        self._directory.save(replace(self.named(call), boundary=boundary))

    def _delete_boundary(self, call: Call) -> None:
        user = self.named(call)
        if not user.boundary:
            raise checks.missing(f"The permissions boundary for user {user.name} cannot be found.")
        self._directory.save(replace(user, boundary=""))


def _name(call: Call) -> str:
    name = call.params.get("UserName")
    if not name and call.caller.kind != "User":
        raise validation("Must specify userName when calling with non-User credentials")
    return str(name or call.caller.name)
