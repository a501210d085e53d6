"""Service account tokens: issued as kube-apiserver does, verified as it does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from keyless.tokens import (
    Bound,
    ServiceAccountSubject,
    SigningKey,
    TokenRefusal,
    Validity,
    VerifiedServiceAccount,
    inspect,
    issue,
    key_set,
    service_account_claims,
    verify_service_account,
    verify_web_identity,
)
from keyless.tokens.encoding import decode_untrusted
from unit.tokens.forge import ISSUER, NOW, token_of

API = "https://kubernetes.default.svc"
SUBJECT = ServiceAccountSubject("ns", Bound("vector", "u-1"), pod=Bound("vector-abc", "u-2"), node=Bound("n", "u-3"))


def claims(**changes: Any) -> dict[str, Any]:
    made = service_account_claims(
        SUBJECT, Validity(NOW, NOW + 600, NOW + 300), issuer=ISSUER, audiences=[API, "other"], token_id="jti-1"
    )
    return {name: value for name, value in {**made, **changes}.items() if value is not ...}


def judge(token: str, key: SigningKey, **more: Any) -> VerifiedServiceAccount | TokenRefusal:
    return verify_service_account(token, key_set([key]), **{"issuer": ISSUER, "audiences": [API], "now": NOW, **more})


def test_an_issued_token_has_the_claims_of_eks(key: SigningKey) -> None:
    header, payload, _ = issue(key, claims()).split(".")
    assert json.loads(decode_untrusted(header)) == {"alg": "RS256", "kid": key.kid, "typ": "JWT"}
    assert json.loads(decode_untrusted(payload)) == {
        "aud": [API, "other"],
        "exp": NOW + 600,
        "iat": NOW,
        "iss": ISSUER,
        "jti": "jti-1",
        "kubernetes.io": {
            "namespace": "ns",
            "node": {"name": "n", "uid": "u-3"},
            "pod": {"name": "vector-abc", "uid": "u-2"},
            "serviceaccount": {"name": "vector", "uid": "u-1"},
            "warnafter": NOW + 300,
        },
        "nbf": NOW,
        "sub": "system:serviceaccount:ns:vector",
    }


def test_an_issued_token_is_verified_with_what_it_is_bound_to(key: SigningKey) -> None:
    account = judge(issue(key, claims()), key)
    assert isinstance(account, VerifiedServiceAccount)
    assert (account.username, account.uid) == ("system:serviceaccount:ns:vector", "u-1")
    assert (account.pod, account.node, account.secret) == (SUBJECT.pod, SUBJECT.node, None)
    assert account.audiences == (API,)
    assert (account.token_id, account.warn_after) == ("jti-1", NOW + 300)


def test_a_token_bound_to_a_secret_or_to_nothing(key: SigningKey) -> None:
    for secret in (None, Bound("s", "u-9")):
        subject = ServiceAccountSubject("ns", Bound("vector", "u-1"), secret=secret)
        made = service_account_claims(subject, Validity(NOW, NOW + 9), issuer=ISSUER, audiences=[API], token_id="j")
        account = judge(issue(key, made), key)
        assert isinstance(account, VerifiedServiceAccount)
        assert (account.secret, account.pod, account.warn_after) == (secret, None, None)


def test_a_token_is_refused_from_the_second_it_expires(key: SigningKey) -> None:
    token = issue(key, claims())
    assert isinstance(judge(token, key, now=NOW + 599), VerifiedServiceAccount)
    late = judge(token, key, now=NOW + 600)
    assert isinstance(late, TokenRefusal)
    assert (late.code, late.status, late.message) == ("Unauthorized", 401, "service account token has expired")
    early = judge(token, key, now=NOW - 1)
    assert isinstance(early, TokenRefusal)
    assert "not valid yet" in early.message


def test_a_token_of_another_issuer_key_or_audience_is_refused(key: SigningKey, other_key: SigningKey) -> None:
    token = issue(key, claims())
    tenant = judge(issue(key, claims(iss="https://127.0.0.1:6443/clusters/mxp-1-system")), key)
    assert isinstance(tenant, TokenRefusal)
    assert "is not this server's" in tenant.message
    assert isinstance(judge(token, other_key), TokenRefusal)
    audience = judge(token, key, audiences=["pods.eks.amazonaws.com"])
    assert isinstance(audience, TokenRefusal)
    assert "none of the expected ['pods.eks.amazonaws.com']" in audience.message


def test_a_forged_or_malformed_token_is_refused(key: SigningKey, other_rsa: Any) -> None:
    forged = token_of({"alg": "RS256", "kid": key.kid}, claims(), other_rsa)
    critical = token_of({"alg": "RS256", "kid": key.kid, "crit": []}, claims(), key.private)
    unsigned = token_of({"alg": "none", "kid": key.kid}, claims(), key.private)
    for token in ("garbage", "", forged, critical, unsigned):
        answer = judge(token, key)
        assert isinstance(answer, TokenRefusal)
        assert answer.message.startswith("invalid bearer token")


@pytest.mark.parametrize(
    "changes",
    [
        {"kubernetes.io": ...},
        {"kubernetes.io": "text"},
        {"kubernetes.io": {"namespace": "ns"}},
        {"kubernetes.io": {"namespace": 7, "serviceaccount": {"name": "vector", "uid": "u"}}},
        {"kubernetes.io": {"namespace": "ns", "serviceaccount": "vector"}},
        {"kubernetes.io": {"namespace": "other", "serviceaccount": {"name": "vector", "uid": "u"}}},
        {"sub": "system:serviceaccount:kube-system:admin"},
        {"aud": 7},
        {"aud": [7]},
        {"exp": "soon"},
        {"iat": True},
    ],
)
def test_signed_claims_that_make_no_sense_are_refused(changes: dict[str, Any], key: SigningKey) -> None:
    answer = judge(issue(key, claims(**changes)), key)
    assert isinstance(answer, TokenRefusal)
    assert answer.message.startswith("service account token has unreadable claims")


def test_an_audience_may_be_a_plain_string(key: SigningKey) -> None:
    account = judge(issue(key, claims(aud=API)), key)
    assert isinstance(account, VerifiedServiceAccount)
    assert account.audiences == (API,)


def test_what_the_cluster_issues_sts_understands(key: SigningKey) -> None:
    seen = inspect(issue(key, claims(aud=["sts.amazonaws.com"])))
    assert not isinstance(seen, TokenRefusal)
    proven = verify_web_identity(seen, key_set([key]), client_ids=["sts.amazonaws.com"], now=NOW)
    assert not isinstance(proven, TokenRefusal)
    assert (seen.issuer, proven.subject) == (ISSUER, "system:serviceaccount:ns:vector")
