"""Keys and certificates of one control plane.

The authority and the key that signs service accounts' tokens are made once: with others no token holds. The key that
encrypts Secrets is changed step by step, or nothing stored could be read (``ring.py``). What is signed by the authority
is renewed at half of its life; kube-apiserver and client-go read changed files by themselves, so nothing restarts.

Tokens are signed with RSA, which every verifier of service account tokens reads.
"""

from __future__ import annotations

import base64
import secrets
from datetime import datetime, timedelta

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from keyless.serving.certificates import LIFE, Pair, Wanted, make_authority, private_text, sign

__all__ = ["LIFE", "Pair", "Wanted", "make_keys", "sign"]

AUTHORITY_LIFE = timedelta(days=3650)
ENCRYPTION_BYTES = 32
_PEM = serialization.Encoding.PEM


def make_keys(name: str, now: datetime) -> dict[str, str]:
    """What is made once: ``ca.crt``, ``ca.key``, ``service-account.key``, ``service-account.pub``, ``encryption``."""
    authority = make_authority(name, now, AUTHORITY_LIFE)
    tokens = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = tokens.public_key().public_bytes(_PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return {
        "ca.crt": authority.certificate,
        "ca.key": authority.key,
        "service-account.key": private_text(tokens),
        "service-account.pub": public.decode(),
        "encryption": make_encryption_key(),
    }


def make_encryption_key() -> str:
    """What Secrets in etcd are encrypted with: 32 bytes in base64, as ``secretbox`` takes them."""
    return base64.b64encode(secrets.token_bytes(ENCRYPTION_BYTES)).decode()
