import base64
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyless.aws import AwsTransient
from keyless.identity.agent.model import Refused, check_host, check_token_untrusted, credentials_of

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def a_token(**claims):
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'RS256'})}.{part(claims)}.sig"


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("127.0.0.1:4321", True),
        ("127.0.0.1", True),
        ("[fd00:ec2::23]:80", True),
        ("[fd00:ec2::23]", True),
        ("fd00:ec2::23", True),
        ("evil.example:80", False),
        ("127.0.0.2", False),
        ("", False),
    ],
)
def test_only_the_bound_addresses_are_accepted_as_host(host, allowed):
    assert (check_host(host, ("127.0.0.1", "fd00:ec2::23")) is None) is allowed


def test_the_refusal_of_a_host_is_upstreams_text():
    assert check_host("x:80", ("169.254.170.23", "fd00:ec2::23")) == Refused(
        403,
        "Access Denied. Called agent through invalid address, please use either "
        "[169.254.170.23 [fd00:ec2::23]] address not x",
    )


@pytest.mark.parametrize(
    ("token", "text"),
    [
        ("", "Service account token cannot be empty"),
        ("abc", "Service account token cannot be parsed: token contains an invalid number of segments"),
        ("a.b.c", "Service account token cannot be parsed: "),
        (a_token(exp=NOON.timestamp()), "failed basic claim validations: token is expired"),
        (a_token(nbf=NOON.timestamp() + 1), "failed basic claim validations: token is not valid yet"),
    ],
)
def test_a_token_is_checked_before_anyone_is_asked(token, text):
    refused = check_token_untrusted(token, NOON)
    assert refused.status == 400
    assert text in refused.text


def test_a_token_within_its_times_passes():
    assert check_token_untrusted(a_token(exp=NOON.timestamp() + 1, nbf=NOON.timestamp()), NOON) is None


@settings(max_examples=100, deadline=None)
@given(st.text())
def test_any_text_is_answered_and_never_quoted(text):
    refused = check_token_untrusted(text, NOON)
    assert refused is None or len(text) < 12 or text not in refused.text


def test_the_account_is_read_from_the_sessions_arn():
    found = credentials_of(
        {
            "credentials": {
                "accessKeyId": "A",
                "secretAccessKey": "pl4nted",
                "sessionToken": "pl4nted",
                "expiration": NOON,
            },
            "assumedRoleUser": {"arn": "arn:aws:sts::111122223333:assumed-role/r/eks-s"},
        }
    )
    assert json.loads(found.body()) == {
        "AccessKeyId": "A",
        "SecretAccessKey": "pl4nted",
        "Token": "pl4nted",
        "AccountId": "111122223333",
        "Expiration": "2026-01-01T12:00:00Z",
    }
    assert "pl4nted" not in repr(found)


WHOLE = {"accessKeyId": "A", "secretAccessKey": "S", "sessionToken": "T", "expiration": datetime.now(UTC)}


@pytest.mark.parametrize(
    "answer",
    [{}, {"credentials": None}, {"credentials": []}, *({"credentials": {**WHOLE, name: None}} for name in WHOLE)],
)
def test_an_answer_without_credentials_is_tried_again(answer):
    with pytest.raises(AwsTransient, match="found an answer without") as raised:
        credentials_of(answer)
    assert raised.value.code == "ResponseParser"
