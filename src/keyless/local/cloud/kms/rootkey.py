"""The root key: it wraps the material of every key, and lies in a file of its own, outside the database.

So a copy of ``state.db`` alone (a backup, a file sent with a bug report) shows no secret value and no key material.
Whoever reads the whole state folder has both; that is what the folder's mode 0700 is for.
"""

from __future__ import annotations

import os
import secrets
from base64 import b64decode, b64encode
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keyless.api import Permanent
from keyless.local.cloud.database import Database

_BYTES, _NONCE_BYTES = 32, 12
_FILE = "root.key"


def root_key_in(folder: Path) -> bytes:
    """The root key that lies in ``folder`` (made at the first call, mode 0600)."""
    path = folder / _FILE
    try:
        found = path.read_bytes()
    except FileNotFoundError:
        found = secrets.token_bytes(_BYTES)
        _write_whole(path, found)
    if len(found) != _BYTES:
        raise Permanent(f"{path}: expected a key of {_BYTES} bytes, found {len(found)}; restore it from a backup")
    return found


def _write_whole(path: Path, content: bytes) -> None:
    """Never half a key: written aside, synced, then given its name."""
    aside = path.with_suffix(".new")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    aside.rename(path)


class RootKey:
    """Wraps and unwraps. Without ``key`` (tests) one is kept in the database."""

    def __init__(self, database: Database, key: bytes = b"") -> None:
        self._key = key or bytes.fromhex(database.remembered("kms-root-key"))
        self._cipher = AESGCM(self._key)
        self._check(database)

    def wrap(self, material: bytes, name: str) -> str:
        """``material`` of the key ``name``, for the database (base64)."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return b64encode(nonce + self._cipher.encrypt(nonce, material, name.encode())).decode()

    def unwrap(self, wrapped: str, name: str) -> bytes:
        """The material; raises Permanent where the state was tampered with."""
        raw = b64decode(wrapped)
        try:
            return self._cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], name.encode())
        except InvalidTag:
            raise Permanent(f"KMS key {name}: its stored material does not open under the root key") from None

    def _check(self, database: Database) -> None:
        """Another root key than the one that wrapped what is stored is told at start, not at the first read."""
        mark = sha256(b"keyless kms root key" + self._key).hexdigest()
        if database.remembered("kms-root-mark", lambda: mark) != mark:
            raise Permanent(
                "KMS's root key: expected the one that this state was written with, found another; put kms/"
                f"{_FILE} back into the state folder, or choose another folder with --state"
            )
