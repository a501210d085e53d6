"""Whose identity it is: the pod's own, or one that merely happened to be there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.shared_secrets.projection.identity import Given, judge

ROLE = "arn:aws:iam::111122223333:role/secrets"
SESSION = "arn:aws:sts::111122223333:assumed-role/secrets/eks-keyless-external-secrets"
NODE = "arn:aws:sts::111122223333:assumed-role/node/i-0123456789abcdef0"
USER = "arn:aws:iam::111122223333:user/someone"
ANNOTATED, ASSOCIATED, NOTHING = Given(role_arn=ROLE), Given(associated=True), Given()


@pytest.mark.parametrize(
    ("arn", "told", "reason"),
    [
        (SESSION, ANNOTATED, ""),
        (SESSION, Given(role_arn="arn:aws:iam::111122223333:role/team/a/secrets"), ""),
        (SESSION, ASSOCIATED, ""),
        (SESSION, Given(role_arn=f"{ROLE}2"), "IdentityOfAnotherRole"),
        (SESSION, Given(role_arn=ROLE.replace("111122223333", "444455556666")), "IdentityOfAnotherRole"),
        (SESSION, NOTHING, "IdentityOfAnotherRole"),
        (NODE, ANNOTATED, "IdentityOfNode"),
        (NODE, ASSOCIATED, "IdentityOfNode"),
        (NODE, NOTHING, "IdentityOfNode"),
        (NODE.replace("node/", "secrets/"), ANNOTATED, "IdentityOfNode"),
        (USER, NOTHING, "IdentityOfAnotherRole"),
        (USER, ASSOCIATED, "IdentityOfAnotherRole"),
        (USER, ANNOTATED, "IdentityOfAnotherRole"),
        ("arn:aws:iam::111122223333:root", ASSOCIATED, "IdentityOfAnotherRole"),
        ("", ASSOCIATED, "IdentityOfAnotherRole"),
    ],
)
def test_an_identity_is_the_pods_own_or_named_for_what_it_is(arn, told, reason):
    wrong = judge(arn, told)
    assert (wrong.reason if wrong else "") == reason
    if wrong:
        assert arn in wrong.message
        assert "restart the Deployment external-secrets" in wrong.message


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"AWS_ROLE_ARN": ROLE, "AWS_WEB_IDENTITY_TOKEN_FILE": "/t"}, ANNOTATED),
        ({"AWS_ROLE_ARN": ROLE}, NOTHING),
        ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1/credentials"}, ASSOCIATED),
        ({"AWS_ACCESS_KEY_ID": "AKIA1", "AWS_SECRET_ACCESS_KEY": "x"}, NOTHING),
        ({}, NOTHING),
    ],
)
def test_what_the_pod_was_given_is_in_its_environment(environ, told):
    assert Given.of(environ) == told


@effort(40)
@given(st.text(max_size=60), st.sampled_from([ANNOTATED, ASSOCIATED, NOTHING]))
def test_no_text_but_a_session_of_the_role_passes(arn, told):
    assert judge(arn, told) is not None
