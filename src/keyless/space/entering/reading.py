"""What a CertificateSigningRequest asks for. Pure.

``spec.username``, ``groups``, ``uid`` and ``extra`` are the API server's; all else is the asker's.
https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import NameOID

from keyless.api import Reason, Refusal
from keyless.kube import KubeObject, condition_of
from keyless.space.entering.names import LIFE_SECONDS, Identity

RSA_BITS = 2048
USAGES = frozenset({"client auth", "digital signature", "key encipherment"})
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)


@dataclass(frozen=True, slots=True)
class Asked:
    """A key, and whom a certificate of it shall name for how long."""

    identity: Identity
    key: CertificatePublicKeyTypes
    seconds: int = LIFE_SECONDS


def is_open(request: KubeObject) -> bool:
    """Whether there is still something to say to it."""
    status = request.get("status") or {}
    kinds = {each.get("type") for each in status.get("conditions") or ()}
    return not status.get("certificate") and kinds.isdisjoint({"Denied", "Failed"})


def is_approved(request: KubeObject) -> bool:
    """Whether somebody has said yes: the operator, before it signs, or a person."""
    return condition_of((request.get("status") or {}).get("conditions"), "Approved") is not None


def read_untrusted(request: KubeObject) -> Asked | Refusal:
    """What is asked for, where it can be signed as it stands."""
    spec = request.get("spec") or {}
    usages = frozenset(spec.get("usages") or ())
    if "client auth" not in usages or not usages <= USAGES:
        return _refused(f"usages: expected client auth, with {_listed(USAGES)} at most, found {_listed(usages)}")
    try:
        asked = x509.load_pem_x509_csr(base64.b64decode(spec.get("request") or "", validate=True))
        key, signed = asked.public_key(), asked.is_signature_valid
        alternative = any(each.oid == x509.SubjectAlternativeName.oid for each in asked.extensions)
        subject = [(each.oid, each.value) for each in asked.subject]
    except (ValueError, TypeError, binascii.Error, UnsupportedAlgorithm, InvalidSignature, x509.DuplicateExtension):
        return _refused("spec.request: expected a PEM block CERTIFICATE REQUEST of PKCS #10")
    if not signed:
        return _refused("spec.request: expected a signature by the key that it names, found another's")
    if not _is_strong(key):
        return _refused(f"spec.request: expected a key of RSA from {RSA_BITS} bits, P-256, P-384, P-521 or Ed25519")
    users = [value for oid, value in subject if oid == NameOID.COMMON_NAME]
    groups = [value for oid, value in subject if oid == NameOID.ORGANIZATION_NAME]
    if alternative or len(users) != 1 or len(users) + len(groups) != len(subject):
        return _refused("spec.request: expected one common name (the user) and organizations (groups), nothing else")
    if not all(isinstance(each, str) and each for each in (*users, *groups)):
        return _refused("spec.request: expected names of text, found an empty one")
    seconds = spec.get("expirationSeconds")
    life = min(seconds, LIFE_SECONDS) if isinstance(seconds, int) and seconds > 0 else LIFE_SECONDS
    return Asked(Identity(str(users[0]), tuple(map(str, groups))), key, life)


def _is_strong(key: object) -> bool:
    match key:
        case rsa.RSAPublicKey():
            return key.key_size >= RSA_BITS
        case ec.EllipticCurvePublicKey():
            return isinstance(key.curve, _CURVES)
        case _:
            return isinstance(key, ed25519.Ed25519PublicKey)


def _refused(detail: str) -> Refusal:
    return Refusal(Reason.REQUEST_INVALID, detail)


def _listed(words: frozenset[str]) -> str:
    return ", ".join(sorted(map(str, words))) or "none"
