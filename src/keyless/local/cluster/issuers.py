"""The token issuer of each cluster: its own URL and its own keys, made when first needed.

A tenant's tokens can never pass for the host's: another issuer, other keys. Tokens follow Kubernetes' bound service
account tokens, see ``keyless.tokens``; keys change by themselves, see :mod:`keyring`.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Collection

from keyless.local.cluster.keyring import Keyring, Keys
from keyless.tokens import (
    KeySet,
    TokenRefusal,
    VerifiedServiceAccount,
    discovery,
    issue,
    jwks,
    key_set,
    verify_service_account,
)

API_AUDIENCE = "https://kubernetes.default.svc"
"""The audience of tokens that are for the API itself, as on EKS."""
_CACHE_SIZE = 2048
#: how long keys serve before it is asked again what is due; steps are hours apart
_SETTLED_SECONDS = 60


class Issuers:
    """Signs, publishes and verifies for all clusters."""

    def __init__(self, database: sqlite3.Connection, server_url: str, now: Callable[[], float] = time.time) -> None:
        self._keyring = Keyring(database)
        self._server_url = server_url.rstrip("/")
        self._now = now
        self._keys: dict[str, tuple[Keys, KeySet]] = {}
        self._settled_at: dict[str, int] = {}
        self._version = self._keyring.version()
        self._proven: dict[tuple[str, str], VerifiedServiceAccount] = {}

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
        """The public keys, those that wait for their turn and those that retire too."""
        return jwks(self._of(cluster)[0].all)

    def sign(self, cluster: str, claims: dict[str, object]) -> str:
        """A signed token."""
        key = self._of(cluster)[0].signing
        if isinstance(expiry := claims.get("exp"), int):
            self._keyring.signed(cluster, key.kid, expiry)
        return issue(key, claims)

    def verify(
        self, cluster: str, token: str, *, audiences: Collection[str], now: int
    ) -> VerifiedServiceAccount | TokenRefusal:
        """Check signature, issuer, audience and times. The caller looks the uids up."""
        keys = self._of(cluster)[1]
        ours = set(audiences) == set(self.api_audiences(cluster))
        known = self._proven.get((cluster, token)) if ours else None
        if known and known.expires_at > now:
            return known
        found = verify_service_account(token, keys, issuer=self.url(cluster), audiences=audiences, now=now)
        if ours and isinstance(found, VerifiedServiceAccount):
            if len(self._proven) >= _CACHE_SIZE:
                self._proven.clear()
            self._proven[cluster, token] = found
        return found

    def forget(self, cluster: str) -> None:
        """Drop the keys of a cluster that is gone: its tokens are void, even if the name comes back."""
        self._keyring.forget(cluster)
        self._keys.pop(cluster, None)
        self._proven = {place: found for place, found in self._proven.items() if place[0] != cluster}

    def _of(self, cluster: str) -> tuple[Keys, KeySet]:
        """The keys as they are now: another process (``keyless keys``) may have turned them, or their time has come."""
        now = int(self._now())
        if (version := self._keyring.version()) != self._version:
            self._version = version
            self._keys.clear()
            self._proven.clear()
        held = self._keys.get(cluster)
        if held is None or not 0 <= now - self._settled_at[cluster] < _SETTLED_SECONDS:
            keys = self._keyring.settled(cluster, now)
            held = self._keys[cluster] = keys, key_set(keys.all)
            self._settled_at[cluster] = now
        return held
