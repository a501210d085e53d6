"""A Deny that is about what a write says of itself: the Helm values that would make it say so. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from keyless.identity.verify.model import Facts, Fix
from keyless.identity.verify.untold import absent_of, untold
from keyless.identity.verify.values import upgrade
from keyless.policy import Decision, Outcome, evaluate

_ENCRYPTION = "s3:x-amz-server-side-encryption"
_KEY = f"{_ENCRYPTION}-aws-kms-key-id"
_ACL = "s3:x-amz-acl"
_WITH_ACL = ("billing.storage",)
_VALUES = {_ENCRYPTION: "serverSideEncryption", _KEY: "ssekmsKeyId", _ACL: "acl"}
"""The value below ``Subject.storage`` for each condition key: facts/s3-writes.md."""
_ANY = {_ENCRYPTION: "AES256"}
"""What will do where a policy wants the header and does not say which."""


def values_that_meet(facts: Facts, refused: Iterable[Decision]) -> Fix | None:
    """The upgrade after which nothing of ``refused`` is refused; None where no header would make the difference."""
    said: dict[str, str] = {}
    for decision in refused:
        met = _met(facts, decision, said)
        if met is None:
            return None
        said = met
    if not said or not facts.subject.storage:
        return None
    # Only what is uploaded for others to read has an ACL to set.
    if _ACL in said and facts.subject.storage not in _WITH_ACL:
        return None
    changes = {f"{facts.subject.storage}.aws.{_VALUES[key]}": value for key, value in said.items()}
    return Fix(upgrade(facts.space, changes), "says so of everything that is stored from then on")


def _met(facts: Facts, decision: Decision, said: Mapping[str, str]) -> dict[str, str] | None:
    """What a write must say so that this one is allowed; of several statements each wants its own."""
    told, absent = dict(said), absent_of(facts.access)
    # A policy may hold a Deny for each header: what one of them wants is told before the next is asked.
    for _ in range(len(_VALUES) + 1):
        context = {**decision.request.context, **told}
        decision = evaluate(replace(decision.request, context=context), decision.policies)
        if decision.allowed:
            return told if not untold(decision, absent - told.keys()) else None
        wanted = dict(_wanted(decision)) if decision.outcome is Outcome.EXPLICIT_DENY else {}
        if not wanted.items() - told.items():
            return None
        told |= wanted
        if _KEY in told:
            told.setdefault(_ENCRYPTION, "aws:kms")
    return None


def _wanted(decision: Decision) -> Iterator[tuple[str, str]]:
    applying = (one for one in decision.trace if one.effect == "Deny" and one.applies)
    for condition in (each for one in applying for each in one.conditions):
        key, operator = condition.key.lower(), condition.operator.lower().removesuffix("ifexists")
        if key not in _VALUES:
            continue
        if operator == "null" and key in _ANY and condition.expected == ("true",):
            yield key, _ANY[key]
        elif operator in {"stringnotequals", "stringnotequalsignorecase", "arnnotequals"}:
            yield key, condition.expected[0]
