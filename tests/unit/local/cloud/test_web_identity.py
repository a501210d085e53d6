"""AssumeRoleWithWebIdentity: the check order and the verbatim texts of facts/identity.md#token-checks."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest

from unit.local.cloud.support import (
    ACCOUNT,
    ISSUER,
    PROVIDER,
    World,
    allow,
    document,
    irsa_trust,
    pod_token,
    refusal,
    signing_key,
)

ROLE = f"arn:aws:iam::{ACCOUNT}:role/billing"
NOT_AUTHORISED = ("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", 403)
NOT_VALIDATED = (
    "The web identity token provided could not be validated. See the AssumeRoleWithWebIdentity documentation for"
    " requirements."
)
NO_KEY = (
    "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity"
    " documentation for requirements"
)


@pytest.fixture
def space(world: World) -> World:
    """A world with the provider and the guide's role."""
    world.issuers.publish(ISSUER, signing_key())
    iam = world.aws("iam")
    iam.create_open_id_connect_provider(Url=ISSUER, ClientIDList=["sts.amazonaws.com"])
    iam.create_role(RoleName="billing", AssumeRolePolicyDocument=irsa_trust())
    return world


def assume(world: World, token: str, **params: Any) -> Any:
    sts = world.aws("sts", False)
    return sts.assume_role_with_web_identity(
        **{"RoleArn": ROLE, "RoleSessionName": "vector", "WebIdentityToken": token, **params}
    )


def refused(world: World, token: str, **params: Any) -> tuple[str, str, int]:
    return refusal(lambda: assume(world, token, **params))


def trust(world: World, text: str) -> None:
    world.aws("iam").update_assume_role_policy(RoleName="billing", PolicyDocument=text)


