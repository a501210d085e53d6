"""Keys and certificates for TLS: an authority, and what it signs.

What is signed lives for 30 days and is renewed by whoever holds it at half of that. Elliptic curves: an RSA key costs a
second of CPU to make.
"""

from __future__ import annotations

import ipaddress
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes, PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFE = timedelta(days=30)
SLACK = timedelta(minutes=5)
"""Clocks of two machines differ."""
# X.520 ends a common name at 64 characters; Kubernetes reads longer ones, and users have them.
warnings.filterwarnings("ignore", "Attribute's length must be", UserWarning)
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


def make_authority(name: str, now: datetime, life: timedelta) -> Pair:
    """One that signs certificates and no further authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    certificate = (
        _builder(subject, subject, key.public_key(), key.public_key(), now, life)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Pair(certificate.public_bytes(_PEM).decode(), private_text(key))


def sign(keys: Mapping[str, str], wanted: Wanted, now: datetime) -> Pair:
    """A certificate by the authority in ``keys``, with a key of its own; ``ValueError`` where those are none."""
    own = ec.generate_private_key(ec.SECP256R1())
    return Pair(sign_key(keys, own.public_key(), wanted, now, LIFE), private_text(own))


def sign_key(
    keys: Mapping[str, str], public: CertificatePublicKeyTypes, wanted: Wanted, now: datetime, life: timedelta
) -> str:
    """A certificate by the authority in ``keys`` for a key that somebody else keeps, as PEM."""
    authority = x509.load_pem_x509_certificate(keys["ca.crt"].encode())
    signing = serialization.load_pem_private_key(keys["ca.key"].encode(), None)
    if not isinstance(signing, ec.EllipticCurvePrivateKey):
        raise ValueError("ca.key: expected an elliptic curve key")
    server, client = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
    uses = [server, client] if wanted.both else [server if wanted.addresses else client]
    builder = (
        _builder(subject_of(wanted.user, wanted.groups), authority.subject, public, signing.public_key(), now, life)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
    )
    if wanted.addresses:
        builder = builder.add_extension(_names(wanted.addresses), critical=False)
    return builder.sign(signing, hashes.SHA256()).public_bytes(_PEM).decode()


def subject_of(user: str, groups: Sequence[str] = ()) -> x509.Name:
    """The user and groups that kube-apiserver reads in a client certificate.

    A name may be longer than X.520's 64 characters, as the ARN of a session is: Kubernetes reads it whole.
    """
    members = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*members, x509.NameAttribute(NameOID.COMMON_NAME, user, _validate=False)])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: CertificatePublicKeyTypes,
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


def private_text(key: PrivateKeyTypes) -> str:
    """A private key as PEM, not encrypted."""
    return key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
