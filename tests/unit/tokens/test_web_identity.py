"""Tokens as STS verifies them: facts/identity.md#token-checks."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyless.tokens import (
    KeySet,
    TokenRefusal,
    Unverified,
    VerifiedClaims,
    inspect,
    keys_unavailable,
    parse_jwks,
    provider_not_found,
    verify_web_identity,
)
from keyless.tokens.encoding import encode
from unit.tokens.forge import ISSUER, NOW, ec_jwk, good_claims, rsa_jwk, token_of

NO_JWT = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
NOT_VALIDATED = (
    "The web identity token provided could not be validated. "
    "See the AssumeRoleWithWebIdentity documentation for requirements."
)
NO_KEY = (
    "Couldn't retrieve verification key from your identity provider,  "
    "please reference AssumeRoleWithWebIdentity documentation for requirements"
)
Sign = Callable[..., str]


RS256 = b'{"alg":"RS256"}'


def jws(header: bytes, claims: bytes = b"{}") -> str:
    return f"{encode(header)}.{encode(claims)}.AA"


@pytest.fixture(scope="session")
def keys(rsa: Any) -> KeySet:
    return parse_jwks({"keys": [rsa_jwk(rsa, kid="k")]})


def judge(token: str, keys: KeySet, **more: Any) -> VerifiedClaims | TokenRefusal:
    seen = inspect(token)
    if isinstance(seen, TokenRefusal):
        return seen
    return verify_web_identity(seen, keys, **{"client_ids": {"sts.amazonaws.com"}, "now": NOW, **more})


def refused(answer: object) -> tuple[str, str]:
    assert isinstance(answer, TokenRefusal)
    assert answer.detail
    return answer.code, answer.message


def test_a_good_token_proves_its_claims(sign: Sign, keys: KeySet) -> None:
    proven = judge(sign(good_claims()), keys)
    assert isinstance(proven, VerifiedClaims)
    assert (proven.issuer, proven.subject) == (ISSUER, "system:serviceaccount:ns:vector")
    assert (proven.audience, proven.audiences) == ("sts.amazonaws.com", ("sts.amazonaws.com",))
    assert (proven.issued_at, proven.expires_at, proven.not_before) == (NOW, NOW + 3600, NOW)


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512"])
def test_the_six_algorithms_of_sts_verify(algorithm: str, rsa: Any, curve_keys: Any) -> None:
    private = rsa if algorithm.startswith("RS") else curve_keys[algorithm]
    jwk = rsa_jwk(rsa, kid="k") if private is rsa else ec_jwk(algorithm, private, kid="k")
    token = token_of({"alg": algorithm, "kid": "k"}, good_claims(), private)
    assert isinstance(judge(token, parse_jwks({"keys": [jwk]})), VerifiedClaims)


@pytest.mark.parametrize("algorithm", ["none", "HS256", "PS256", "EdDSA", "rs256", ""])
def test_any_other_algorithm_is_refused_before_a_key_is_looked_up(algorithm: str, sign: Sign) -> None:
    token = sign(good_claims(), header={"alg": algorithm, "kid": "k"})
    assert refused(inspect(token)) == ("InvalidIdentityToken", NOT_VALIDATED)


def test_a_token_with_an_empty_signature_is_refused(sign: Sign, keys: KeySet) -> None:
    token = sign(good_claims())
    assert refused(judge(token[: token.rindex(".") + 1], keys)) == ("InvalidIdentityToken", NOT_VALIDATED)


def test_a_public_key_used_as_an_hmac_secret_signs_nothing(sign: Sign) -> None:
    assert isinstance(
        inspect(sign(good_claims(), header={"alg": "HS256", "kid": "k", "jku": "https://evil"})), TokenRefusal
    )


@pytest.mark.parametrize(
    "token",
    [
        "",
        "garbage",
        "a.b",
        "a.b.c.d",
        "e30.e30.",
        "!.e30.x",
        jws(b"[]"),
        jws(b"{"),
        jws(b'{"alg":1}'),
        jws(b'{"alg":"RS256","kid":7}'),
        jws(RS256, b'{"iss":NaN}'),
        jws(RS256, b'{"iss":"\\ud800"}'),
        jws(RS256, b"[" * 9000),
        jws(RS256, b"\xff"),
        "A" * 20_001,
    ],
)
def test_what_is_no_jwt_is_called_so(token: str) -> None:
    assert refused(inspect(token)) == ("InvalidIdentityToken", NO_JWT)


def test_a_crit_header_makes_a_token_no_jwt(sign: Sign) -> None:
    token = sign(good_claims(), header={"alg": "RS256", "kid": "k", "crit": ["exp"], "exp": 1})
    assert refused(inspect(token)) == ("InvalidIdentityToken", NO_JWT)


@pytest.mark.parametrize("issuer", [..., None, 7])
def test_without_an_issuer_there_is_nobody_to_ask(issuer: object, sign: Sign) -> None:
    assert refused(inspect(sign(good_claims(iss=issuer)))) == (
        "InvalidIdentityToken",
        "Missing a required claim: iss",
    )


def test_the_last_of_duplicate_members_counts(sign: Sign, keys: KeySet) -> None:
    text = json.dumps(good_claims())[:-1] + ', "sub": "last"}'
    proven = judge(sign(text), keys)
    assert isinstance(proven, VerifiedClaims)
    assert proven.subject == "last"
    twice = sign(good_claims(), header='{"alg": "RS256", "kid": "k", "alg": "none"}')
    assert refused(inspect(twice)) == ("InvalidIdentityToken", NOT_VALIDATED)


def test_a_missing_provider_is_named_with_its_url() -> None:
    assert refused(provider_not_found("https://issuer")) == (
        "InvalidIdentityToken",
        "No OpenIDConnect provider found in your account for https://issuer",
    )


def test_an_issuer_that_does_not_answer_has_the_text_with_two_spaces() -> None:
    assert refused(keys_unavailable("timed out")) == ("InvalidIdentityToken", NO_KEY)


def test_an_unknown_kid_is_a_key_that_cannot_be_retrieved(sign: Sign, keys: KeySet) -> None:
    token = sign(good_claims(), header={"alg": "RS256", "kid": "../../etc/passwd"})
    assert refused(judge(token, keys)) == ("InvalidIdentityToken", NO_KEY)


def test_a_token_without_kid_needs_a_set_of_one(rsa: Any, other_rsa: Any, keys: KeySet, sign: Sign) -> None:
    token = sign(good_claims(), header={"alg": "RS256"})
    assert isinstance(judge(token, keys), VerifiedClaims)
    two = parse_jwks({"keys": [rsa_jwk(rsa, kid="a"), rsa_jwk(other_rsa, kid="b")]})
    assert refused(judge(token, two)) == ("InvalidIdentityToken", NO_KEY)


def test_another_key_of_the_same_name_does_not_sign(other_rsa: Any, sign: Sign) -> None:
    swapped = parse_jwks({"keys": [rsa_jwk(other_rsa, kid="k")]})
    assert refused(judge(sign(good_claims()), swapped)) == ("InvalidIdentityToken", NOT_VALIDATED)


def test_a_changed_payload_is_refused(sign: Sign, keys: KeySet) -> None:
    header, _, signature = sign(good_claims()).split(".")
    forged = encode(json.dumps(good_claims(sub="system:serviceaccount:kube-system:admin")).encode())
    assert refused(judge(f"{header}.{forged}.{signature}", keys)) == ("InvalidIdentityToken", NOT_VALIDATED)


def test_a_key_of_another_type_or_curve_never_signs(rsa: Any, curve_keys: Any, sign: Sign) -> None:
    for algorithm, private in curve_keys.items():
        curve = parse_jwks({"keys": [ec_jwk(algorithm, private, kid="k")]})
        assert refused(judge(sign(good_claims()), curve))[1] == NOT_VALIDATED
        claimed = token_of({"alg": algorithm, "kid": "k"}, good_claims(), private)
        rsa_only = parse_jwks({"keys": [rsa_jwk(rsa, kid="k")]})
        assert refused(judge(claimed, rsa_only))[1] == NOT_VALIDATED
        shortened = claimed[:-8]
        assert refused(judge(shortened, curve))[1] == NOT_VALIDATED
    crossed = token_of({"alg": "ES256", "kid": "k"}, good_claims(), curve_keys["ES384"])
    p384 = parse_jwks({"keys": [ec_jwk("ES384", curve_keys["ES384"], kid="k")]})
    assert refused(judge(crossed, p384))[1] == NOT_VALIDATED


@pytest.mark.parametrize("claim", ["sub", "aud", "iat", "exp"])
def test_each_required_claim_is_named_when_it_is_missing(claim: str, sign: Sign, keys: KeySet) -> None:
    answer = judge(sign(good_claims(**{claim: ...})), keys)
    assert refused(answer) == ("InvalidIdentityToken", f"Missing a required claim: {claim}")


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"sub": None}, "InternalFailure", "Unknown error validating third-party token"),
        ({"sub": {"a": 1}}, "InvalidIdentityToken", NOT_VALIDATED),
        ({"sub": True}, "InvalidIdentityToken", NOT_VALIDATED),
        ({"aud": []}, "InvalidIdentityToken", "Claim is not allowed to be empty: aud"),
        ({"aud": ""}, "InvalidIdentityToken", "Claim is not allowed to be empty: aud"),
        ({"aud": None}, "InvalidIdentityToken", "Claim is not allowed to be empty: aud"),
        ({"aud": 7}, "InvalidIdentityToken", NOT_VALIDATED),
        ({"aud": ["a", 7]}, "InvalidIdentityToken", NOT_VALIDATED),
        ({"aud": ["other"]}, "InvalidIdentityToken", NOT_VALIDATED),
        ({"azp": 7}, "InvalidIdentityToken", NOT_VALIDATED),
        ({"azp": "other"}, "InvalidIdentityToken", NOT_VALIDATED),
        (
            {"aud": ["sts.amazonaws.com", "b"]},
            "InvalidIdentityToken",
            "Token audience contains more than one audience while authorized party is not present",
        ),
        *[
            ({claim: bad}, "InvalidIdentityToken", "Invalid timestamp in token claims.")
            for claim in ("exp", "iat", "nbf")
            for bad in (None, 1.5, "1.5", "soon", True, [], 10**30)
        ],
    ],
)
def test_claims_of_the_wrong_type_have_aws_texts(
    changes: dict[str, Any], code: str, message: str, sign: Sign, keys: KeySet
) -> None:
    assert refused(judge(sign(good_claims(**changes)), keys)) == (code, message)


def test_only_a_null_subject_is_a_server_error(sign: Sign, keys: KeySet) -> None:
    null = judge(sign(good_claims(sub=None)), keys)
    missing = judge(sign(good_claims(sub=...)), keys)
    assert isinstance(null, TokenRefusal)
    assert isinstance(missing, TokenRefusal)
    assert (null.status, missing.status) == (500, 400)


@pytest.mark.parametrize(("subject", "seen"), [("", ""), (7, "7"), (1.5, "1.5"), ("ü", "ü")])
def test_a_numeric_subject_becomes_a_string(subject: object, seen: str, sign: Sign, keys: KeySet) -> None:
    proven = judge(sign(good_claims(sub=subject)), keys)
    assert isinstance(proven, VerifiedClaims)
    assert proven.subject == seen


def test_the_authorized_party_wins_over_the_audience(sign: Sign, keys: KeySet) -> None:
    proven = judge(sign(good_claims(aud=["a", "b"], azp="sts.amazonaws.com")), keys)
    assert isinstance(proven, VerifiedClaims)
    assert (proven.audience, proven.audiences) == ("sts.amazonaws.com", ("a", "b"))


def test_times_may_be_strings_of_integers(sign: Sign, keys: KeySet) -> None:
    proven = judge(sign(good_claims(iat=str(NOW), exp=str(NOW + 60), nbf=...)), keys)
    assert isinstance(proven, VerifiedClaims)
    assert (proven.issued_at, proven.expires_at, proven.not_before) == (NOW, NOW + 60, None)


@pytest.mark.parametrize(("offset", "refuses"), [(-301, True), (-300, True), (-299, False), (0, False), (300, False)])
def test_a_token_lives_until_five_minutes_after_its_expiry(
    offset: int, refuses: bool, sign: Sign, keys: KeySet
) -> None:
    expiry = NOW + offset
    answer = judge(sign(good_claims(exp=expiry)), keys)
    assert isinstance(answer, TokenRefusal) is refuses
    if refuses:
        assert refused(answer) == (
            "ExpiredTokenException",
            f"Token expired: current date/time {NOW - 300} must be before the expiration date/time {expiry}",
        )


@pytest.mark.parametrize(("offset", "refuses"), [(-301, False), (299, False), (300, False), (301, True)])
def test_a_token_may_start_five_minutes_from_now(offset: int, refuses: bool, sign: Sign, keys: KeySet) -> None:
    start = NOW + offset
    late, future = judge(sign(good_claims(nbf=start)), keys), judge(sign(good_claims(iat=start)), keys)
    assert (isinstance(late, TokenRefusal), isinstance(future, TokenRefusal)) == (refuses, refuses)
    if refuses:
        assert refused(late) == (
            "InvalidIdentityToken",
            f"Token not yet valid: current date/time {NOW + 300} "
            f"must be after or equal to the not-before date/time {start}",
        )
        assert refused(future) == ("InvalidIdentityToken", f"Token issued in the future: {start}")


def test_the_first_fault_in_the_order_of_aws_is_the_one_told(sign: Sign, keys: KeySet) -> None:
    worst = good_claims(sub=..., aud=["other"], exp=0)
    faults = [
        (sign(worst, header={"alg": "RS256", "kid": "x"}), NO_KEY),
        (sign(worst), "Missing a required claim: sub"),
        (sign({**worst, "sub": "s"}), NOT_VALIDATED),
    ]
    for token, message in faults:
        assert refused(judge(token, keys))[1] == message
    assert refused(judge(sign(good_claims(exp=0)), keys))[0] == "ExpiredTokenException"


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet='abcAZ019-_.=+/ \n{}"é', max_size=60))
def test_inspecting_never_raises(token: str) -> None:
    assert isinstance(inspect(token), TokenRefusal | Unverified)


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["iss", "sub", "aud", "azp", "iat", "exp", "nbf"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
            max_leaves=4,
        ),
    )
)
def test_signed_claims_of_any_shape_are_judged_without_raising(claims: dict[str, Any]) -> None:
    seen = Unverified("RS256", "k", "iss", {"alg": "RS256"}, claims, b"", b"")
    keys = KeySet({})
    assert isinstance(verify_web_identity(seen, keys, client_ids=(), now=NOW), TokenRefusal)
