"""The Principal and NotPrincipal elements (facts/identity.md#principals).

What a match is worth differs: an entry for the account only delegates to that account's own policies; one for a role
(or "*") grants, limited by boundary and session policies; one for the very user or session grants whatever those say.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from keyless.policy.model import Principal


class Grant(IntEnum):
    """How much a matching statement grants by itself."""

    NONE = 0
    ACCOUNT = 1
    ROLE = 2
    DIRECT = 3


@dataclass(frozen=True, slots=True)
class PrincipalSet:
    """The entries of one element. ``accounts`` holds ids; ``aws`` ARNs and unique ids; ``negated``: NotPrincipal.

    ``trust``: it stands in a role's trust policy, where "*" as an Allow lets in no token of an identity provider (seen
    live) and no service. ``roots``: the accounts that were written as ARNs, which decides nothing.
    """

    everyone: bool = False
    accounts: frozenset[str] = frozenset()
    aws: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()
    federated: frozenset[str] = frozenset()
    canonical: frozenset[str] = frozenset()
    negated: bool = False
    trust: bool = False
    roots: frozenset[str] = field(default=frozenset(), compare=False)

    def grant(self, principal: Principal, *, deny: bool, bounded: bool) -> Grant:
        """What the element means for ``principal``; ``bounded``: it has a permissions boundary."""
        if self.negated:
            # A Deny with NotPrincipal always hits a principal with a boundary.
            return Grant.NONE if self._lists_all_of(principal) and not bounded else Grant.DIRECT
        return max(self._named(principal), self._as_anyone(principal, deny=deny))

    def _named(self, principal: Principal) -> Grant:
        if principal.kind == "WebIdentity":
            return Grant.DIRECT if principal.federated in self.federated else Grant.NONE
        if principal.kind == "Service":
            return Grant.DIRECT if principal.service in self.services else Grant.NONE
        in_account = principal.account in self.accounts or principal.canonical_id in self.canonical
        if principal.kind == "Root":
            return Grant.DIRECT if in_account else Grant.NONE
        unique_id = principal.unique_id.partition(":")[0]
        if principal.arn in self.aws and principal.arn != principal.role_arn:
            return Grant.DIRECT
        if principal.kind == "User" and unique_id in self.aws:
            return Grant.DIRECT
        if principal.role_arn in self.aws or unique_id in self.aws:
            return Grant.ROLE
        return Grant.ACCOUNT if in_account else Grant.NONE

    def _as_anyone(self, principal: Principal, *, deny: bool) -> Grant:
        if not self.everyone or (self.trust and not deny and principal.kind in ("WebIdentity", "Service")):
            return Grant.NONE
        return Grant.ROLE

    def _lists_all_of(self, principal: Principal) -> bool:
        """To be spared by NotPrincipal the account, the role and the session must all be listed, or everybody."""
        if self.everyone:
            return True
        if principal.kind == "WebIdentity":
            return principal.federated in self.federated
        if principal.kind == "Service":
            return principal.service in self.services
        if principal.kind == "Root":
            return principal.account in self.accounts
        unique_id = principal.unique_id.partition(":")[0]  # stored policies name users and roles by it
        named = principal.role_arn or principal.arn
        return (
            principal.account in self.accounts
            and (named in self.aws or (bool(unique_id) and unique_id in self.aws))
            and (not principal.role_arn or principal.arn in self.aws)
        )
