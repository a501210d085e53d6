"""Keys and certificates of one control plane.

The authority, the key that signs service accounts' tokens and the key that encrypts Secrets are made once: with another
one nothing stored can be read and no token holds. What is signed by the authority lives for 30 days and is renewed at
half of that; kube-apiserver and client-go read changed files again by themselves, so nothing restarts.

Elliptic curves for TLS: an RSA key costs a second of CPU to make. Tokens are signed with RSA, which every verifier of
service account tokens reads.
"""

from __future__ import annotations

import base64
import ipaddress
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_LIFE = timedelta(days=3650)
LIFE = timedelta(days=30)
SLACK = timedelta(minutes=5)
"""Clocks of two machines differ."""
ENCRYPTION_BYTES = 32
_PEM = serialization.Encoding.PEM


@dataclass(frozen=True, slots=True)
class Wanted:
    """One certificate: the user (with groups) or server that it names, and the addresses it is good for."""

    user: str
    groups: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    both: bool = False
    """Good for a server and for a client: etcd's gateway is its own server's client."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, as PEM."""

    certificate: str
    key: str = field(repr=False)


def make_keys(name: str, now: datetime) -> dict[str, str]:
    """What is made once: ``ca.crt``, ``ca.key``, ``service-account.key``, ``service-account.pub``, ``encryption``."""
    authority = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    certificate = (
        _builder(subject, subject, authority.public_key(), authority.public_key(), now, AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .sign(authority, hashes.SHA256())
    )
    tokens = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = tokens.public_key().public_bytes(_PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return {
        "ca.crt": certificate.public_bytes(_PEM).decode(),
        "ca.key": _private(authority),
        "service-account.key": _private(tokens),
        "service-account.pub": public.decode(),
        "encryption": base64.b64encode(secrets.token_bytes(ENCRYPTION_BYTES)).decode(),
    }


def sign(keys: Mapping[str, str], wanted: Wanted, now: datetime) -> Pair:
    """A certificate by the authority in ``keys``; ``ValueError`` where those are none."""
    authority = x509.load_pem_x509_certificate(keys["ca.crt"].encode())
    signing = serialization.load_pem_private_key(keys["ca.key"].encode(), None)
    if not isinstance(signing, ec.EllipticCurvePrivateKey):
        raise ValueError("ca.key: expected an elliptic curve key")
    own = ec.generate_private_key(ec.SECP256R1())
    members = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in wanted.groups]
    subject = x509.Name([*members, x509.NameAttribute(NameOID.COMMON_NAME, wanted.user)])
    server, client = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
    uses = [server, client] if wanted.both else [server if wanted.addresses else client]
    builder = (
        _builder(subject, authority.subject, own.public_key(), signing.public_key(), now, LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
    )
    if wanted.addresses:
        builder = builder.add_extension(_names(wanted.addresses), critical=False)
    return Pair(builder.sign(signing, hashes.SHA256()).public_bytes(_PEM).decode(), _private(own))


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    by: ec.EllipticCurvePublicKey,
    now: datetime,
    life: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SLACK)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by), critical=False)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _names(addresses: Sequence[str]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([_name(each) for each in addresses])


def _name(address: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(address))
    except ValueError:
        return x509.DNSName(address)


def _private(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    return key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
