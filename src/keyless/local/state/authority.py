"""The certificate authority of a local Space, and the certificates of its servers.

The served chain ends with the authority itself: eksctl takes the thumbprint of the last certificate of the chain.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from keyless.local.state.lock import private

AUTHORITY_LIFE = timedelta(days=3650)
SERVER_LIFE = timedelta(days=397)  # what browsers and Apple's TLS accept at most
RENEW_BEFORE = timedelta(days=30)
CLOCK_SKEW = timedelta(minutes=5)


class Authority:
    """One key and one self-signed certificate below ``folder``; made when missing."""

    def __init__(self, folder: Path, *, now: datetime | None = None) -> None:
        self._folder = folder
        self._now = now or datetime.now(UTC)
        folder.mkdir(mode=0o700, exist_ok=True)
        self.certificate_path = folder / "ca.crt"
        if not self.certificate_path.exists():
            self._make()
        self._key = _read_key(folder / "ca.key")
        self._certificate = x509.load_pem_x509_certificate(self.certificate_path.read_bytes())

    @property
    def ca_pem(self) -> str:
        """The authority's certificate, PEM."""
        return _pem(self._certificate).decode()

    def server_certificate(self, names: Sequence[str]) -> tuple[Path, Path]:
        """Paths of a chain (server, then authority) and its key for these names and addresses.

        Made when missing, renewed by the first call within 30 days of its end.
        """
        ordered = sorted(set(names))
        stem = hashlib.sha256(",".join(ordered).encode()).hexdigest()[:16]
        chain_path, key_path = self._folder / f"{stem}.crt", self._folder / f"{stem}.key"
        if not self._is_current(chain_path) or not key_path.exists():
            key = ec.generate_private_key(ec.SECP256R1())
            certificate = self._sign(ordered, key.public_key())
            _write(key_path, _key_pem(key))
            _write(chain_path, _pem(certificate) + _pem(self._certificate))
        return chain_path, key_path

    def _is_current(self, path: Path) -> bool:
        if not path.exists():
            return False
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        return certificate.not_valid_after_utc - RENEW_BEFORE > self._now

    def _make(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "keyless local authority")])
        certificate = (
            _builder(name, name, key.public_key(), self._now, AUTHORITY_LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(authority=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        _write(self._folder / "ca.key", _key_pem(key))
        _write(self.certificate_path, _pem(certificate))  # last: its presence says that both are there

    def _sign(self, names: Sequence[str], public: ec.EllipticCurvePublicKey) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        authority_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return (
            _builder(subject, self._certificate.subject, public, self._now, SERVER_LIFE)
            .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(authority_id, critical=False)
            .sign(self._key, hashes.SHA256())
        )


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _write(path: Path, content: bytes) -> None:
    partial = path.with_suffix(path.suffix + ".partial")
    with open(partial, "wb", opener=private) as file:
        file.write(content)
    partial.replace(path)
