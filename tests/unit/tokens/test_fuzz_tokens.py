"""Tokens, key documents and discovery documents of any shape are read or refused, never more.

``KEYLESS_FUZZ=100`` tries a hundred times as hard.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.identity.agent.model import check_token_untrusted
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.sts.claims import aws_claims
from keyless.tokens import (
    KeySet,
    TokenRefusal,
    Unverified,
    VerifiedClaims,
    inspect,
    jwks_location,
    key_set,
    parse_jwks,
    verify_service_account,
    verify_web_identity,
)
from keyless.tokens.encoding import encode
from unit.tokens.forge import ISSUER, NOW, token_of

WORDS = st.sampled_from(
    [
        "",
        "RS256",
        "none",
        "k",
        ISSUER,
        "system:serviceaccount:ns:a",
        "sts.amazonaws.com",
        "1800000000",
        "1e5",
        "\ud7ff\u0000",
        "x" * 500,
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)
CLAIMS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("iss", "sub", "aud", "azp", "iat", "exp", "nbf", "amr", "jti"), JSON),
        "kubernetes.io": st.dictionaries(st.sampled_from(["namespace", "pod", "serviceaccount", "secret"]), JSON)
        | JSON,
        "https://aws.amazon.com/tags": st.dictionaries(st.sampled_from(["principal_tags", "transitive_tag_keys"]), JSON)
        | JSON,
        "https://aws.amazon.com/tags/principal_tags/team": JSON,
        "https://aws.amazon.com/tags/transitive_tag_keys": JSON,
        "https://aws.amazon.com/source_identity": JSON,
        "https://aws.amazon.com/roles": JSON,
    },
)
PARTS = st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "iss", "exp"]), JSON).map(
    lambda part: encode(json.dumps(part).encode())
) | st.text(alphabet="AZaz09-_=+/. \n", max_size=20)


@given(st.lists(PARTS, max_size=6).map(".".join) | st.text(max_size=60))
@effort(50)
def test_a_token_of_any_text_is_taken_apart_or_refused(token: str) -> None:
    from datetime import UTC, datetime

    assert isinstance(inspect(token), Unverified | TokenRefusal)
    assert isinstance(verify_service_account(token, KeySet({}), issuer=ISSUER, audiences=["a"], now=NOW), TokenRefusal)
    check_token_untrusted(token, datetime.fromtimestamp(NOW, UTC))


@given(CLAIMS)
@effort(40)
def test_signed_claims_of_any_shape_are_judged(key: Any, claims: dict[str, Any]) -> None:
    token = token_of({"alg": "RS256", "kid": key.kid}, claims, key.private)
    keys = key_set([key])
    verify_service_account(token, keys, issuer=ISSUER, audiences=["sts.amazonaws.com"], now=NOW)
    seen = inspect(token)
    if isinstance(seen, TokenRefusal):
        return
    proven = verify_web_identity(seen, keys, client_ids=["sts.amazonaws.com"], now=NOW)
    if isinstance(proven, VerifiedClaims):
        with suppress(AwsError):
            aws_claims(proven.claims)


@given(CLAIMS)
@effort(40)
def test_aws_s_own_claims_of_any_shape_are_read_or_refused(claims: dict[str, Any]) -> None:
    try:
        found = aws_claims(claims)
    except AwsError as error:
        code = error.code
    else:
        code = "InvalidIdentityToken"
        assert all(isinstance(value, str) for pair in found.tags.items() for value in pair)
    assert code == "InvalidIdentityToken"


@given(
    st.fixed_dictionaries({}, optional={"keys": st.lists(st.dictionaries(WORDS, JSON) | JSON, max_size=4) | JSON})
    | JSON
)
@effort(40)
def test_key_documents_of_any_shape_are_read_or_refused(document: Any) -> None:
    text = json.dumps(document)
    with suppress(ValueError):
        assert parse_jwks(text).keys == {}
    with suppress(ValueError):
        jwks_location(text, ISSUER)


@given(
    st.fixed_dictionaries(
        {"kty": st.sampled_from(["RSA", "EC", "oct"]), "kid": st.just("k")},
        optional={
            "n": st.binary(min_size=1, max_size=300).map(encode),
            "e": st.binary(min_size=1, max_size=10).map(encode),
            "crv": st.sampled_from(["P-256", "P-384", "P-521", "x"]),
            "x": st.binary(max_size=70).map(encode),
            "y": st.binary(max_size=70).map(encode),
            "x5c": st.lists(st.binary(max_size=40).map(encode), max_size=2),
        },
    )
)
@effort(40)
def test_numbers_of_any_size_make_a_key_or_none(key: dict[str, Any]) -> None:
    keys = parse_jwks({"keys": [key]})
    seen = Unverified("RS256", "k", ISSUER, {}, {}, b"data", b"\0" * 256)
    assert isinstance(verify_web_identity(seen, keys, client_ids=(), now=NOW), TokenRefusal)
