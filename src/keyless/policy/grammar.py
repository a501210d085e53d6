"""What each kind of document may and must hold, and AWS's words when it does not (facts/identity.md#storing).

IAM has two voices: one for identity policies ("Syntax errors in policy."), one for policies with a Principal, which
names the field. S3, KMS and the others speak like the second.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from keyless.policy.errors import MalformedPolicy
from keyless.policy.model import Kind

VERSIONS = ("2008-10-17", "2012-10-17")
TOP_ELEMENTS = frozenset({"Version", "Id", "Statement"})
STATEMENT_ELEMENTS = frozenset(
    {
        "Sid",
        "Effect",
        "Principal",
        "NotPrincipal",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Condition",
    }
)


@dataclass(frozen=True, slots=True)
class Voice:
    """AWS's texts for one kind of document; ``{}`` takes the offender."""

    json: str
    syntax: str
    unknown: str
    version: str
    empty: str
    sids: str
    effect_missing: str
    effect: str
    effect_case: str
    action_missing: str
    resource_missing: str
    operator: str


_IDENTITY = Voice(
    json="Syntax errors in policy.",
    syntax="Syntax errors in policy.",
    unknown="Syntax errors in policy.",
    version="Syntax errors in policy.",
    empty="Syntax errors in policy.",
    sids="Statement IDs (SID) in a single policy must be unique.",
    effect_missing="Syntax errors in policy.",
    effect="Syntax errors in policy.",
    effect_case="The policy failed legacy parsing",
    action_missing="Policy statement must contain actions.",
    resource_missing="Policy statement must contain resources.",
    operator="Syntax errors in policy.",
)
_WITH_PRINCIPAL = Voice(
    json="This policy contains invalid Json",
    syntax="Syntax error in policy.",
    unknown="Unknown field {}",
    version="The policy must contain a valid version string",
    empty="Could not parse the policy: Statement is empty!",
    sids="The Statement Ids in the policy are not unique",
    effect_missing="Missing required field Effect",
    effect="Invalid effect: {}",
    effect_case="Invalid effect: {}",
    action_missing="Missing required field Action",
    resource_missing="Missing required field Resource",
    operator="Invalid Condition type : {}.",
)


@dataclass(frozen=True, slots=True)
class Grammar:
    """The rules of one kind."""

    voice: Voice
    principal: bool
    resource: bool


GRAMMARS: dict[Kind, Grammar] = {
    "identity": Grammar(_IDENTITY, principal=False, resource=True),
    "session": Grammar(_IDENTITY, principal=False, resource=True),
    "boundary": Grammar(_IDENTITY, principal=False, resource=True),
    "scp": Grammar(_IDENTITY, principal=False, resource=True),
    "rcp": Grammar(_WITH_PRINCIPAL, principal=True, resource=True),
    "resource": Grammar(_WITH_PRINCIPAL, principal=True, resource=True),
    "endpoint": Grammar(_WITH_PRINCIPAL, principal=True, resource=True),
    "trust": Grammar(_WITH_PRINCIPAL, principal=True, resource=False),
}


def load(source: str | bytes | Mapping[str, object], voice: Voice) -> Mapping[str, object]:
    """Read JSON as IAM does: an object, no element twice; raises only :class:`MalformedPolicy`."""
    if isinstance(source, Mapping):
        return source
    try:
        value = json.loads(source, object_pairs_hook=_once, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise MalformedPolicy(voice.json) from None
    if not isinstance(value, dict):
        raise MalformedPolicy(voice.json)
    return value


def strings(value: object, voice: Voice) -> tuple[str, ...]:
    """A string, or a list of them."""
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
        raise MalformedPolicy(voice.syntax)
    return tuple(items)


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("an element twice")
    return value


def _refuse(constant: str) -> object:
    raise ValueError(constant)
