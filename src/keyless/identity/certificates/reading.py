"""What the Secret and the registration hold, read: text that is no certificate of ours counts as nothing. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization

from keyless.identity.certificates.plan import Authority, Held, Leaf
from keyless.kube import KubeObject

BUNDLE, AUTHORITY_KEY, CERTIFICATE, KEY = "ca.crt", "ca.key", "tls.crt", "tls.key"
_PEM = serialization.Encoding.PEM
_READ_ERRORS = (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound)


def read_held(secret: KubeObject | None) -> Held | None:
    """None where a part is missing, is none, or does not belong to the others."""
    data = texts_of(secret)
    try:
        authorities = [_authority(one) for one in x509.load_pem_x509_certificates(data[BUNDLE].encode())]
        newest = x509.load_pem_x509_certificate(authorities[0].pem.encode())
        if not _belong(data[AUTHORITY_KEY], newest):
            return None
        served = x509.load_pem_x509_certificate(data[CERTIFICATE].encode())
        if not _belong(data[KEY], served):
            return None
        return Held(tuple(authorities), _leaf(served, authorities))
    except (KeyError, *_READ_ERRORS):
        return None


def texts_of(secret: KubeObject | None) -> dict[str, str]:
    """The data of a Secret as text; what is no text is left out."""
    found = {}
    for name, value in ((secret or {}).get("data") or {}).items():
        try:
            found[name] = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            continue
    return found


def hooks_of(configuration: KubeObject, namespace: str, name: str) -> list[dict[str, Any]]:
    """The webhooks of a configuration that lead to the Service."""
    return [one for one in configuration.get("webhooks") or () if _leads_to(one, namespace, name)]


def bundle_of(hooks: list[dict[str, Any]]) -> str:
    """What the API server trusts, where all of them agree; empty where they do not, or none is told."""
    told = {str((one.get("clientConfig") or {}).get("caBundle") or "") for one in hooks}
    if len(told) != 1:
        return ""
    try:
        return base64.b64decode(told.pop(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def authorities_of(bundle: str) -> tuple[Authority, ...]:
    """The authorities of a bundle; none where a part of it is no certificate, since then it lets nobody in."""
    try:
        return tuple(_authority(one) for one in x509.load_pem_x509_certificates(bundle.encode()))
    except _READ_ERRORS:
        return ()


def _leads_to(hook: Mapping[str, Any], namespace: str, name: str) -> bool:
    service = (hook.get("clientConfig") or {}).get("service") or {}
    return (service.get("namespace"), service.get("name")) == (namespace, name)


def _authority(certificate: x509.Certificate) -> Authority:
    pem = certificate.public_bytes(_PEM).decode()
    return Authority(pem, certificate.not_valid_before_utc, certificate.not_valid_after_utc)


def _leaf(certificate: x509.Certificate, authorities: list[Authority]) -> Leaf:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    signer = next((one.pem for one in authorities if _signed(certificate, one)), "")
    hosts = frozenset(names.get_values_for_type(x509.DNSName))
    return Leaf(certificate.not_valid_before_utc, certificate.not_valid_after_utc, hosts, signer)


def _signed(certificate: x509.Certificate, by: Authority) -> bool:
    try:
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(by.pem.encode()))
    except _READ_ERRORS:
        return False
    return True


def _belong(key: str, certificate: x509.Certificate) -> bool:
    private = serialization.load_pem_private_key(key.encode(), None)
    form = (_PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.public_key().public_bytes(*form) == certificate.public_key().public_bytes(*form)
