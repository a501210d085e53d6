"""Which stack a call means, for its operation and for authorisation."""

from __future__ import annotations

import re
from typing import Any

from keyless.local.cloud.authorise import resource_tag_keys, tag_keys
from keyless.local.cloud.call import Call, Target
from keyless.local.cloud.cloudformation.actor import SERVICE
from keyless.local.cloud.cloudformation.model import ChangeSet, Stack
from keyless.local.cloud.cloudformation.store import Store
from keyless.local.cloud.errors import AwsError, validation

_NAME = re.compile(r"[a-zA-Z][-a-zA-Z0-9]*")
_LONGEST_NAME = 128


class Finding:
    """Looks stacks up."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def stack(self, name_or_id: str, missing: str = "Stack with id {} does not exist") -> Stack:
        """The stack; ``missing`` is the operation's sentence for one that is not there."""
        found = self._store.stack(name_or_id)
        if found is None:
            raise validation(missing.format(name_or_id))
        return found

    def change_set(self, call: Call) -> ChangeSet:
        """The change set that the parameters name, by its ARN or by its name and stack."""
        name = call.params["ChangeSetName"]
        if found := self._store.change_set(name):
            return found
        stack_name = call.params.get("StackName")
        if stack_name is None and not name.startswith("arn:"):
            raise validation("StackName must be specified if ChangeSetName is not specified as an ARN.")
        stack = self._store.stack(stack_name or "")
        for one in self._store.change_sets(stack.id) if stack else ():
            if one.name == name:
                return one
        raise AwsError("ChangeSetNotFound", f"ChangeSet [{name}] does not exist", status=404)

    def on_stack(self, call: Call) -> Target:
        """The stack of ``StackName``, with what the call asks for as condition keys."""
        name = call.params.get("StackName") or ""
        found = self._store.stack(name) if name else None
        arn = found.id if found else name if name.startswith("arn:") else call.arn(f"stack/{name or '*'}/*")
        return Target(arn, keys={**resource_tag_keys(dict(found.wish.tags) if found else {}), **_asked(call)})

    def on_change_set(self, call: Call) -> Target:
        """The stack of a change set: permission is asked on the stack."""
        name = call.params["ChangeSetName"]
        found = self._store.change_set(name)
        keys = {"cloudformation:ChangeSetName": name.split("/")[1] if "/" in name else name}
        if found is None:
            target = self.on_stack(call)
            return Target(target.resource, keys={**target.keys, **keys})
        return Target(found.stack_id, keys={**keys, **_asked(call)})

    def with_role(self, call: Call) -> list[Target]:
        """The stack, and iam:PassRole on the service role that the call names."""
        role = call.params.get("RoleARN")
        passed = Target(role or "", action="iam:PassRole", keys={"iam:PassedToService": SERVICE})
        return [self.on_stack(call), *([passed] if role else [])]


def _asked(call: Call) -> dict[str, Any]:
    params = call.params
    keys: dict[str, Any] = dict(tag_keys(tags_asked(call)))
    named = {"RoleARN": "RoleArn", "ChangeSetName": "ChangeSetName", "TemplateURL": "TemplateUrl"}
    keys |= {f"cloudformation:{key}": params[name] for name, key in named.items() if params.get(name)}
    if types := params.get("ResourceTypes"):
        keys["cloudformation:ResourceTypes"] = tuple(types)
    return keys


def tags_asked(call: Call) -> dict[str, str]:
    """The tags of a request."""
    return {one["Key"]: one["Value"] for one in call.params.get("Tags") or ()}


def checked_name(name: str) -> str:
    """A stack's name; raises ValidationError in AWS's words."""
    constraint = ""
    if not _NAME.fullmatch(name):
        constraint = f"Member must satisfy regular expression pattern: {_NAME.pattern}"
    elif len(name) > _LONGEST_NAME:
        constraint = f"Member must have length less than or equal to {_LONGEST_NAME}"
    if constraint:
        text = f"Value '{name}' at 'stackName' failed to satisfy constraint: {constraint}"
        raise validation(f"1 validation error detected: {text}")
    return name
