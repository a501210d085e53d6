"""Attacks with tokens and sessions: each learns one sentence of AWS's and gains nothing."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from keyless.tokens import SigningKey
from keyless.tokens.encoding import encode
from unit.local.cloud.support import (
    ACCOUNT,
    ISSUER,
    World,
    a_role,
    allow,
    document,
    irsa_trust,
    pod_token,
    refusal,
    signing_key,
)
from unit.tokens.forge import token_of

ROLE = f"arn:aws:iam::{ACCOUNT}:role/billing"
SUBJECT = "system:serviceaccount:mxp-1-system:vector"
DENIED = ("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", 403)
OTHER = "https://127.0.0.1:6443/clusters/tenant"


@pytest.fixture
def space(world: World) -> World:
    """The cluster's issuer is known, and the guide's role trusts one of its service accounts."""
    world.issuers.publish(ISSUER, signing_key())
    iam = world.aws("iam")
    iam.create_open_id_connect_provider(Url=ISSUER, ClientIDList=["sts.amazonaws.com"])
    iam.create_role(RoleName="billing", AssumeRolePolicyDocument=irsa_trust())
    return world


def ask_sts(world: World, token: str, role: str = ROLE) -> tuple[str, str, int]:
    sts = world.aws("sts", False)
    return refusal(sts.assume_role_with_web_identity, RoleArn=role, RoleSessionName="attack", WebIdentityToken=token)


def claims_of(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    found: dict[str, Any] = orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


def with_header(world: World, key: SigningKey, **header: Any) -> str:
    """The pod's claims under a header of the attacker's, signed with ``key``."""
    named = {"alg": "RS256", "kid": key.kid, "typ": "JWT", **header}
    return token_of(named, claims_of(pod_token(world)), key.private)


# Tokens -------------------------------------------------------------------------------------------------------------


def test_the_good_token_is_good(space: World) -> None:
    """Else nothing below would mean anything."""
    made = space.aws("sts", False).assume_role_with_web_identity(
        RoleArn=ROLE, RoleSessionName="pod", WebIdentityToken=with_header(space, signing_key())
    )
    assert made["SubjectFromWebIdentityToken"] == SUBJECT


@pytest.mark.parametrize("algorithm", ["none", "None", "HS256", "HS512", "PS256", "ES256", "", None, 256])
def test_an_algorithm_of_the_attackers_choice_is_refused(space: World, algorithm: Any) -> None:
    claims = claims_of(pod_token(space))
    header = encode(orjson.dumps({"alg": algorithm, "kid": signing_key().kid}))
    signed = f"{header}.{encode(orjson.dumps(claims))}"
    public = signing_key().private.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for secret in (pem, orjson.dumps(signing_key().public_jwk), b""):
        signature = encode(hmac.new(secret, signed.encode(), hashlib.sha256).digest())
        assert ask_sts(space, f"{signed}.{signature}")[0] == "InvalidIdentityToken"


@pytest.mark.parametrize(
    "kid",
    [
        "../../../../dev/null",
        "/etc/passwd",
        "https://evil.example/key",
        "' UNION SELECT 'secret' --",
        "a" * 10_000,
        "\u0000",
        "",
        7,
        ["a"],
        {"a": "b"},
        None,
    ],
)
def test_a_key_id_is_a_name_and_nothing_else(space: World, kid: Any) -> None:
    """No file, URL or query: it finds a key of the issuer's, or (missing) the only one there is, which must verify."""
    forger = signing_key("forger")
    assert ask_sts(space, with_header(space, forger, kid=kid))[0] == "InvalidIdentityToken"
    assert {url.partition("/clusters/")[0] for url in space.issuers.fetched} <= {ISSUER.partition("/clusters/")[0]}


@pytest.mark.parametrize("name", ["jku", "x5u", "jwk", "x5c"])
def test_a_header_that_brings_its_own_key_is_not_read(space: World, name: str) -> None:
    forger = signing_key("forger")
    space.issuers.documents["https://evil.example/keys"] = b'{"keys": []}'
    numbers = forger.private.public_key().public_numbers()
    jwk = {"kty": "RSA", "n": encode(numbers.n.to_bytes(256, "big")), "e": "AQAB"}
    value = {"jku": "https://evil.example/keys", "x5u": "https://evil.example/x", "jwk": jwk, "x5c": ["MIIB"]}[name]
    assert ask_sts(space, with_header(space, forger, **{name: value}))[0] == "InvalidIdentityToken"
    assert not [url for url in space.issuers.fetched if "evil" in url]


