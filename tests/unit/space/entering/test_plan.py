"""Who gets a certificate of a control plane's own API, and who does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.api import Reason, Refusal
from keyless.kube import KubeObject, Name
from keyless.space.entering.names import LIFE_SECONDS, RESERVED, inside, plane_of, signer_of
from keyless.space.entering.plan import Facts, Wait, decide
from keyless.space.entering.reading import Asked, Identity, read_untrusted
from unit.space.entering.requests import CTP1, KEY, pem, request

OWN: KubeObject = {
    "metadata": {"name": "ctp1", "namespace": "default"},
    "status": {"api": {"mode": "kubernetes"}, "conditions": [{"type": "Ready", "status": "True"}]},
}
JANE = request("jane", ["team-a", "system:authenticated"])
NAMES = st.one_of(
    st.sampled_from(["jane", "team-a", "system:masters", "system:node:n", "keyless:operator", "host:x", "system:kube",
                     "system:serviceaccount:default:default", "system:authenticated", "arn:aws:sts::1:" + "x" * 90]),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20),
)  # fmt: skip


def judged(asker: KubeObject, **changed: Any) -> Asked | Refusal | Wait:
    asked = read_untrusted(asker)
    return asked if isinstance(asked, Refusal) else decide(replace(facts(asker, asked), **changed))


def facts(asker: KubeObject, asked: Asked) -> Facts:
    return Facts(CTP1, asker, asked, may=True, plane=OWN, has_keys=True)


def test_who_may_enter_is_named_as_he_is_with_the_groups_he_asks_for() -> None:
    verdict = judged(JANE)
    assert isinstance(verdict, Asked)
    assert verdict.identity == Identity("jane", ("team-a",))
    assert verdict.seconds == LIFE_SECONDS


@effort(60)
@given(user=NAMES, groups=st.lists(NAMES, max_size=4), asked=NAMES, wanted=st.lists(NAMES, max_size=3))
def test_nobody_gets_a_name_or_a_group_that_is_not_his(
    user: str, groups: list[str], asked: str, wanted: list[str]
) -> None:
    who = Asked(Identity(asked, tuple(wanted)), KEY.public_key())
    asker = request("x", asks="", username=user, groups=groups)
    verdict = decide(facts(asker, who))
    if isinstance(verdict, Asked):
        account = user.startswith("system:serviceaccount:")
        assert verdict.identity.user == (f"host:{user.removeprefix('system:')}" if account else user)
        assert not verdict.identity.user.startswith(("system:", "keyless:"))
        assert set(verdict.identity.groups) <= set(groups)
        assert not any(each.startswith(RESERVED) for each in verdict.identity.groups)
        assert not (account and verdict.identity.groups)
    else:
        assert isinstance(verdict, Refusal)
        assert verdict.reason == Reason.ACCESS_DENIED


@effort(60)
@given(user=NAMES, groups=st.lists(NAMES, max_size=4))
def test_what_somebody_is_inside_is_what_he_may_ask_for(user: str, groups: list[str]) -> None:
    own = inside(user, groups)
    if isinstance(own, Identity):
        asker = request("x", asks=pem(own.user, own.groups), username=user, groups=groups)
        verdict = judged(asker)
        assert isinstance(verdict, Asked)
        assert verdict.identity == own


@effort(60)
@given(one=NAMES, other=NAMES)
def test_two_users_of_the_host_are_two_inside(one: str, other: str) -> None:
    names = [each.user for each in (inside(one, ()), inside(other, ())) if isinstance(each, Identity)]
    assert one == other or len(set(names)) == len(names)


@pytest.mark.parametrize("user", ["system:masters", "system:node:n1", "system:admin", "keyless:operator", "host:a", ""])
def test_a_name_that_means_something_inside_is_refused(user: str) -> None:
    assert isinstance(judged(request("x", username=user, asks=pem("x"))), Refusal)


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ({"usages": ["server auth"]}, "usages"),
        ({"usages": ["client auth", "cert sign"]}, "usages"),
        ({"usages": []}, "usages"),
        ({"asks": "not base64"}, "PKCS #10"),
        ({"asks": ""}, "PKCS #10"),
        ({"asks": pem("jane", key=ec.generate_private_key(ec.SECP224R1()))}, "P-256"),
        ({"asks": pem("jane", key=rsa.generate_private_key(65537, 1024))}, "2048"),
        ({"asks": pem("jane", extensions=[x509.SubjectAlternativeName([x509.DNSName("a")])])}, "nothing else"),
        ({"asks": pem("jane", [""])}, "an empty one"),
    ],
)
def test_what_cannot_be_signed_as_it_stands_is_refused_with_what_was_expected(spec: dict[str, Any], found: str) -> None:
    verdict = judged(request("jane", **spec))
    assert isinstance(verdict, Refusal)
    assert found in verdict.detail


def test_a_request_that_somebody_else_signed_is_refused() -> None:
    import base64

    mine = x509.load_pem_x509_csr(base64.b64decode(pem("jane")))
    der = bytearray(mine.public_bytes(serialization.Encoding.DER))
    place = bytes(der).index(b"jane")
    der[place : place + 4] = b"joan"
    forged = x509.load_der_x509_csr(bytes(der)).public_bytes(serialization.Encoding.PEM)
    assert isinstance(read_untrusted(request("joan", asks=base64.b64encode(forged).decode())), Refusal)


def test_another_attribute_of_the_subject_is_refused() -> None:
    import base64

    from cryptography.hazmat.primitives import hashes

    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "jane"), x509.NameAttribute(NameOID.USER_ID, "0")])
    signed = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(KEY, hashes.SHA256())
    asks = base64.b64encode(signed.public_bytes(serialization.Encoding.PEM)).decode()
    assert isinstance(read_untrusted(request("jane", asks=asks)), Refusal)


@effort(60)
@given(seconds=st.one_of(st.none(), st.integers(-1, 10**9)))
def test_no_certificate_lives_longer_than_an_hour(seconds: int | None) -> None:
    asked = read_untrusted(request("jane", expirationSeconds=seconds))
    assert isinstance(asked, Asked)
    assert 0 < asked.seconds <= LIFE_SECONDS


def test_who_may_not_enter_does_not_learn_whether_there_is_such_a_control_plane() -> None:
    there, nowhere = judged(JANE, may=False), judged(JANE, may=False, plane=None)
    assert there == nowhere
    assert isinstance(there, Refusal)


def plane(**status: Any) -> KubeObject:
    return {**OWN, "status": {**OWN["status"], **status}}


@pytest.mark.parametrize(
    "changed",
    [
        {"plane": None},
        {"plane": {**OWN, "metadata": {**OWN["metadata"], "deletionTimestamp": "2026-11-22T12:00:00Z"}}},
        {"plane": plane(api={"mode": "attached"})},
        {"plane": plane(api={"mode": "logical"}), "has_keys": False},
        {"plane": plane(conditions=[{"type": "Ready", "status": "False", "reason": "Paused"}])},
    ],
    ids=["none", "leaving", "attached", "logical", "paused"],
)
def test_where_nothing_can_be_entered_that_is_said(changed: dict[str, Any]) -> None:
    assert isinstance(judged(JANE, **changed), Refusal)


@pytest.mark.parametrize("changed", [{"plane": {**OWN, "status": {}}}, {"has_keys": False}])
def test_one_that_is_being_made_is_waited_for(changed: dict[str, Any]) -> None:
    assert isinstance(judged(JANE, **changed), Wait)


@effort(60)
@given(st.from_regex(r"[a-z0-9]([-a-z0-9]{0,10}[a-z0-9])?", fullmatch=True),
       st.from_regex(r"[a-z0-9]([-.a-z0-9]{0,10}[a-z0-9])?", fullmatch=True))  # fmt: skip
def test_a_signer_names_one_control_plane(namespace: str, name: str) -> None:
    assert plane_of(signer_of(Name(namespace, name))) == Name(namespace, name)


@pytest.mark.parametrize(
    "signer",
    ["kubernetes.io/kube-apiserver-client", "kubernetes.io/kubelet-serving", "controlplanes.keyless.dev/ctp1",
     "controlplanes.keyless.dev.evil.org/default.ctp1", "controlplanes.keyless.dev/.ctp1", ""],
)  # fmt: skip
def test_the_signers_of_others_are_left_to_them(signer: str) -> None:
    assert plane_of(signer) is None
