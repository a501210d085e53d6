"""The form of our ciphertexts, and the sealing itself: AES-256-GCM with the encryption context as associated data.

Form 2: ``02``, the key's id (16 bytes), the number of its material (2 bytes), nonce (12), ciphertext and tag. Form 1,
of older states, began with the id in ASCII and knew one material. AWS does not publish its own form.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_FORM = b"\x02"
_ID_BYTES, _NUMBER_BYTES, _NONCE_BYTES, _TAG_BYTES = 16, 2, 12, 16
_OLD_ID_BYTES = 36


@dataclass(frozen=True, slots=True)
class Ciphertext:
    """A ciphertext taken apart, not yet opened."""

    key_id: str
    material: int
    nonce: bytes
    sealed: bytes


def seal(key_id: str, number: int, material: bytes, *, plaintext: bytes, context: Mapping[str, str]) -> bytes:
    """Encrypt under one material of a key."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    head = _FORM + UUID(key_id).bytes + number.to_bytes(_NUMBER_BYTES)
    return head + nonce + AESGCM(material).encrypt(nonce, plaintext, _associated(context))


def read_untrusted(blob: bytes) -> Ciphertext | None:
    """Take a peer's bytes apart; None for anything that is not of our making. Never raises."""
    if blob[:1] == _FORM:
        key_id, rest = blob[1 : 1 + _ID_BYTES], blob[1 + _ID_BYTES :]
        number, rest = int.from_bytes(rest[:_NUMBER_BYTES]), rest[_NUMBER_BYTES:]
        name = str(UUID(bytes=key_id)) if len(key_id) == _ID_BYTES else ""
    else:
        name, number, rest = _old_name(blob[:_OLD_ID_BYTES]), 0, blob[_OLD_ID_BYTES:]
    if not name or len(rest) < _NONCE_BYTES + _TAG_BYTES:
        return None
    return Ciphertext(name, number, rest[:_NONCE_BYTES], rest[_NONCE_BYTES:])


def open_untrusted(found: Ciphertext, material: bytes, context: Mapping[str, str]) -> bytes | None:
    """Decrypt; None where bytes or context are not those that were sealed."""
    try:
        return AESGCM(material).decrypt(found.nonce, found.sealed, _associated(context))
    except InvalidTag:
        return None


def _old_name(head: bytes) -> str:
    try:
        return str(UUID(head.decode("ascii")))
    except ValueError:  # UnicodeDecodeError is one
        return ""


def _associated(context: Mapping[str, str]) -> bytes:
    return json.dumps(dict(context), sort_keys=True).encode()
