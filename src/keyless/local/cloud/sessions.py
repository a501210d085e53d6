"""Temporary credentials: minted by STS, carried whole in their own session token.

The token is the session, authenticated with a secret of the state, and the secret key follows from the
access key id; so sessions survive a restart, cost no memory, and cannot be altered by who holds them.
"""

from __future__ import annotations

import base64
import hmac
import secrets
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import orjson

from keyless.local.cloud.database import Database

_PREFIX = "IQoJb3JpZ2luX2Vj"  # every session token of AWS begins so: log filters know it
#: the first byte of a token's content: how the JSON behind it is written
_COMPRESSED, _PLAIN = b"\x01", b"\x02"
#: compressing costs more than all the rest of minting: only where policies or tags make a session long
_LONGEST_PLAIN_BYTES = 1024


def new_id(prefix: str, length: int = 17) -> str:
    """An AWS unique id: ``AROA…``, ``AIDA…``, ``AKIA…``, ``ASIA…``, ``ANPA…``."""
    # AWS's alphabet is base32's: five bits a character.
    return prefix + base64.b32encode(secrets.token_bytes(length * 5 // 8 + 1))[:length].decode()


@dataclass(frozen=True, slots=True)
class Session:
    """Who temporary credentials speak for, and within which bounds. Holds no secret."""

    access_key_id: str
    kind: str  # "role", "user" (GetSessionToken) or "federated" (GetFederationToken)
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
        body = orjson.dumps(session)
        short = len(body) <= _LONGEST_PLAIN_BYTES
        packed = _PLAIN + body if short else _COMPRESSED + zlib.compress(body)
        token = _PREFIX + base64.urlsafe_b64encode(packed + self._mac(packed)).decode().rstrip("=")
        return Credentials(session.access_key_id, self.secret_of(session.access_key_id), token, session.expires_at)

    def secret_of(self, access_key_id: str) -> str:
        """The secret key that belongs to a temporary access key id."""
        digest = hmac.digest(self._key, b"secret:" + access_key_id.encode(), "sha256")
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
        if not packed or not hmac.compare_digest(mac, self._mac(packed)):
            return None
        body = orjson.loads(packed[1:] if packed[:1] == _PLAIN else zlib.decompress(packed[1:]))
        for name in ("policies", "policy_arns", "transitive_tags"):
            body[name] = tuple(body[name])
        return Session(**body)

    def _mac(self, packed: bytes) -> bytes:
        return hmac.digest(self._key, b"token:" + packed, "sha256")
