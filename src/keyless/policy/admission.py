"""Who a trust policy admits (being written)."""

from __future__ import annotations

from dataclasses import dataclass

from keyless.policy.statements import Document


@dataclass(frozen=True, slots=True)
class Admission:
    """One way into a role by web identity.

    ``provider``: the OIDC provider's ARN. ``subjects`` and ``audiences``: patterns (``*`` and ``?`` are wildcards only
    where ``subjects_are_patterns``); empty means any. ``further``: other conditions, as "operator key values".
    """

    provider: str
    subjects: tuple[str, ...]
    subjects_are_patterns: bool
    audiences: tuple[str, ...]
    statement: str
    further: tuple[str, ...] = ()


def admitted(trust: Document) -> tuple[Admission, ...]:
    """The ways into a role by AssumeRoleWithWebIdentity, one per Allow statement and provider."""
    raise NotImplementedError


def admits_all(a: Document, b: Document) -> bool:
    """True when it is proven that ``a`` allows every request that ``b`` allows; False means not proven."""
    raise NotImplementedError