@pytest.mark.parametrize(
    "subject",
    [
        "system%3Aserviceaccount%3Amxp-1-system%3Avector",
        "system:serviceaccount:mxp-1-system:vector ",
        "system:serviceaccount:mxp-1-system:vector\n",
        "system:serviceaccount:mxp-1-system:vector\u0000",
        "system:serviceaccount:mxp-1-system:vector\u200b",
        "system:serviceaccount:mxp-1-system:vecto\u0433",
        "system：serviceaccount：mxp-1-system：vector",
        "system:serviceaccount:mxp-1-system:VECTOR",
        "system:serviceaccount:mxp-1-system:vec\u0301tor",
        "system:serviceaccount:mxp-1-system:*",
        "${aws:username}",
        "system:serviceaccount:mxp-1-system:vector,system:serviceaccount:x:y",
    ],
)
def test_a_subject_that_only_looks_like_the_right_one_is_another(space: World, subject: str) -> None:
    assert ask_sts(space, pod_token(space, sub=subject)) == DENIED


def test_a_wildcard_in_a_trust_policy_stays_within_what_it_says(space: World) -> None:
    trust = irsa_trust(StringLike={"127.0.0.1/clusters/keyless:sub": "system:serviceaccount:mxp-?-system:vector"})
    space.aws("iam").update_assume_role_policy(RoleName="billing", PolicyDocument=trust)
    for subject in ("system:serviceaccount:mxp-10-system:vector", "system:serviceaccount:mxp--system:vectors"):
        assert ask_sts(space, pod_token(space, sub=subject)) == DENIED


# Confused deputies --------------------------------------------------------------------------------------------------


def test_a_tenants_issuer_with_a_provider_of_its_own_opens_no_role_that_trusts_another(space: World) -> None:
    """The tenant makes the very subject; its provider is in the account; the trust policy names the other one."""
    tenant = signing_key("forger")
    space.issuers.publish(OTHER, tenant)
    space.aws("iam").create_open_id_connect_provider(Url=OTHER, ClientIDList=["sts.amazonaws.com"])
    assert ask_sts(space, pod_token(space, issuer=OTHER, key=tenant)) == DENIED


def test_a_key_of_the_tenants_signs_nothing_for_the_host(space: World) -> None:
    tenant = signing_key("forger")
    space.issuers.publish(OTHER, tenant)
    assert ask_sts(space, pod_token(space, key=tenant))[0] == "InvalidIdentityToken"
    assert ask_sts(space, with_header(space, tenant, kid=signing_key().kid))[0] == "InvalidIdentityToken"


@pytest.mark.parametrize(
    "issuer",
    [ISSUER + "/", ISSUER.upper(), ISSUER + "?a=b", ISSUER + "#x", ISSUER.replace(":6443", ""), ISSUER + "/../tenant"],
)
def test_an_issuer_is_compared_whole(space: World, issuer: str) -> None:
    code, message, _ = ask_sts(space, pod_token(space, issuer=issuer))
    assert code == "InvalidIdentityToken"
    assert message.startswith("No OpenIDConnect provider found in your account for")


def test_a_role_of_another_account_is_not_ours_to_give(space: World) -> None:
    assert ask_sts(space, pod_token(space), "arn:aws:iam::999999999999:role/billing")[0] == "InvalidIdentityToken"


