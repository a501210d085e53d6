"""The whole trust matrix, reasoned from the rules alone: nothing here knows the engine.

``python tests/conformance/policy/trust_matrix.py`` writes ``trust_matrix.json``: for every trust policy that the
dimensions make, whether STS lets each of four tokens in (S) or answers AccessDenied (A).

A policy is one statement: who (principal), what (effect and action), whether sts:TagSession is among the actions, one
operator, the subject in one form, and the audience under one key. A Deny stands beside an Allow for the provider with
both actions and no condition.

Tokens, in the order of the letters: ``plain`` as expected · ``tagged`` the same with session tags, for which the role
must also allow sts:TagSession (S10) · ``subject`` of another service account · ``audience`` for somebody else.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path

FILE = Path(__file__).parent / "trust_matrix.json"
TOKENS = ("plain", "tagged", "subject", "audience")

PRINCIPALS = {
    # name: (as an Allow, as a Deny). "*" lets no token in (S9, seen live); a Deny for it is for everybody (rule 7).
    "the provider": (True, True),
    "another provider": (False, False),
    "AWS star": (False, True),
    "a service": (False, False),
}

EFFECTS = {
    # name: (is a Deny, includes AssumeRoleWithWebIdentity)
    "Allow": (False, True),
    "Deny": (True, True),
    "Allow NotAction": (False, True),
    "Deny NotAction": (True, True),
    "Allow NotAction of this": (False, False),
    "Deny NotAction of this": (True, False),
}

TAG_SESSION = {"TagSession": True, "no TagSession": False}

# The subject, by operator and form: (holds for the expected subject, holds for another). Rules 9–12:
# equality takes a star literally; a list is OR; no condition holds; "foreign" is the subject under another issuer's
# key, which the token does not have: positive operators are then false, IfExists true.
# Null expects: equals "false" (must be there), like "true" (must not), list both, foreign "false".
SUBJECTS = {
    "StringEquals": {
        "equals": (True, False),
        "like": (False, False),
        "list": (True, False),
        "absent": (True, True),
        "foreign": (False, False),
    },
    "StringLike": {
        "equals": (True, False),
        "like": (True, False),
        "list": (True, False),
        "absent": (True, True),
        "foreign": (False, False),
    },
    "ForAnyValue:StringEquals": {
        "equals": (True, False),
        "like": (False, False),
        "list": (True, False),
        "absent": (True, True),
        "foreign": (False, False),
    },
    "StringEqualsIfExists": {
        "equals": (True, False),
        "like": (False, False),
        "list": (True, False),
        "absent": (True, True),
        "foreign": (True, True),
    },
    "Null": {
        "equals": (True, True),
        "like": (False, False),
        "list": (True, True),
        "absent": (True, True),
        "foreign": (False, False),
    },
}

# The audience, by operator and key: (holds for the expected audience, holds for another). S9: ``aud`` is the single
# audience, or ``azp`` where the token has several and one of them is authorised; ``oaud`` is the list of them, which no
# single-valued operator ever meets, IfExists included (rule 10, seen live). Null expects "false".
AUDIENCES = {
    "StringEquals": {"aud": (True, False), "azp": (True, False), "oaud": (False, False)},
    "StringLike": {"aud": (True, False), "azp": (True, False), "oaud": (False, False)},
    "ForAnyValue:StringEquals": {"aud": (True, False), "azp": (True, False), "oaud": (True, False)},
    "StringEqualsIfExists": {"aud": (True, False), "azp": (True, False), "oaud": (False, False)},
    "Null": {"aud": (True, True), "azp": (True, True), "oaud": (True, True)},
}


def lets_in(principal: str, effect: str, tag_session: str, *, holds: bool, token: str) -> bool:
    """Whether STS accepts a token for which the statement's conditions hold or not."""
    denies, this = EFFECTS[effect]
    applies = PRINCIPALS[principal][denies] and holds
    for_role, for_tags = applies and this, applies and TAG_SESSION[tag_session]
    if denies:
        for_role, for_tags = not for_role, not for_tags
    return for_role and (for_tags or token != "tagged")


def rows() -> list[tuple[str, str, str, str, str, dict[str, str]]]:
    """Principal, effect, TagSession, operator, form of the subject, and per key of the audience a letter per token."""
    return [
        (principal, effect, tag_session, operator, subject, _letters(principal, effect, tag_session, operator, subject))
        for principal, effect, tag_session, operator in itertools.product(PRINCIPALS, EFFECTS, TAG_SESSION, SUBJECTS)
        for subject in SUBJECTS[operator]
    ]


def _letters(principal: str, effect: str, tag_session: str, operator: str, subject: str) -> dict[str, str]:
    found = {}
    for key, (expected, another) in AUDIENCES[operator].items():
        right, wrong = SUBJECTS[operator][subject]
        holds = {
            "plain": right and expected,
            "tagged": right and expected,
            "subject": wrong and expected,
            "audience": right and another,
        }
        accepted = (lets_in(principal, effect, tag_session, holds=holds[token], token=token) for token in TOKENS)
        found[key] = "".join("S" if one else "A" for one in accepted)
    return found


def text() -> str:
    """The data file: one row a line."""
    return "[\n" + ",\n".join(json.dumps(row) for row in rows()) + "\n]\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
