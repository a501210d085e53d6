"""External Secrets' own functions for certificates: PEM blocks picked out, PKCS #12 archives read and made.

Words: https://external-secrets.io/latest/guides/templating/ (helper functions). A PKCS #12 archive holds salts made by
chance, so it differs at each rendering though what is in it does not, as External Secrets' own does.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from keyless.gotemplate.account import Account
from keyless.gotemplate.errors import Problem
from keyless.gotemplate.functions.function import Function
from keyless.gotemplate.functions.later import Later
from keyless.gotemplate.values import Strings

if TYPE_CHECKING:
    from cryptography import exceptions, x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.serialization import pkcs12
else:
    exceptions, x509 = Later("cryptography.exceptions"), Later("cryptography.x509")
    serialization = Later("cryptography.hazmat.primitives.serialization")
    pkcs12 = Later("cryptography.hazmat.primitives.serialization.pkcs12")

BLOCK_STEPS = 500
ARCHIVE_STEPS = 20_000
"""What an archive is taken for: its key is derived by thousands of hashes."""
_BLOCK = re.compile(
    rb"-----BEGIN ([^\n-]+)-----[ \t\r]*\n(?:[A-Za-z-]+: [^\n]*\n)*"
    rb"([A-Za-z0-9+/=\s]*?)-----END \1-----[ \t\r]*(?:\n|\Z)"
)
_CERTIFICATE = b"CERTIFICATE"


def _blocks(account: Account, text: bytes) -> list[tuple[bytes, bytes]]:
    """Return the type and the content of each PEM block; raises ``Problem`` for what follows them and is none."""
    found, end = [], 0
    for match in _BLOCK.finditer(text):
        account.step(BLOCK_STEPS)
        end = match.end()
        try:
            found.append((match[1], base64.b64decode(b"".join(match[2].split()), validate=True)))
        except binascii.Error:
            raise Problem("a PEM block is no base64") from None
    if text[end:].strip():
        raise Problem("the input is no PEM, or something follows its last block")
    return found


def _pem(label: bytes, content: bytes) -> bytes:
    packed = base64.b64encode(content)
    lines = b"\n".join(packed[at : at + 64] for at in range(0, len(packed), 64))
    return b"-----BEGIN %b-----\n%b\n-----END %b-----\n" % (label, lines, label)


def _filter_pem(account: Account, label: bytes, text: bytes) -> bytes:
    return b"".join(_pem(found, content) for found, content in _blocks(account, text) if found == label)


def _certificates(account: Account, text: bytes) -> list[x509.Certificate]:
    found = [content for label, content in _blocks(account, text) if label == _CERTIFICATE]
    if not found:
        raise Problem("there is no CERTIFICATE block in the input")
    try:
        return [x509.load_der_x509_certificate(content) for content in found]
    except (ValueError, exceptions.UnsupportedAlgorithm):
        raise Problem("a CERTIFICATE block is no certificate") from None


def _is_root(one: x509.Certificate) -> bool:
    return one.issuer == one.subject


def _signs(one: x509.Certificate) -> bool:
    try:
        return bool(one.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
    except (x509.ExtensionNotFound, ValueError):
        return _is_root(one)


def _issued(issuer: x509.Certificate, one: x509.Certificate) -> bool:
    if issuer.subject != one.issuer or issuer is one:
        return False
    try:
        one.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, exceptions.InvalidSignature, exceptions.UnsupportedAlgorithm):
        return False
    return True


def _ordered(account: Account, found: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """Return one chain from its leaf up to its root; as it was given where there is no one chain."""
    account.step(len(found) * len(found) * 20)
    leaves = [one for one in found if not any(_issued(one, other) for other in found)]
    if len(leaves) != 1:
        return list(found)
    chain = leaves
    while len(chain) < len(found):
        above = [one for one in found if one not in chain and _issued(one, chain[-1])]
        if len(above) != 1:
            return list(found)
        chain.append(above[0])
    return chain


def _chain_part(account: Account, part: bytes, text: bytes) -> bytes:
    if part not in {b"leaf", b"intermediate", b"root"}:
        raise Problem("the first argument is leaf, intermediate or root")
    chain = _ordered(account, _certificates(account, text))
    if _is_root(chain[0]) and len(chain) > 1:
        raise Problem("there is no one chain of certificates in the input")
    named = {
        b"leaf": chain[:1] if not _signs(chain[0]) else [],
        b"intermediate": [one for one in chain if _signs(one) and not _is_root(one)],
        b"root": [one for one in chain if _is_root(one)],
    }
    return _written(named[part])


def _written(found: Sequence[x509.Certificate]) -> bytes:
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in found)


def _sans(account: Account, text: bytes) -> Strings:
    try:
        extension = _certificates(account, text)[0].extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, ValueError):
        return Strings()
    kinds = (x509.DNSName, x509.RFC822Name, x509.IPAddress, x509.UniformResourceIdentifier)
    return Strings(str(name).encode() for kind in kinds for name in extension.value.get_values_for_type(kind))


def _opened(account: Account, password: bytes, archive: bytes) -> pkcs12.PKCS12KeyAndCertificates:
    account.step(ARCHIVE_STEPS)
    # No password and the empty one are written differently.
    for one in (password,) if password else (None, b""):
        try:
            return pkcs12.load_pkcs12(archive, one)
        except (ValueError, TypeError, exceptions.UnsupportedAlgorithm):
            continue
    raise Problem("the input is no PKCS #12 archive with this password")


def _archive_key(account: Account, password: bytes, archive: bytes) -> bytes:
    key = _opened(account, password, archive).key
    if key is None:
        raise Problem("there is no private key in the archive")
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def _archive_certificates(account: Account, password: bytes, archive: bytes) -> bytes:
    opened = _opened(account, password, archive)
    found = [one.certificate for one in ([opened.cert] if opened.cert else []) + list(opened.additional_certs)]
    return _written(_ordered(account, found))


def _archive(account: Account, certificates: bytes, key: bytes, password: bytes = b"", *, full: bool = False) -> bytes:
    found = _certificates(account, certificates)
    account.step(ARCHIVE_STEPS)
    try:
        loaded: Any = serialization.load_pem_private_key(key, None)
    except (ValueError, TypeError, exceptions.UnsupportedAlgorithm):
        raise Problem("the second argument is no private key in PEM without a password") from None
    public = loaded.public_key()
    own = next((one for one in found if one.public_key() == public), None)
    if own is None:
        raise Problem("the private key belongs to none of the certificates")
    others = [one for one in found if one is not own]
    made = pkcs12.serialize_key_and_certificates(None, loaded, own, others if full else None, _encryption(password))
    return base64.b64encode(made)


def _full_archive(account: Account, certificates: bytes, key: bytes, password: bytes = b"") -> bytes:
    return _archive(account, certificates, key, password, full=True)


def _truststore(account: Account, certificates: bytes, password: bytes = b"") -> bytes:
    entries = [pkcs12.PKCS12Certificate(one, None) for one in _certificates(account, certificates)]
    account.step(ARCHIVE_STEPS)
    return base64.b64encode(pkcs12.serialize_java_truststore(entries, _encryption(password)))


def _encryption(password: bytes) -> serialization.KeySerializationEncryption:
    return serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()


CERTIFICATES: Mapping[str, Function] = {
    "filterPEM": Function("ss", _filter_pem, asks=True),
    "filterCertChain": Function("ss", _chain_part, asks=True),
    "certSANs": Function("s", _sans, asks=True),
    "pkcs12key": Function("s", lambda account, archive: _archive_key(account, b"", archive), asks=True),
    "pkcs12keyPass": Function("ss", _archive_key, asks=True),
    "pkcs12cert": Function("s", lambda account, archive: _archive_certificates(account, b"", archive), asks=True),
    "pkcs12certPass": Function("ss", _archive_certificates, asks=True),
    "pemToPkcs12": Function("ss", _archive, asks=True),
    "pemToPkcs12Pass": Function("sss", _archive, asks=True),
    "fullPemToPkcs12": Function("ss", _full_archive, asks=True),
    "fullPemToPkcs12Pass": Function("sss", _full_archive, asks=True),
    "pemTruststoreToPKCS12": Function("s", _truststore, asks=True),
    "pemTruststoreToPKCS12Pass": Function("ss", _truststore, asks=True),
}
