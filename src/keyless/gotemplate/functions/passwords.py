"""sprig's password hashes, and its AES reading.

The salt of a hash is made of what is hashed, not by chance: a Secret changes when its password does, not at every
refresh. Whoever sees two equal hashes learns that user and password are equal, and nothing more.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import bcrypt

from keyless.gotemplate.account import Account
from keyless.gotemplate.errors import Problem
from keyless.gotemplate.functions.function import Function
from keyless.gotemplate.functions.later import Later

if TYPE_CHECKING:
    from cryptography.hazmat.primitives import ciphers, padding
else:
    ciphers = Later("cryptography.hazmat.primitives.ciphers")
    padding = Later("cryptography.hazmat.primitives.padding")

ROUNDS = 10
HASH_STEPS = 20_000
"""What one hash is taken for: some 60 ms, so a rendering has ten at most."""
_STANDARD = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_BCRYPT = b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_ALPHABET = bytes.maketrans(_STANDARD, _BCRYPT)


def _hashed(account: Account, password: bytes, user: bytes = b"") -> bytes:
    if len(password) > 72:
        raise Problem("bcrypt takes 72 bytes of a password at most")
    account.step(HASH_STEPS)
    seed = hashlib.sha256(b"keyless bcrypt\0%d\0%b%b" % (len(user), user, password)).digest()[:16]
    salt = base64.b64encode(seed).rstrip(b"=").translate(_ALPHABET)
    return bcrypt.hashpw(password, b"$2a$%d$%b" % (ROUNDS, salt))


def _htpasswd(account: Account, user: bytes, password: bytes) -> bytes:
    if b":" in user:
        raise Problem("a user's name has no colon")
    return user + b":" + _hashed(account, password, user)


def _decrypt_aes(password: bytes, text: bytes) -> bytes:
    try:
        packed = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise Problem("the input is no standard base64") from None
    if not packed:
        return b""
    if len(packed) % 16 or len(packed) < 32:
        raise Problem("the input is no AES-CBC text: an initialization vector and whole blocks")
    # sprig's key: the password itself, cut or filled up to 32 bytes.
    key = ciphers.algorithms.AES(password[:32].ljust(32, b"\0"))
    decryptor = ciphers.Cipher(key, ciphers.modes.CBC(packed[:16])).decryptor()
    unpadder = padding.PKCS7(128).unpadder()
    try:
        return unpadder.update(decryptor.update(packed[16:]) + decryptor.finalize()) + unpadder.finalize()
    except ValueError:
        raise Problem("the input was not encrypted with this password") from None


PASSWORDS: Mapping[str, Function] = {
    "bcrypt": Function("s", _hashed, asks=True),
    "htpasswd": Function("ss", _htpasswd, asks=True),
    "decryptAES": Function("ss", _decrypt_aes),
}
