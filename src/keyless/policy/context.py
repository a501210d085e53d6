"""The request context as conditions and variables see it: keys without case, one value or many."""

from __future__ import annotations

from collections.abc import Mapping

from keyless.policy.globs import MULTIPLE, Multiple
from keyless.policy.model import ContextValue, Principal

_TYPES = {
    "AssumedRole": "AssumedRole",
    "User": "User",
    "Root": "Account",
    "WebIdentity": "User",
    "Anonymous": "Anonymous",
}


class Context:
    """A read-only view with lower-case keys; an empty multi-valued key counts as absent.

    The view is made when the first key is asked for: most statements are settled by action and resource alone.
    """

    __slots__ = ("_given", "_principal", "_values")

    def __init__(self, principal: Principal, given: Mapping[str, ContextValue]) -> None:
        self._principal = principal
        self._given = given
        self._values: dict[str, ContextValue] | None = None

    def get(self, key: str) -> ContextValue | None:
        """The value of a lower-case key, or ``None``."""
        values = self._values
        if values is None:
            values = of_principal(self._principal)
            for name, given in self._given.items():
                values[name.lower()] = given
            self._values = values
        value = values.get(key)
        return None if value == () else value

    def single(self, key: str) -> str | Multiple | None:
        """What a policy variable sees."""
        value = self.get(key)
        return MULTIPLE if isinstance(value, tuple) else value


def of_principal(principal: Principal) -> dict[str, ContextValue]:
    """The keys that follow from the principal; for OIDC callers as seen live (identity.md S9)."""
    kind = principal.kind
    values: dict[str, ContextValue] = {"aws:principalisawsservice": "true" if kind == "Service" else "false"}
    if kind in _TYPES:
        values["aws:principaltype"] = _TYPES[kind]
    if principal.account:
        values["aws:principalaccount"] = principal.account
    if principal.service:
        values["aws:principalservicename"] = principal.service
    if arn := _policy_arn(principal):
        values["aws:principalarn"] = arn
    if userid := _userid(principal):
        values["aws:userid"] = userid
    if kind == "User" and (name := principal.arn.rpartition("/")[2]):
        values["aws:username"] = name
    return values


def _policy_arn(principal: Principal) -> str:
    """What policies call the caller: a session is known by its role."""
    if principal.kind == "AssumedRole":
        return principal.role_arn
    return principal.arn if principal.kind in ("User", "Root") else ""


def _userid(principal: Principal) -> str:
    if principal.kind == "WebIdentity":
        return principal.federated
    return principal.account if principal.kind == "Root" else principal.unique_id
