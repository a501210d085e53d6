"""The token matrix, each case through STS's own door: code, status and text to the letter."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.tokens.stage import SUBJECT, Stage, agrees, matrix, trust

MATRIX = matrix("tokens")


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in MATRIX.named])
def test_a_token_is_judged_as_aws_judges_it(stage: Stage, case: dict[str, Any]) -> None:
    stage.trust(trust(**case.get("condition", {})))
    agrees(stage, stage.assume(case), case, MATRIX.texts)


def of_length(stage: Stage, length: int) -> str:
    """A good token of exactly so many characters: a claim fills it, and the header where base64 has no such length."""
    for extra in range(4):
        filler = length - 600
        for _ in range(4):
            made = stage.token({"header": {"x": "x" * extra}, "claims": {"filler": "f" * filler}})
            if len(made) == length:
                return made
            filler += (length - len(made)) * 3 // 4
    raise AssertionError(length)


@pytest.mark.parametrize("length", [19_999, 20_000])
def test_a_token_of_twenty_thousand_characters_is_taken(stage: Stage, length: int) -> None:
    """S1."""
    assert stage.assume({"token": of_length(stage, length)}).status == 200


@pytest.mark.parametrize("length", [20_001, 20_002, 60_000])
def test_a_longer_one_is_no_parameter_at_all(stage: Stage, length: int) -> None:
    """S1: and the text of the refusal does not quote it."""
    answer = stage.assume({"token": of_length(stage, length)})
    assert (answer.status, answer.code) == (400, "ValidationError")
    assert answer.message == (
        "1 validation error detected: Value at 'webIdentityToken' failed to satisfy constraint:"
        " Member must have length less than or equal to 20000"
    )


def test_a_token_is_good_after_its_pod_is_gone_until_it_expires(stage: Stage) -> None:
    """S13: STS verifies offline, so nothing but the token's own times ends it."""
    token = stage.token({})
    stage.world.clock.pass_seconds(3600 + 299)
    assert stage.assume({"token": token}).fields["SubjectFromWebIdentityToken"] == SUBJECT
    stage.world.clock.pass_seconds(1)
    assert stage.assume({"token": token}).code == "ExpiredTokenException"


def test_one_token_opens_many_sessions(stage: Stage) -> None:
    """S13: nothing counts how often a token is used."""
    token = stage.token({})
    keys = {stage.assume({"token": token}).fields["AccessKeyId"] for _ in range(3)}
    assert len(keys) == 3


def test_no_refusal_quotes_the_token_or_its_signature(stage: Stage) -> None:
    spoiled = stage.token({"spoil": "payload changed", "claims": {"secret": "hush"}})
    answer = stage.assume({"token": spoiled})
    seen = f"{answer.message} {stage.world.audit()[-1]}"
    for part in ("hush", *spoiled.split(".")):
        assert part not in seen
