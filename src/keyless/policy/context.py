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
    """A read-only view with lower-case keys; an empty multi-valued key counts as absent."""

    __slots__ = ("_values",)

    def __init__(self, principal: Principal, given: Mapping[str, ContextValue]) -> None:
        self._values: dict[str, ContextValue] = of_principal(principal)
        for key, value in given.items():
            self._values[key.lower()] = value

    def get(self, key: str) -> ContextValue | None:
        """The value of a lower-case key, or ``None``."""
        value = self._values.get(key)
        return None if value == () else value

    def single(self, key: str) -> str | Multiple | None:
        """What a policy variable sees."""
        value = self.get(key)
        return MULTIPLE if isinstance(value, tuple) else value


def of_principal(principal: Principal) -> dict[str, ContextValue]:
    """The keys that follow from the principal; for OIDC callers as seen live (identity.md S9)."""
    arn = {"AssumedRole": principal.role_arn, "User": principal.arn, "Root": principal.arn}.get(principal.kind, "")
    userid = principal.federated if principal.kind == "WebIdentity" else principal.unique_id
    if principal.kind == "Root":
        userid = principal.account
    values: dict[str, ContextValue] = {
        "aws:principalarn": arn,
        "aws:principalaccount": principal.account,
        "aws:principaltype": _TYPES.get(principal.kind, ""),
        "aws:userid": userid,
        "aws:username": principal.arn.rpartition("/")[2] if principal.kind == "User" else "",
        "aws:principalservicename": principal.service,
        "aws:principalisawsservice": "true" if principal.kind == "Service" else "false",
    }
    return {key: value for key, value in values.items() if value}
