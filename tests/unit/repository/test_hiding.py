"""What a failing test prints names no credential; sentences that speak of one stay as they are."""

from __future__ import annotations

import base64
import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.hiding import HIDDEN, hidden, pytest_runtest_makereport

AROUND = st.text("mnopq \n:,", max_size=20)
SECRET = st.text("abcdefXYZ0123456789+/", min_size=12, max_size=60)
URL_SAFE = st.text("abcdefXYZ0123456789-_", min_size=8, max_size=60)
NAMES = (
    "SecretAccessKey", "secretAccessKey", "AWS_SECRET_ACCESS_KEY", "SessionToken", "AWS_SESSION_TOKEN", "token",
    "password", "SecretString", "client-key-data", "Authorization", "Plaintext",
)  # fmt: skip
FORMS = {
    "JSON": lambda name, value: json.dumps({name: value, "after": 1}),
    "JSON in JSON": lambda name, value: json.dumps({"Body": json.dumps({name: value})}),
    "Python": lambda name, value: repr({name: value}),
    "shell": lambda name, value: f"export {name}='{value}'",
    "option": lambda name, value: f"aws --{name} {value} --output json",
    "option with =": lambda name, value: f"aws --{name}={value} --output json",
    "arguments": lambda name, value: repr(("aws", f"--{name}", value, "--output")),
    "YAML": lambda name, value: f"user:\n  {name}: {value}\nafter: 1",
}


@given(st.sampled_from(sorted(FORMS)), st.sampled_from(NAMES), SECRET)
def test_what_stands_behind_a_telling_name_is_hidden(form: str, name: str, value: str) -> None:
    told = hidden(FORMS[form](name, value))
    assert value not in told
    assert HIDDEN in told


@given(SECRET, AROUND, AROUND)
def test_a_bearer_s_header_is_hidden(value: str, before: str, after: str) -> None:
    assert value not in hidden(f"{before}\nAuthorization: Bearer {value}\n{after}")


@given(URL_SAFE, URL_SAFE, AROUND, AROUND)
def test_a_token_is_hidden_wherever_it_stands(claims: str, signature: str, before: str, after: str) -> None:
    token = f"eyJhbGciOiJSUzI1NiJ9.eyJ{claims}.{signature}"
    for form in (token, base64.b64encode(token.encode()).decode()):
        told = hidden(f"{before} {form} {after}")
        assert form not in told
        assert claims not in told


@given(SECRET)
def test_a_private_key_is_hidden_in_pem_and_in_base64_even_if_cut(body: str) -> None:
    pem = f"-----BEGIN RSA PRIVATE KEY-----\n{body}\n"
    for form in (pem, pem + "-----END RSA PRIVATE KEY-----", base64.b64encode(pem.encode()).decode()):
        told = hidden(f"data: {form}")
        assert body not in told
        assert base64.b64encode(body.encode()).decode()[4:-8] not in told


@pytest.mark.parametrize(
    "sentence",
    [
        "An error occurred (InvalidIdentityToken) when calling the AssumeRoleWithWebIdentity operation: No provider",
        "InvalidIdentityToken: No OpenIDConnect provider found in your account",
        "a token of the real API server becomes a role",
        'Error from server (NotFound): deployments.apps "vector" not found',
        "arn:aws:sts::111122223333:assumed-role/keyless-billing/botocore-session-1",
        "kubectl create token keyless -n kube-system --duration=24h",
    ],
)
def test_a_sentence_that_speaks_of_a_token_stays(sentence: str) -> None:
    assert hidden(sentence) == sentence


@given(st.text())
def test_hiding_twice_hides_no_more(text: str) -> None:
    assert hidden(hidden(text)) == hidden(text)


def a_command_fails(words: tuple[str, ...]) -> None:
    done = SimpleNamespace(code=1, args=words)
    assert done.code == 0, f"{' '.join(words)} failed"


def test_the_report_of_a_failed_command_shows_its_token_nowhere(request: pytest.FixtureRequest) -> None:
    token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"
    call = pytest.CallInfo.from_call(lambda: a_command_fails(("aws", "--web-identity-token", token)), "call")
    report: Any = pytest.TestReport.from_item_and_call(request.node, call)
    report.sections = [("Captured stdout call", f'{{"SessionToken": "{token}"}}')]
    assert token in report.longreprtext
    hook = pytest_runtest_makereport(request.node, call)
    next(hook)
    with pytest.raises(StopIteration) as ended:
        hook.send(report)
    shown = ended.value.value
    assert token not in shown.longreprtext + str(shown.sections)
    assert "--web-identity-token" in shown.longreprtext
