"""JWKS of a peer: facts/identity.md#key-sets, each rule seen live."""

from __future__ import annotations

import base64
import datetime
import json
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from keyless.tokens import SigningKey, discovery, jwks, key_set, parse_jwks
from keyless.tokens.keysets import signature_holds
from unit.tokens.forge import ec_jwk, pem_of, rsa_jwk


def certificate(private: Any, public: Any = None) -> str:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "k")])
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder(name, name, public or private.public_key(), 1, start, start.replace(year=2036))
    return base64.b64encode(builder.sign(private, SHA256()).public_bytes(Encoding.DER)).decode()


def test_an_issuer_publishes_the_fields_of_eks(key: SigningKey) -> None:
    assert list(key.public_jwk) == ["kty", "kid", "use", "alg", "n", "e"]
    assert (key.public_jwk["alg"], key.public_jwk["e"], len(key.kid)) == ("RS256", "AQAB", 40)
    assert int(key.kid, 16) >= 0
    assert jwks([key]) == {"keys": [key.public_jwk]}
    assert discovery("https://i")["jwks_uri"] == "https://i/keys"
    assert discovery("https://i")["id_token_signing_alg_values_supported"] == ["RS256"]


def test_the_kid_follows_from_the_key_alone(rsa: Any, other_rsa: Any, key: SigningKey) -> None:
    again = SigningKey.from_pem(pem_of(rsa).decode())
    assert again.kid == key.kid
    assert SigningKey.from_pem(pem_of(other_rsa)).kid != key.kid
    assert "PRIVATE" not in repr(key)


def test_a_signing_key_must_be_rsa(curve_keys: Any) -> None:
    with pytest.raises(ValueError, match="expected an RSA private key of at least 2048 bits, found"):
        SigningKey.from_pem(pem_of(curve_keys["ES256"]))


def test_a_published_set_is_read_back(key: SigningKey, other_key: SigningKey) -> None:
    read = parse_jwks(json.dumps(jwks([key, other_key])))
    assert set(read.keys) == {key.kid, other_key.kid} == set(key_set([key, other_key]).keys)
    assert read.unusable == {}
    assert read.find(key.kid) == key.private.public_key()
    assert read.find(None) is None
    assert read.find("absent") is None


@pytest.mark.parametrize("document", ["", "[]", "{}", '{"keys": {}}', "nonsense", b"\xff", "[" * 100_000])
def test_what_is_no_jwks_is_a_value_error(document: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_jwks(document)


def test_a_key_without_kid_is_not_indexed(rsa: Any) -> None:
    read = parse_jwks({"keys": [rsa_jwk(rsa), rsa_jwk(rsa, kid=""), "text", rsa_jwk(rsa, kid="k")]})
    assert list(read.keys) == ["k"]
    assert read.unusable == {"key 0": "no kid", "key 1": "no kid", "key 2": "no kid"}


def test_a_later_key_of_the_same_kid_wins_even_when_it_is_useless(rsa: Any, other_rsa: Any) -> None:
    both = parse_jwks({"keys": [rsa_jwk(rsa, kid="k"), rsa_jwk(other_rsa, kid="k")]})
    assert both.keys["k"] == other_rsa.public_key()
    spoiled = parse_jwks({"keys": [rsa_jwk(rsa, kid="k"), rsa_jwk(rsa, kid="k", use="enc")]})
    assert spoiled.find("k") is None


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"use": "enc"}, "use is not sig"),
        ({"use": None}, "use is not sig"),
        ({"key_ops": ["verify"]}, "key_ops is set"),
        ({"n": ""}, "unreadable: no base64url integer"),
        ({"n": "a b"}, "unreadable: no unpadded base64url"),
        ({"n": "A"}, "unreadable: no unpadded base64url"),
        ({"n": "_" * 2000}, "unreadable: modulus of more than 8192 bits"),
        ({"e": 3}, "unreadable: no base64url integer"),
        ({"kty": "oct", "k": "AA"}, "unreadable: kty 'oct', crv None"),
        ({"kty": "EC", "crv": "P-192"}, "unreadable: kty 'EC', crv 'P-192'"),
        ({"x5c": []}, "unreadable: x5c is no list of certificates"),
        ({"x5c": [7]}, "unreadable: x5c is no list of certificates"),
    ],
)
def test_unusable_keys_say_why(more: dict[str, object], why: str, rsa: Any) -> None:
    read = parse_jwks({"keys": [rsa_jwk(rsa, kid="k", **more)]})
    assert (read.keys, dict(read.unusable)) == ({}, {"k": why})


def test_the_alg_of_a_key_is_ignored(rsa: Any) -> None:
    assert "k" in parse_jwks({"keys": [rsa_jwk(rsa, kid="k", alg="ES512", use="sig")]}).keys


def test_a_certificate_must_agree_with_the_key(rsa: Any, other_rsa: Any, curve_keys: Any) -> None:
    def read(**more: object) -> Any:
        return parse_jwks({"keys": [rsa_jwk(rsa, kid="k", **more)]})

    assert "k" in read(x5c=[certificate(rsa)]).keys
    assert read(x5c=[certificate(other_rsa)]).unusable == {"k": "x5c certifies another key"}
    assert "k" in read(x5c=["AAAA"]).unusable
    assert "k" in read(x5c=[certificate(rsa, Ed25519PrivateKey.generate().public_key())]).unusable
    alone = parse_jwks({"keys": [{"kty": "RSA", "kid": "k", "x5c": [certificate(rsa)]}]})
    assert "k" in alone.unusable


def test_a_hundred_and_one_keys_of_a_type_spoil_that_type_alone(rsa: Any, curve_keys: Any) -> None:
    curve = ec_jwk("ES256", curve_keys["ES256"])
    many = [rsa_jwk(rsa, kid=f"k{i}") for i in range(101)]
    assert len(parse_jwks({"keys": [*many[:100], curve]}).keys) == 101
    crowded = parse_jwks({"keys": [*many, curve]})
    assert list(crowded.keys) == ["ES256"]
    assert crowded.unusable["k0"] == "more than 100 RSA keys"


def test_a_point_off_the_curve_is_no_key(curve_keys: Any) -> None:
    jwk = ec_jwk("ES256", curve_keys["ES256"], y="AQ")
    assert "ES256" in parse_jwks({"keys": [jwk]}).unusable


def test_an_rsa_signature_is_not_accepted_for_a_curve(rsa: Any) -> None:
    assert not signature_holds("ES256", rsa.public_key(), b"data", b"signature")


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["kty", "kid", "use", "n", "e", "crv", "x", "y", "x5c"]),
            st.sampled_from(["RSA", "EC", "P-256", "sig", "AQAB", "AA", "", None, 7, [], ["AA"], {}]),
        ),
        max_size=4,
    )
)
def test_any_list_of_keys_is_read_without_raising(entries: list[dict[str, object]]) -> None:
    assert parse_jwks({"keys": entries}).keys == {}
