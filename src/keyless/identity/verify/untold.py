"""Condition keys that only the call itself would tell, and whether an answer hangs on them. Pure.

A missing key makes positive operators false and negated ones true. That is right for a key which the call would not
have either, and wrong for one that nobody told us: then the honest answer is Unknown, with the key's name.
"""

from __future__ import annotations

import re

from keyless.api import Access
from keyless.policy import ConditionTrace, Decision, Layer, Outcome, StatementTrace

_OF_THE_CALL = frozenset(
    f"aws:{name}"
    for name in [
        "calledvia",
        "calledviafirst",
        "calledvialast",
        "principalorgid",
        "principalorgpaths",
        "referer",
        "resourceaccount",
        "resourceorgid",
        "resourceorgpaths",
        "sourceaccount",
        "sourcearn",
        "sourceip",
        "sourcevpc",
        "sourcevpcarn",
        "sourcevpce",
        "tagkeys",
        "useragent",
        "userid",
        "vpcsourceip",
    ]
)
_TAGS = ("aws:requesttag/", "aws:resourcetag/")
# s3:prefix, kms:ViaService; not the issuer's keys, which follow from the chain.
_OF_A_SERVICE = re.compile(r"(?!aws:)[a-z0-9-]+:", re.ASCII)


def untold(decision: Decision, absent: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """The keys that would have to be told for the answer to be certain, sorted; none where it is certain already.

    ``absent`` (lower case) are keys that the call is known not to have.
    """
    deciding = _deciding(decision, absent)
    return tuple(sorted({key for statement in deciding for key in _open_keys(statement, absent)}))


def absent_of(access: Access | None) -> frozenset[str]:
    """The keys that no call of the component has."""
    return frozenset(key.lower() for key, value in (access.sent if access else ()) if not value)


def _deciding(decision: Decision, absent: frozenset[str]) -> list[StatementTrace]:
    """The statements that turn the answer, should their open keys turn out otherwise."""
    trace = [one for one in decision.trace if one.action and one.resource and one.principal]
    denies = [one for one in trace if one.effect == "Deny"]
    if decision.outcome is Outcome.EXPLICIT_DENY:
        applying = [one for one in denies if one.applies]
        return applying if all(_open_keys(one, absent) for one in applying) else []
    if decision.outcome is Outcome.IMPLICIT_DENY:
        layers = (decision.layer, Layer.RESOURCE)
        return [one for one in trace if one.effect == "Allow" and one.layer in layers and _may_apply(one, absent)]
    return [*(one for one in denies if _may_apply(one, absent)), *_only_allows(decision, trace, absent)]


def _only_allows(decision: Decision, trace: list[StatementTrace], absent: frozenset[str]) -> list[StatementTrace]:
    """The Allows of the layer that allowed, if each of them hangs on an open key."""
    allows = [one for one in trace if one.effect == "Allow" and one.layer is decision.layer and one.applies]
    return allows if all(_open_keys(one, absent) for one in allows) else []


def _may_apply(statement: StatementTrace, absent: frozenset[str]) -> bool:
    """Whether it has open keys, and nothing else that keeps it from applying."""
    return all(condition.holds or _is_open(condition, absent) for condition in statement.conditions)


def _open_keys(statement: StatementTrace, absent: frozenset[str]) -> list[str]:
    return [condition.key for condition in statement.conditions if _is_open(condition, absent)]


def _is_open(condition: ConditionTrace, absent: frozenset[str]) -> bool:
    key = condition.key.lower()
    if key in absent:
        return False
    known = key in _OF_THE_CALL or key.startswith(_TAGS) or bool(_OF_A_SERVICE.match(key))
    return condition.actual is None and known
