"""Certificates and kubeconfigs of a cluster that lives as long as a test."""

from __future__ import annotations

import base64
import ipaddress
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFE = timedelta(days=2)


class Pki:
    """One authority, certificates of it, and the key pair for tokens, as files in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
        self._write("ca", self._key, self._sign(self._name, self._key, (), authority=True))
        tokens = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._write("sa", tokens, None)
        public = tokens.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        (folder / "sa.pub").write_bytes(public)

    def certify(self, name: str, *, user: str, groups: Sequence[str] = (), at: Sequence[str] = ()) -> None:
        """Write ``name.crt`` and ``name.key`` for a user of groups, or a server at addresses and names."""
        members = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        subject = x509.Name([*members, x509.NameAttribute(NameOID.COMMON_NAME, user)])
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._write(name, key, self._sign(subject, key, at))

    def kubeconfig(self, name: str, server: str) -> Path:
        """Write ``name.kubeconfig`` for the holder of that certificate; returns its path."""

        def data(file: str) -> str:
            return base64.b64encode((self.folder / file).read_bytes()).decode()

        cluster = {"server": server, "certificate-authority-data": data("ca.crt")}
        user = {"client-certificate-data": data(f"{name}.crt"), "client-key-data": data(f"{name}.key")}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "one", "cluster": cluster}],
            "users": [{"name": "me", "user": user}],
            "contexts": [{"name": "one", "context": {"cluster": "one", "user": "me"}}],
            "current-context": "one",
        }
        path = self.folder / f"{name}.kubeconfig"
        path.write_text(json.dumps(config))
        path.chmod(0o600)
        return path

    def _sign(
        self, subject: x509.Name, key: rsa.RSAPrivateKey, at: Sequence[str], *, authority: bool = False
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + _LIFE)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if not authority:
            uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        else:
            # Python verifies strictly since 3.13: an authority says that it signs.
            usage = dict.fromkeys(
                ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only",
                 "decipher_only"),
                False,
            )  # fmt: skip
            signs = x509.KeyUsage(digital_signature=True, key_cert_sign=True, crl_sign=True, **usage)
            builder = builder.add_extension(signs, critical=True)
        if at:
            builder = builder.add_extension(x509.SubjectAlternativeName([_name(one) for one in at]), critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def _write(self, name: str, key: rsa.RSAPrivateKey, certificate: x509.Certificate | None) -> None:
        pem = serialization.Encoding.PEM
        path = self.folder / f"{name}.key"
        path.write_bytes(
            key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
        )
        path.chmod(0o600)
        if certificate is not None:
            (self.folder / f"{name}.crt").write_bytes(certificate.public_bytes(pem))


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)
