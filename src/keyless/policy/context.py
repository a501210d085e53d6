"""The request context as conditions and variables see it: keys without case, one value or many."""

from __future__ import annotations

from collections.abc import Callable

from keyless.policy.arns import account_of
from keyless.policy.model import ContextValue, Principal, Request

_TYPES = {
    "AssumedRole": "AssumedRole",
    "User": "User",
    "FederatedUser": "FederatedUser",
    "Root": "Account",
    "WebIdentity": "User",
    "Anonymous": "Anonymous",
}


class Context(dict[str, ContextValue | None]):
    """``context[key]`` is the value of a lower-case key, ``None`` where it is absent; an empty list counts as absent.

    A dictionary, since every condition of every decision reads from it. What the request does not tell and follows from
    its principal or its resource is added when it is first asked for.
    """

    __slots__ = ("_request",)

    def __init__(self, request: Request) -> None:
        given = request.context
        super().__init__(
            {key.lower(): value if isinstance(value, str) else tuple(value) or None for key, value in given.items()}
        )
        self._request = request

    def __missing__(self, key: str) -> ContextValue | None:
        derive = _DERIVED.get(key)
        value = self[key] = (derive(self._request) or None) if derive else None
        return value


def _arn(principal: Principal) -> str:
    """What policies call the caller: a session of a role is known by the role."""
    if principal.kind == "AssumedRole":
        return principal.role_arn
    return principal.arn if principal.kind in ("User", "FederatedUser", "Root") else ""


def _userid(principal: Principal) -> str:
    if principal.kind == "WebIdentity":
        return principal.federated
    return principal.account if principal.kind == "Root" else principal.unique_id


def _username(principal: Principal) -> str:
    return principal.arn.rpartition("/")[2] if principal.kind == "User" else ""


# For callers by OIDC (facts/identity.md#claims): no aws:PrincipalArn, and the provider is the user id.
_DERIVED: dict[str, Callable[[Request], str]] = {
    "aws:principalaccount": lambda request: request.principal.account,
    "aws:principalarn": lambda request: _arn(request.principal),
    "aws:principalisawsservice": lambda request: "true" if request.principal.kind == "Service" else "false",
    "aws:principalservicename": lambda request: request.principal.service,
    "aws:principaltype": lambda request: _TYPES.get(request.principal.kind, ""),
    "aws:resourceaccount": lambda request: request.resource_account or account_of(request.resource),
    "aws:userid": lambda request: _userid(request.principal),
    "aws:username": lambda request: _username(request.principal),
}
