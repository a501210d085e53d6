"""Tokens as an attacker would try them, made from a good one."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from contextlib import closing
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from e2e.local_space import LocalSpace
from keyless.local.state.database import open_for_reading
from keyless.tokens import SigningKey, issue

HOUR = 3600


def claims_of(token: str) -> dict[str, Any]:
    """What a token says."""
    payload = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


def key_of(space: LocalSpace, cluster: str) -> SigningKey:
    """A cluster's own signing key, read where only the owner of the state can."""
    connection = open_for_reading(space.folder)
    assert connection is not None
    with closing(connection):
        query = "SELECT pem FROM cluster_signing_keys WHERE cluster = ? AND state = 'Signing'"
        (pem,) = connection.execute(query, (cluster,)).fetchone()
    return SigningKey.from_pem(bytes(pem))


def expired(token: str, key: SigningKey) -> str:
    """As the issuer signed it yesterday."""
    now = int(time.time())
    old = {"iat": now - 2 * HOUR, "nbf": now - 2 * HOUR, "exp": now - HOUR}
    return issue(key, {**claims_of(token), **old})


def tampered(token: str) -> str:
    """Another subject under the old signature."""
    header, _, signature = token.split(".")
    claims = {**claims_of(token), "sub": "system:serviceaccount:kube-system:vector"}
    return f"{header}.{_encoded(claims)}.{signature}"


def unsigned(token: str) -> str:
    """``alg: none``, as RFC 7519 allows and no verifier should."""
    return f"{_encoded({'alg': 'none', 'typ': 'JWT'})}.{token.split('.')[1]}."


def signed_with_the_public_key(token: str, key: SigningKey) -> str:
    """HS256 with the issuer's public key as the shared secret: works where a verifier believes the header."""
    public = key.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signing_input = f"{_encoded({'alg': 'HS256', 'kid': key.kid, 'typ': 'JWT'})}.{token.split('.')[1]}"
    signature = hmac.new(public, signing_input.encode(), hashlib.sha256).digest()
    return f"{signing_input}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def signed_by_another(token: str, key: SigningKey, kid: str) -> str:
    """The same claims, signed by somebody else's key under the issuer's key id."""
    return issue(SigningKey(kid, key.private), claims_of(token))


def _encoded(part: object) -> str:
    text = json.dumps(part, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()
