"""The permission that a role lacks, added to what it has and proven. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable

from keyless.api import Access, Arn
from keyless.identity.verify.model import Fix, Role, Unread
from keyless.policy import MalformedPolicy, Named, Source, parse, size
from keyless.policy.amend import Written, compact, difference, proven, with_statement

# What all inline policies of a role may hold together (facts/identity.md#quotas).
_INLINE_QUOTA = 10_240

Holds = Callable[[tuple[Source, ...]], bool]
"""Whether the component may do its work by these identity policies."""


def permit(role: Role, access: Access, missing: Iterable[tuple[str, str]], holds: Holds) -> Fix | None:
    """Allow what is ``missing`` (action, resource pattern) by statements more in an inline policy of our name.

    A policy of that name which is there keeps its statements: PutRolePolicy replaces the whole document.
    """
    if isinstance(role.inline, Unread):
        return None
    name = f"keyless-{access.component}"
    before, added = role.inline.get(name), permissions(missing)
    after = with_permissions(before, added)
    label = f"inline policy {name}"
    try:
        new = Named(label, parse(after, "identity"))
    except MalformedPolicy:
        return None
    others = tuple(source for source in role.identity if source.name != label)
    if not holds((*others, new)) or not proven(before, after, added, "identity"):
        return None
    rest = sum(size(compact(document)) for key, document in role.inline.items() if key != name)
    if rest + size(compact(after)) > _INLINE_QUOTA:
        return None
    says = f"adds a statement to {label}, which has others" if before else f"adds {label}"
    return Fix(put(role.name, name, after), f"{says}; nothing else changes", difference(before, after))


def permissions(needs: Iterable[tuple[str, str]]) -> list[Written]:
    """A statement for the actions that are needed on the same resources: none is allowed where it is not needed."""
    resources: dict[str, dict[str, None]] = {}
    for action, resource in needs:
        resources.setdefault(action, {})[resource] = None
    actions: dict[tuple[str, ...], list[str]] = {}
    for action, found in resources.items():
        actions.setdefault(tuple(found), []).append(action)
    return [{"Effect": "Allow", "Action": told, "Resource": list(found)} for found, told in actions.items()]


def with_permissions(document: Written | None, added: Iterable[Written]) -> Written:
    """The document with these statements more at its end."""
    for statement in added:
        document = with_statement(document, statement)
    return document or {}


def needed(access: Access) -> list[tuple[str, str]]:
    """Every action with every resource of its own service, or with those that it is needed on."""
    only = dict(access.only)
    return [
        (action, pattern)
        for action in access.actions
        for pattern in only.get(action, access.resources)
        if Arn.parse(pattern).service == action.partition(":")[0]
    ]


def put(role: str, name: str, document: Written) -> str:
    """The command that writes an inline policy."""
    text = shlex.quote(compact(document))
    return f"aws iam put-role-policy --role-name {role} --policy-name {name} --policy-document {text}"
