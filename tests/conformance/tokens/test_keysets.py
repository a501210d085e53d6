"""The JWKS matrix: what an issuer publishes, and which of it STS takes; rotations step by step."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from conformance.tokens.stage import Stage, agrees, jwk, matrix, private_key
from keyless.tokens.encoding import decode_untrusted, encode
from unit.local.cloud.support import ISSUER

MATRIX, ROTATIONS = matrix("keysets"), matrix("rotations")
DISCOVERY, KEYS = f"{ISSUER}/.well-known/openid-configuration", f"{ISSUER}/keys"


@pytest.fixture
def stage(stage: Stage) -> Stage:
    """A process that has asked no issuer yet."""
    stage.world.restart()
    return stage


def certificate(name: str, year: int = 2040) -> str:
    """A self-signed certificate of a key, as x5c has them."""
    key = private_key(name)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    start = datetime(2020, 1, 1, tzinfo=UTC)
    end = start.replace(year=year)
    made = x509.CertificateBuilder(subject, subject, key.public_key(), 1, start, end).sign(key, SHA256())
    return base64.b64encode(made.public_bytes(Encoding.DER)).decode()


def chain(what: str, own: str) -> list[str]:
    return {
        "agree": lambda: [certificate(own)],
        "agree, expired": lambda: [certificate(own, 2021)],
        "agree, then another": lambda: [certificate(own), certificate("other")],
        "another, then agree": lambda: [certificate("other"), certificate(own)],
        "mismatch": lambda: [certificate("other")],
        "of EC": lambda: [certificate("ES256")],
    }[what]()


def entries(spec: dict[str, Any]) -> Iterator[object]:
    """The entries of a key document that one line of the matrix stands for."""
    spec = dict(spec)
    copies, dropped = spec.pop("copies", 0), spec.pop("drop", ())
    if "raw" in spec:
        yield from [spec["raw"]] * (copies or 1)
        return
    name = spec.pop("key")
    if "x5c" in spec:
        spec["x5c"] = chain(spec["x5c"], name)
    if "x5c_raw" in spec:
        spec["x5c"] = spec.pop("x5c_raw")
    made = jwk(name, **spec)
    if made.get("n") == "zero before":
        made["n"] = encode(b"\0" + decode_untrusted(str(jwk(name)["n"])))
    made = {member: value for member, value in made.items() if member not in dropped}
    yield from ([{**made, "kid": f"{name}-{number}"} for number in range(copies)] if copies else [made])


def text_of(given: Any) -> bytes:
    if isinstance(given, dict):
        before, after = given["around"]
        given = before + given["repeat"] * given["times"] + after
    return str(given).encode("utf-8", "surrogateescape")


def publish(stage: Stage, case: dict[str, Any]) -> None:
    documents = stage.world.issuers.documents
    documents.clear()
    keys = [entry for spec in case.get("keys", ()) for entry in entries(spec)]
    stage.publish(*keys, discovery=case.get("discovery"))
    document = json.dumps({"keys": keys, **case.get("jwks_more", {})})
    documents[KEYS] = ("{" + case.get("jwks_first", "") + document[1:]).encode()
    if "jwks_text" in case:
        documents[KEYS] = text_of(case["jwks_text"])
    if "discovery_text" in case:
        documents[DISCOVERY] = text_of(case["discovery_text"])
    if "jwks_at" in case:
        documents[case["jwks_at"]] = documents.pop(KEYS)


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in MATRIX.named])
def test_a_key_document_is_read_as_aws_reads_it(stage: Stage, case: dict[str, Any]) -> None:
    publish(stage, case)
    agrees(stage, stage.assume({**case, "key": case.get("sign", "rsa")}), case, MATRIX.texts)


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in ROTATIONS.named])
def test_a_rotation_is_followed(stage: Stage, case: dict[str, Any]) -> None:
    for step in case["steps"]:
        if "publish" in step:
            specs = [{"key": key} if isinstance(key, str) else key for key in step["publish"]]
            publish(stage, {"keys": specs})
        elif "wait" in step:
            stage.world.clock.pass_seconds(step["wait"])
        elif "down" in step:
            stage.world.issuers.documents.clear()
        elif "nonsense" in step:
            stage.world.issuers.documents[KEYS] = b"<html>"
        else:
            key = step["token"]
            algorithm = key if key.startswith("ES") else "RS256"
            answer = stage.assume({"header": {"kid": key, "alg": algorithm}, "key": key})
            agrees(stage, answer, step, ROTATIONS.texts)


def test_an_issuer_is_asked_once_for_many_tokens(stage: Stage) -> None:
    before = len(stage.world.issuers.fetched)
    assert {stage.assume({}).status for _ in range(10)} == {200}
    assert stage.world.issuers.fetched[before:] == [DISCOVERY, KEYS]


def test_what_an_unverified_token_says_never_chooses_a_url(stage: Stage) -> None:
    before = len(stage.world.issuers.fetched)
    for issuer in ("https://169.254.169.254/latest", "https://evil.example", f"{ISSUER}/../other"):
        stage.assume({"claims": {"iss": issuer}, "header": {"jku": issuer, "x5u": issuer}})
    assert stage.world.issuers.fetched[before:] == []
