"""The token issuer of each cluster: its own URL, its own RSA key, made when first needed and kept in SQLite.

A tenant's tokens can never pass for the host's: another issuer, another key. Tokens follow Kubernetes' bound service
account tokens; see ``keyless.tokens``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection

from keyless.tokens import (
    KeySet,
    SigningKey,
    TokenRefusal,
    VerifiedServiceAccount,
    discovery,
    issue,
    jwks,
    key_set,
    verify_service_account,
)

MIGRATIONS = ("CREATE TABLE IF NOT EXISTS cluster_keys (cluster TEXT PRIMARY KEY, pem BLOB NOT NULL)",)
API_AUDIENCE = "https://kubernetes.default.svc"
"""The audience of tokens that are for the API itself, as on EKS."""
_KEY_BITS = 2048
_CACHE_SIZE = 2048


class Issuers:
    """Signs, publishes and verifies for all clusters."""

    def __init__(self, database: sqlite3.Connection, server_url: str) -> None:
        self._database = database
        self._server_url = server_url.rstrip("/")
        self._keys: dict[str, tuple[SigningKey, KeySet]] = {}
        self._proven: dict[tuple[str, str], VerifiedServiceAccount] = {}
        for statement in MIGRATIONS:
            database.execute(statement)

    def url(self, cluster: str) -> str:
        """The issuer: ``https://127.0.0.1:PORT/clusters/<name>``."""
        return f"{self._server_url}/clusters/{cluster}"

    def api_audiences(self, cluster: str) -> tuple[str, ...]:
        """The audiences that the cluster's own API accepts; the first is what tokens get by default."""
        return (API_AUDIENCE, self.url(cluster))

    def discovery(self, cluster: str) -> dict[str, object]:
        """The OpenID discovery document."""
        return discovery(self.url(cluster))

    def jwks(self, cluster: str) -> dict[str, object]:
        """The public keys."""
        return jwks([self._of(cluster)[0]])

    def sign(self, cluster: str, claims: dict[str, object]) -> str:
        """A signed token."""
        return issue(self._of(cluster)[0], claims)

    def verify(
        self, cluster: str, token: str, *, audiences: Collection[str], now: int
    ) -> VerifiedServiceAccount | TokenRefusal:
        """Check signature, issuer, audience and times. The caller looks the uids up."""
        ours = set(audiences) == set(self.api_audiences(cluster))
        known = self._proven.get((cluster, token)) if ours else None
        if known and known.expires_at > now:
            return known
        keys = self._of(cluster)[1]
        found = verify_service_account(token, keys, issuer=self.url(cluster), audiences=audiences, now=now)
        if ours and isinstance(found, VerifiedServiceAccount):
            if len(self._proven) >= _CACHE_SIZE:
                self._proven.clear()
            self._proven[cluster, token] = found
        return found

    def forget(self, cluster: str) -> None:
        """Drop the key of a cluster that is gone: its tokens are void, even if the name comes back."""
        self._database.execute("DELETE FROM cluster_keys WHERE cluster = ?", (cluster,))
        self._keys.pop(cluster, None)
        self._proven = {place: found for place, found in self._proven.items() if place[0] != cluster}

    def _of(self, cluster: str) -> tuple[SigningKey, KeySet]:
        if cluster not in self._keys:
            key = SigningKey.from_pem(self._pem(cluster))
            self._keys[cluster] = key, key_set([key])
        return self._keys[cluster]

    def _pem(self, cluster: str) -> bytes:
        row = self._database.execute("SELECT pem FROM cluster_keys WHERE cluster = ?", (cluster,)).fetchone()
        if row:
            return bytes(row[0])
        pem = new_pem()
        self._database.execute("INSERT INTO cluster_keys VALUES (?, ?)", (cluster, pem))
        return pem


def new_pem() -> bytes:
    """A new RSA private key."""
    from cryptography.hazmat.primitives import serialization  # loaded late: only the first start needs it
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
