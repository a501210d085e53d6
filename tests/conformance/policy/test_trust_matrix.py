"""The engine on the whole trust matrix; ``trust_matrix.json`` was reasoned without it."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from conformance.policy import trust_matrix
from keyless.policy import Document, Named, Policies, Request, evaluate
from unit.policy.asking import HOST, POD_IDENTITY, PROVIDER, ROLE, TOKEN, document

ROWS: list[list[Any]] = json.loads(trust_matrix.FILE.read_text("utf-8"))
WEB, TAGS, SAML = "sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:AssumeRoleWithSAML"
SUBJECT, ANOTHER = "system:serviceaccount:ns:vector", "system:serviceaccount:ns:agent"
AUDIENCE = "sts.amazonaws.com"
PRINCIPALS: dict[str, Any] = {
    "the provider": {"Federated": PROVIDER},
    "another provider": {"Federated": "arn:aws:iam::111122223333:oidc-provider/127.0.0.1/clusters/other"},
    "AWS star": {"AWS": "*"},
    "a service": {"Service": POD_IDENTITY.service},
}
SUBJECTS: dict[str, tuple[str, Any, Any]] = {
    # form: key, expected, expected by Null
    "equals": (f"{HOST}:sub", SUBJECT, "false"),
    "like": (f"{HOST}:sub", "system:serviceaccount:*:vector", "true"),
    "list": (f"{HOST}:sub", ["system:serviceaccount:other:agent", SUBJECT], ["true", "false"]),
    "foreign": ("127.0.0.1/clusters/other:sub", SUBJECT, "false"),
}
GROUPS = sorted({tuple(row[:3]) for row in ROWS})


def actions(effect: str, tag_session: str) -> dict[str, Any]:
    with_tags = tag_session == "TagSession"
    if "NotAction" not in effect:
        return {"Action": [WEB, TAGS] if with_tags else [WEB]}
    left_out = WEB if effect.endswith("of this") else SAML
    return {"NotAction": [left_out] if with_tags else [left_out, TAGS]}


def trust(principal: str, effect: str, tag_session: str, condition: dict[str, Any]) -> Document:
    statement = {
        "Effect": effect.partition(" ")[0],
        "Principal": PRINCIPALS[principal],
        "Condition": condition,
        **actions(effect, tag_session),
    }
    beside = {"Effect": "Allow", "Principal": {"Federated": PROVIDER}, "Action": [WEB, TAGS]}
    return document(*([beside] if statement["Effect"] == "Deny" else []), statement, kind="trust")


def condition_of(operator: str, subject: str, audience: str) -> dict[str, Any]:
    key = f"{HOST}:{'oaud' if audience == 'oaud' else 'aud'}"
    keys: dict[str, Any] = {key: "false" if operator == "Null" else AUDIENCE}
    if subject in SUBJECTS:
        name, expected, by_null = SUBJECTS[subject]
        keys[name] = by_null if operator == "Null" else expected
    return {operator: keys}


def accepts(document: Document, token: str, audience: str) -> bool:
    """As STS asks: the role, and the tags where the token brings some."""
    meant = "other.example" if token == "audience" else AUDIENCE
    context: dict[str, Any] = {
        f"{HOST}:sub": ANOTHER if token == "subject" else SUBJECT,
        f"{HOST}:aud": meant,
        f"{HOST}:oaud": (meant,) if audience == "aud" else (meant, "third.example"),
    }
    policies = Policies(resource=Named("trust policy", document))
    wanted = [WEB, TAGS] if token == "tagged" else [WEB]
    return all(evaluate(Request(action, ROLE, TOKEN, context), policies).allowed for action in wanted)


@pytest.mark.parametrize("group", GROUPS, ids=", ".join)
def test_a_trust_policy_lets_in_whom_the_rules_let_in(group: tuple[str, str, str]) -> None:
    wrong = []
    for row in ROWS:
        if tuple(row[:3]) != group:
            continue
        operator, subject, letters = row[3:]
        for audience, token in itertools.product(letters, trust_matrix.TOKENS):
            expected = letters[audience][trust_matrix.TOKENS.index(token)] == "S"
            made = trust(*group, condition_of(operator, subject, audience))
            if accepts(made, token, audience) is not expected:
                wrong.append((operator, subject, audience, token, "should be let in" if expected else "should not"))
    assert wrong == []


def test_the_data_file_is_what_the_rules_say() -> None:
    assert trust_matrix.FILE.read_text("utf-8") == trust_matrix.text(), "run the generator again"


def test_the_matrix_is_whole() -> None:
    """Principal, effect, TagSession, operator, subject, audience, token: the whole product, both answers in it."""
    cells = [letter for row in ROWS for letters in row[5].values() for letter in letters]
    assert len(cells) == 4 * 6 * 2 * 5 * 5 * 3 * 4
    assert cells.count("S") > 2000
    assert cells.count("A") > 2000