def test_an_external_id_keeps_a_deputy_from_being_confused(world: World) -> None:
    iam = world.aws("iam")
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": ACCOUNT},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": "of-the-customer"}},
    }
    arn = iam.create_role(RoleName="customer", AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
    sts = world.aws("sts")
    for wrong in ({}, {"ExternalId": "of-another"}, {"ExternalId": "of-the-customer "}):
        assert refusal(sts.assume_role, RoleArn=arn, RoleSessionName="xx", **wrong)[0] in {
            "AccessDenied",
            "ValidationError",
        }
    assert sts.assume_role(RoleArn=arn, RoleSessionName="xx", ExternalId="of-the-customer")["Credentials"]


def test_a_pod_of_another_cluster_gets_no_identity_here(world: World) -> None:
    found = refusal(world.aws("eks-auth").assume_role_for_pod_identity, clusterName="another", token=pod_token(world))
    assert found[0] in {"ResourceNotFoundException", "AccessDeniedException"}
    here = refusal(world.aws("eks-auth").assume_role_for_pod_identity, clusterName="keyless", token=pod_token(world))
    assert here[0] == "InvalidTokenException"  # the cluster does not know it


# Where an issuer may lead -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "location",
    ["http://127.0.0.1:1/keys", "file:///etc/passwd", "HTTPS://127.0.0.1/keys", "ftp://x/", "//evil.example/k", "", 7],
)
def test_a_discovery_document_leads_to_nothing_but_https(space: World, location: Any) -> None:
    document_of = {"issuer": OTHER, "jwks_uri": location}
    space.issuers.documents[f"{OTHER}/.well-known/openid-configuration"] = orjson.dumps(document_of)
    space.aws("iam").create_open_id_connect_provider(Url=OTHER, ClientIDList=["sts.amazonaws.com"])
    code, message, _ = ask_sts(space, pod_token(space, issuer=OTHER))
    assert (code, "verification key" in message) == ("InvalidIdentityToken", True)
    assert all(url.startswith("https://127.0.0.1:6443/clusters/") for url in space.issuers.fetched)


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:1", "file:///etc/passwd", "https://", "https://user:pw@evil.example", "gopher://127.0.0.1", "x"],
)
def test_a_provider_has_an_https_url_and_nothing_else(world: World, url: str) -> None:
    code, _, status = refusal(
        world.aws("iam").create_open_id_connect_provider, Url=url, ClientIDList=["sts.amazonaws.com"]
    )
    assert (code, status) in {("InvalidInput", 400), ("ValidationError", 400)}


def test_a_token_names_no_place_that_is_asked(space: World) -> None:
    """Only issuers that somebody registered are ever asked, whatever a token says."""
    before = list(space.issuers.fetched)
    for issuer in ("https://169.254.169.254/latest", "https://evil.example", "https://127.0.0.1:1"):
        assert ask_sts(space, pod_token(space, issuer=issuer))[0] == "InvalidIdentityToken"
    assert space.issuers.fetched == before


# Sessions -----------------------------------------------------------------------------------------------------------


def test_a_session_token_that_was_changed_anywhere_opens_nothing(world: World) -> None:
    keys = a_role(world, allow("s3:ListAllMyBuckets"))
    token = keys["SessionToken"]
    for at in (0, 20, len(token) // 2, len(token) - 2):
        other = "A" if token[at] != "A" else "B"
        forged = {**keys, "SessionToken": token[:at] + other + token[at + 1 :]}
        assert refusal(world.aws("sts", forged).get_caller_identity)[0] == "InvalidClientTokenId"
    for forged_token in (token[:-8], token + "AAAA", token.swapcase(), "x" * 100_00, "\u00e9"):
        code = refusal(world.aws("ssm", {**keys, "SessionToken": forged_token}).describe_parameters)[0]
        assert code in {"UnrecognizedClientException", "InvalidSignatureException"}


def test_credentials_of_a_deleted_role_open_nothing_and_a_namesake_lends_none(world: World) -> None:
    keys = a_role(world, allow("s3:ListAllMyBuckets"))
    iam = world.aws("iam")
    assert world.aws("s3", keys).list_buckets()["Buckets"] == []
    iam.delete_role_policy(RoleName="reader", PolicyName="p")
    iam.delete_role(RoleName="reader")
    assert refusal(world.aws("s3", keys).list_buckets)[0] in {"AccessDenied", "InvalidAccessKeyId"}
    a_role(world, allow("s3:ListAllMyBuckets"))
    assert refusal(world.aws("s3", keys).list_buckets)[0] in {"AccessDenied", "InvalidAccessKeyId"}


def test_sessions_from_before_a_moment_can_be_revoked(world: World) -> None:
    """What the console does on "Revoke active sessions"."""
    keys = a_role(world, allow("s3:ListAllMyBuckets"))
    world.clock.pass_seconds(10)
    moment = {"DateLessThan": {"aws:TokenIssueTime": "2026-09-21T14:13:25Z"}}
    statement = {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": moment}
    world.aws("iam").put_role_policy(
        RoleName="reader", PolicyName="AWSRevokeOlderSessions", PolicyDocument=document(statement)
    )
    assert refusal(world.aws("s3", keys).list_buckets)[0] == "AccessDenied"
    later = world.aws("sts").assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/reader", RoleSessionName="later")
    assert world.aws("s3", later["Credentials"]).list_buckets()["Buckets"] == []
