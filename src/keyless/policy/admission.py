"""Whom a trust policy admits by web identity: sets of (provider, subject, audience).

What is listed is never too little: a token that STS would accept lies in one of the sets. It is exact where a set has
neither ``further`` conditions nor ``unless``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from keyless.policy.conditions import Condition
from keyless.policy.globs import matcher, read
from keyless.policy.statements import Document, Statement

_WEB_IDENTITY = "sts:assumerolewithwebidentity"
_EQUALS = ("StringEquals", "ForAnyValue:StringEquals")
_LIKE = ("StringLike", "ForAnyValue:StringLike")


@dataclass(frozen=True, slots=True)
class Admission:
    """One way into a role by web identity.

    ``provider``: the OIDC provider's ARN. ``subjects`` and ``audiences``: texts, or patterns (``*`` and ``?`` are
    wildcards) where ``…_are_patterns``; empty means any. ``further``: other conditions, as "operator key values".
    ``unless``: what Deny statements take away again, each as its conditions, or "always".
    """

    provider: str
    subjects: tuple[str, ...]
    subjects_are_patterns: bool
    audiences: tuple[str, ...]
    statement: str
    further: tuple[str, ...] = ()
    audiences_are_patterns: bool = False
    unless: tuple[str, ...] = ()

    def admits(self, subject: str, audience: str) -> bool:
        """Whether the set holds a token's subject and audience (``azp`` where it has one); ``further`` is not asked."""
        return _lists(self.subjects, subject, patterns=self.subjects_are_patterns) and self.has_audience(audience)

    def has_audience(self, audience: str) -> bool:
        """Whether the set holds a token's audience, whatever its subject."""
        return _lists(self.audiences, audience, patterns=self.audiences_are_patterns)


def _lists(wanted: Sequence[str], value: str, *, patterns: bool) -> bool:
    if not wanted or (not patterns and value in wanted):
        return True
    return patterns and any(matcher(read(text, wildcards=True, variables=False))(value) for text in wanted)


def admitted(trust: Document) -> tuple[Admission, ...]:
    """The ways into a role by AssumeRoleWithWebIdentity, one per Allow statement and provider."""
    about = [one for one in trust.statements if one.principals and one.actions.match(_WEB_IDENTITY)]
    return tuple(
        _admission(statement, provider, tuple(_taken(deny) for deny in about if _denies(deny, provider)))
        for statement in about
        if not statement.deny and statement.principals
        for provider in sorted(statement.principals.federated)
    )


def _denies(statement: Statement, provider: str) -> bool:
    entries = statement.principals
    return bool(statement.deny and entries and (entries.everyone or provider in entries.federated))


def _taken(statement: Statement) -> str:
    return " and ".join(_line(condition) for condition in statement.conditions) or "always"


def _line(condition: Condition) -> str:
    return f"{condition.operator.name} {condition.key} {', '.join(condition.expected)}"


def _admission(statement: Statement, provider: str, unless: tuple[str, ...]) -> Admission:
    host = provider.partition(":oidc-provider/")[2] or provider
    subjects = _first(statement, f"{host}:sub")
    audiences = _first(statement, f"{host}:aud")
    rest = [condition for condition in statement.conditions if condition not in (subjects, audiences)]
    return Admission(
        provider=provider,
        subjects=subjects.expected if subjects else (),
        subjects_are_patterns=bool(subjects and subjects.operator.name in _LIKE),
        audiences=audiences.expected if audiences else (),
        statement=statement.sid or f"statement {statement.index}",
        further=tuple(_line(condition) for condition in rest),
        audiences_are_patterns=bool(audiences and audiences.operator.name in _LIKE),
        unless=unless,
    )


def _first(statement: Statement, key: str) -> Condition | None:
    """The condition on ``key`` that reads as a list of what is admitted: positive, and without variables or escapes."""
    return next((one for one in statement.conditions if one.lowered == key.lower() and _is_list(one)), None)


def _is_list(condition: Condition) -> bool:
    is_text = not (condition.variables and any("${" in value for value in condition.expected))
    return condition.operator.name in (*_EQUALS, *_LIKE) and bool(condition.expected) and is_text
