"""Acting as somebody else: what the ``Impersonate-…`` headers ask for, and whom the caller becomes. Pure.

Every header is a question of its own to authorisation: being allowed to act as a user says nothing of a group, a UID or
an extra. Rules: https://kubernetes.io/docs/reference/access-authn-authz/user-impersonation/
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

from keyless.local.cluster.authorization.attributes import Asked
from keyless.local.cluster.users import (
    AUTHENTICATED,
    UNAUTHENTICATED,
    User,
    service_account_groups,
    split_service_account,
)

AUTHENTICATION = "authentication.k8s.io"
_EXTRA = "impersonate-extra-"
_ANONYMOUS = "system:anonymous"


class NobodyNamed(ValueError):
    """Groups, a UID or extras were asked for without a user."""


@dataclass(frozen=True, slots=True)
class Impersonation:
    """What the headers ask for."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: tuple[tuple[str, str], ...] = ()

    def questions(self) -> list[Asked]:
        """Everything that the caller needs the verb ``impersonate`` for."""
        account = split_service_account(self.name)
        if account:
            asked = [Asked("impersonate", resource="serviceaccounts", namespace=account[0], name=account[1])]
        else:
            asked = [Asked("impersonate", resource="users", name=self.name)]
        asked += [Asked("impersonate", resource="groups", name=group) for group in self.groups]
        asked += [
            Asked("impersonate", AUTHENTICATION, "userextras", subresource=key, name=value) for key, value in self.extra
        ]
        if self.uid:
            asked.append(Asked("impersonate", AUTHENTICATION, "uids", name=self.uid))
        return asked

    def user(self) -> User:
        """Whom the caller becomes."""
        account = split_service_account(self.name)
        groups = self.groups or (service_account_groups(account[0]) if account else ())
        everybody = UNAUTHENTICATED if self.name == _ANONYMOUS else AUTHENTICATED
        if not {AUTHENTICATED, UNAUTHENTICATED} & set(groups):
            groups = (*groups, everybody)
        extra: dict[str, tuple[str, ...]] = {}
        for key, value in self.extra:
            extra[key] = (*extra.get(key, ()), value)
        return User(self.name, groups, self.uid, extra)


def asked_for(headers: Iterable[tuple[str, str]]) -> Impersonation | None:
    """Read the headers (lower-case names, repeated as they came); raises ``NobodyNamed``."""
    name, uid = "", ""
    groups: list[str] = []
    extra: list[tuple[str, str]] = []
    for header, value in headers:
        if header == "impersonate-user":
            name = name or value
        elif header == "impersonate-group":
            groups.append(value)
        elif header == "impersonate-uid":
            uid = uid or value
        elif header.startswith(_EXTRA):
            extra.append((unquote(header.removeprefix(_EXTRA)).lower(), value))
    if name:
        return Impersonation(name, tuple(groups), uid, tuple(extra))
    if groups or uid or extra:
        raise NobodyNamed(
            f"requested impersonation of groups {groups}, uid {uid!r}, extra {sorted({key for key, _ in extra})} "
            "without impersonating a user"
        )
    return None