def test_the_session_is_the_role_s_and_named_as_asked(space: World) -> None:
    credentials = assume(space, pod_token(space))["Credentials"]
    assert credentials["AccessKeyId"].startswith("ASIA")
    found = space.aws("sts", credentials).get_caller_identity()
    assert found["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/billing/vector"
    assert found["UserId"].endswith(":vector")


def test_a_session_outlives_a_restart_of_the_cloud(space: World) -> None:
    credentials = assume(space, pod_token(space))["Credentials"]
    space.restart()
    assert space.aws("sts", credentials).get_caller_identity()["Account"] == ACCOUNT


def test_a_session_ends_when_it_expires(space: World) -> None:
    credentials = assume(space, pod_token(space), DurationSeconds=900)["Credentials"]
    space.clock.pass_seconds(901)
    code, message, _ = refusal(space.aws("sts", credentials).get_caller_identity)
    assert (code, message) == ("ExpiredToken", "The security token included in the request is expired")


@pytest.mark.parametrize(
    "token",
    [
        {"name": "other"},
        {"namespace": "mxp-2-system"},
        {"sub": "system:serviceaccount:mxp-1-system:vecto"},
        {"sub": "system:serviceaccount:mxp-1-system:vector "},
        {"sub": "SYSTEM:serviceaccount:mxp-1-system:vector"},
    ],
)
def test_any_other_subject_learns_one_sentence(space: World, token: dict[str, str]) -> None:
    assert refused(space, pod_token(space, **token)) == NOT_AUTHORISED


def test_a_role_that_is_not_there_answers_as_one_that_does_not_trust(space: World) -> None:
    answer = refused(space, pod_token(space), RoleArn=f"arn:aws:iam::{ACCOUNT}:role/none")
    assert answer == NOT_AUTHORISED
    assert space.audit()[-1]["notes"]["refused"] == f"no role arn:aws:iam::{ACCOUNT}:role/none is in effect"


@pytest.mark.parametrize(
    ("condition", "held"),
    [
        ({"StringLike": {f"{PROVIDER}:sub": "system:serviceaccount:mxp-*-system:vector"}}, True),
        ({"StringEquals": {f"{PROVIDER}:sub": "system:serviceaccount:mxp-*-system:vector"}}, False),
        ({"StringEquals": {f"{PROVIDER}:aud": "another"}}, False),
        ({"StringEquals": {"127.0.0.1:6443/clusters/keyless:sub": "system:serviceaccount:mxp-1-system:vector"}}, False),
        ({"StringNotEquals": {f"{PROVIDER}:sub": "system:serviceaccount:x:y"}}, True),
    ],
)
def test_the_trust_policy_decides(space: World, condition: dict[str, Any], held: bool) -> None:
    trust(space, irsa_trust(**condition))
    if held:
        assert assume(space, pod_token(space))["AssumedRoleUser"]["Arn"].endswith("/billing/vector")
    else:
        assert refused(space, pod_token(space)) == NOT_AUTHORISED


def test_a_principal_of_everybody_does_not_admit_a_web_identity(space: World) -> None:
    action = "sts:AssumeRoleWithWebIdentity"
    trust(space, document({"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": action}))
    assert refused(space, pod_token(space)) == NOT_AUTHORISED


@pytest.mark.parametrize("claim", ["iss", "sub", "aud", "iat", "exp"])
def test_every_required_claim_must_be_there(space: World, claim: str) -> None:
    answer = refused(space, pod_token(space, **{claim: None}))
    assert answer == ("InvalidIdentityToken", f"Missing a required claim: {claim}", 400)


def test_garbage_is_no_jwt(space: World) -> None:
    text = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
    assert refused(space, "garbage") == ("InvalidIdentityToken", text, 400)


def test_an_unsigned_token_is_not_validated(space: World) -> None:
    head, claims, _ = pod_token(space).split(".")
    none = base64.urlsafe_b64encode(orjson.dumps({"alg": "none", "typ": "JWT"})).decode().rstrip("=")
    assert refused(space, f"{none}.{claims}.")[0] == "InvalidIdentityToken"
    assert refused(space, f"{head}.{claims}.AAAA") == ("InvalidIdentityToken", NOT_VALIDATED, 400)


def test_an_audience_that_the_provider_does_not_know_is_not_validated(space: World) -> None:
    answer = refused(space, pod_token(space, audience="pods.eks.amazonaws.com"))
    assert answer == ("InvalidIdentityToken", NOT_VALIDATED, 400)


def test_without_a_provider_the_issuer_is_named(world: World) -> None:
    world.issuers.publish(ISSUER, signing_key())
    text = f"No OpenIDConnect provider found in your account for {ISSUER}"
    assert refused(world, pod_token(world)) == ("InvalidIdentityToken", text, 400)


def test_a_tenant_s_issuer_has_no_provider(space: World) -> None:
    tenant = ISSUER.replace("keyless", "mxp-1")
    space.issuers.publish(tenant, signing_key())
    text = f"No OpenIDConnect provider found in your account for {tenant}"
    assert refused(space, pod_token(space, issuer=tenant)) == ("InvalidIdentityToken", text, 400)


def test_a_role_of_another_account_finds_no_provider_there(space: World) -> None:
    answer = refused(space, pod_token(space), RoleArn="arn:aws:iam::999999999999:role/billing")
    assert answer[1].startswith("No OpenIDConnect provider found in your account for")


def test_an_issuer_that_is_down_gives_no_key(space: World) -> None:
    space.issuers.documents.clear()
    assert refused(space, pod_token(space)) == ("InvalidIdentityToken", NO_KEY, 400)
    assert "connection refused" in space.audit()[-1]["notes"]["refused"]


def test_keys_once_fetched_serve_while_the_issuer_is_down(space: World) -> None:
    assume(space, pod_token(space))
    space.issuers.documents.clear()
    space.clock.pass_seconds(7200)
    assert assume(space, pod_token(space))


def test_an_unknown_key_is_looked_for_again_once_a_second_at_most(space: World) -> None:
    assume(space, pod_token(space))
    before = len(space.issuers.fetched)
    rotated = signing_key("second")
    token = pod_token(space, key=rotated)
    assert refused(space, token) == ("InvalidIdentityToken", NO_KEY, 400)
    assert len(space.issuers.fetched) == before
    space.issuers.publish(ISSUER, signing_key(), rotated)
    space.clock.pass_seconds(2)
    assert assume(space, token)


def test_an_expired_token_has_five_minutes_of_grace(space: World) -> None:
    token = pod_token(space)
    expiry = int(space.clock()) + 3600
    space.clock.pass_seconds(3600 + 299)
    assert assume(space, token)
    space.clock.pass_seconds(1)
    text = f"Token expired: current date/time {expiry} must be before the expiration date/time {expiry}"
    assert refused(space, token) == ("ExpiredTokenException", text, 400)


def test_a_longer_session_than_the_role_allows_is_refused_after_trust(space: World) -> None:
    text = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
    assert refused(space, pod_token(space), DurationSeconds=7200) == ("ValidationError", text, 400)
    assert refused(space, pod_token(space, name="other"), DurationSeconds=7200) == NOT_AUTHORISED


def test_parameters_are_checked_before_the_token(space: World) -> None:
    code, message, status = refused(space, "garbage", DurationSeconds=899)
    assert (code, status) == ("ValidationError", 400)
    assert "'durationSeconds' failed to satisfy constraint" in message


def test_no_message_quotes_the_token(space: World) -> None:
    assert "gar" not in refused(space, "gar")[1]


def test_tags_in_the_token_need_tag_session(space: World) -> None:
    tagged = {"https://aws.amazon.com/tags": {"principal_tags": {"team": ["blue"]}, "transitive_tag_keys": ["team"]}}
    assert refused(space, pod_token(space, **tagged)) == NOT_AUTHORISED
    assert space.audit()[-1]["notes"]["refused"].endswith("does not allow sts:TagSession")
    statement = orjson.loads(irsa_trust())["Statement"][0]
    trust(space, document({**statement, "Action": ["sts:AssumeRoleWithWebIdentity", "sts:TagSession"]}))
    assert assume(space, pod_token(space, **tagged))


def test_a_session_policy_only_takes_away(space: World) -> None:
    everything = document(allow("*"))
    space.aws("iam").put_role_policy(RoleName="billing", PolicyName="all", PolicyDocument=everything)
    narrow = document(allow("iam:ListRoles"))
    credentials = assume(space, pod_token(space), Policy=narrow)["Credentials"]
    assert space.aws("iam", credentials).list_roles()["Roles"]
    code, message, status = refusal(space.aws("iam", credentials).list_users)
    assert (code, status) == ("AccessDenied", 403)
    assert "because no session policy allows the iam:ListUsers action" in message


def test_a_malformed_session_policy_is_told_after_trust(space: World) -> None:
    assert refused(space, pod_token(space), Policy="{}")[0] == "MalformedPolicyDocument"
    assert refused(space, pod_token(space, name="other"), Policy="{}") == NOT_AUTHORISED


def test_the_audit_line_correlates_the_pod_with_the_session(space: World) -> None:
    credentials = assume(space, pod_token(space))["Credentials"]
    line = space.audit()[-1]
    assert (line["code"], line["action"]) == ("Success", "sts:AssumeRoleWithWebIdentity")
    assert line["notes"]["podUid"] == "1d2c-pod"
    assert line["notes"]["assumedRole"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/billing/vector"
    assert line["notes"]["accessKeyId"] == credentials["AccessKeyId"]
    space.aws("sts", credentials).get_caller_identity()
    assert space.audit()[-1]["caller"]["accessKeyId"] == credentials["AccessKeyId"]


def test_the_audit_line_of_a_refusal_tells_the_condition_that_failed(space: World) -> None:
    refused(space, pod_token(space, name="other"))
    line = space.audit()[-1]
    assert line["code"] == "AccessDenied"
    assert "system:serviceaccount:mxp-1-system:other" in " ".join(line["decision"]["trace"])
