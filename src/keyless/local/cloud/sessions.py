"""Temporary credentials: minted by STS, carried whole in their own session token.

The token is the session, compressed and authenticated with a secret of the state, and the secret key follows from the
access key id; so sessions survive a restart, cost no memory, and cannot be altered by who holds them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache

import orjson

from keyless.local.cloud.database import Database

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_PREFIX = "IQoJb3JpZ2luX2Vj"  # every session token of AWS begins so: log filters know it
_VERSION = 1


def new_id(prefix: str, length: int = 17) -> str:
    """An AWS unique id: ``AROA…``, ``AIDA…``, ``AKIA…``, ``ASIA…``, ``ANPA…``."""
    return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(length))


@dataclass(frozen=True, slots=True)
class Session:
    """Who temporary credentials speak for, and within which bounds. Holds no secret."""

    access_key_id: str
    kind: str  # "role" or "user" (GetSessionToken)
    name: str
    principal_name: str
    principal_arn: str
    principal_id: str
    issued_at: float
    expires_at: float
    policies: tuple[str, ...] = ()
    policy_arns: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    transitive_tags: tuple[str, ...] = ()
    source_identity: str = ""
    federated_provider: str = ""
    #: the issuer (host and path) and the claims that stay condition keys for the life of the session
    federated_keys: Mapping[str, str] = field(default_factory=dict)
    #: set by role chaining: its sessions live an hour at most
    chained: bool = False


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the caller gets. ``repr`` shows no secret."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    expires_at: float

    def __str__(self) -> str:
        return self.access_key_id


class Sessions:
    """Mints and reads session tokens."""

    def __init__(self, database: Database) -> None:
        self._key = bytes.fromhex(database.remembered("session-key"))
        self._read = lru_cache(maxsize=512)(self._read_untrusted)

    def mint(self, session: Session) -> Credentials:
        """Credentials for ``session``."""
        packed = bytes([_VERSION]) + zlib.compress(orjson.dumps(asdict(session)), 6)
        token = _PREFIX + base64.urlsafe_b64encode(packed + self._mac(packed)).decode().rstrip("=")
        return Credentials(session.access_key_id, self.secret_of(session.access_key_id), token, session.expires_at)

    def secret_of(self, access_key_id: str) -> str:
        """The secret key that belongs to a temporary access key id."""
        digest = hmac.new(self._key, b"secret:" + access_key_id.encode(), hashlib.sha256).digest()
        return base64.b64encode(digest)[:40].decode()

    def read_untrusted(self, token: str) -> Session | None:
        """The session of a token that we minted, expired or not; None for any other text."""
        return self._read(token)

    def _read_untrusted(self, token: str) -> Session | None:
        if not token.startswith(_PREFIX):
            return None
        text = token[len(_PREFIX) :]
        try:
            raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except ValueError:
            return None
        packed, mac = raw[:-32], raw[-32:]
        # The MAC comes first: only then is it ours, and safe to decompress.
        if not packed or not hmac.compare_digest(mac, self._mac(packed)) or packed[0] != _VERSION:
            return None
        body = orjson.loads(zlib.decompress(packed[1:]))
        for name in ("policies", "policy_arns", "transitive_tags"):
            body[name] = tuple(body[name])
        return Session(**body)

    def _mac(self, packed: bytes) -> bytes:
        return hmac.new(self._key, b"token:" + packed, hashlib.sha256).digest()
