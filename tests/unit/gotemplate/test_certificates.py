"""External Secrets' functions for certificates, on a chain of three made once."""

import datetime
import ipaddress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from keyless.gotemplate import TemplateError, parse


def _made(name, key, issuer, issuer_key, *, signs):
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC))
        .not_valid_after(datetime.datetime(2036, 1, 1, tzinfo=datetime.UTC))
        .add_extension(x509.BasicConstraints(signs, None), critical=True)
    )
    if not signs:
        names = [x509.DNSName("a.test"), x509.IPAddress(ipaddress.ip_address("10.0.0.1"))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


@pytest.fixture(scope="module")
def data():
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(3)]
    root = _made("root", keys[0], None, keys[0], signs=True)
    middle = _made("middle", keys[1], root.subject, keys[0], signs=True)
    leaf = _made("leaf", keys[2], middle.subject, keys[1], signs=False)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    key, other = (keys[at].private_bytes(*form).decode() for at in (2, 0))
    found = {"root": _pem(root), "middle": _pem(middle), "leaf": _pem(leaf), "key": key, "other": other}
    return {**found, "all": found["root"] + "a note\n" + found["leaf"] + key + found["middle"]}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("filterPEM `CERTIFICATE` .all", ["root", "leaf", "middle"]),
        ("filterPEM `PRIVATE KEY` .all", ["key"]),
        ("filterPEM `PUBLIC KEY` .all", []),
        ("filterCertChain `leaf` .all", ["leaf"]),
        ("filterCertChain `intermediate` .all", ["middle"]),
        ("filterCertChain `root` .all", ["root"]),
        ("filterCertChain `leaf` (print .middle .root)", []),
        ("pemToPkcs12 .all .key | b64dec | pkcs12cert", ["leaf"]),
        ("pemToPkcs12 .leaf .key | b64dec | pkcs12key", ["key"]),
        ("pemToPkcs12Pass .leaf .key `pw` | b64dec | pkcs12keyPass `pw`", ["key"]),
        ("fullPemToPkcs12 .all .key | b64dec | pkcs12cert", ["leaf", "middle", "root"]),
        ("fullPemToPkcs12Pass .all .key `pw` | b64dec | pkcs12certPass `pw`", ["leaf", "middle", "root"]),
        ("pemTruststoreToPKCS12Pass .root `pw` | b64dec | pkcs12certPass `pw`", ["root"]),
        ("pemTruststoreToPKCS12 .root | b64dec | pkcs12cert", ["root"]),
    ],
)
def test_what_is_picked_out_is_in_its_order(data, text, parts):
    assert parse("{{ " + text + " }}").render(data) == "".join(data[part] for part in parts)


def test_alternative_names_are_a_list(data):
    assert parse("{{ range certSANs .leaf }}{{ . }};{{ end }}{{ certSANs .root }}").render(data) == "a.test;10.0.0.1;[]"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("filterPEM `CERTIFICATE` `junk`", "no PEM"),
        ("filterPEM `CERTIFICATE` (print .leaf `junk`)", "no PEM"),
        ("filterCertChain `first` .all", "leaf, intermediate or root"),
        ("filterCertChain `leaf` .key", "no CERTIFICATE block"),
        ("pkcs12key `junk`", "no PKCS #12 archive"),
        ("pkcs12certPass `wrong` (pemToPkcs12Pass .leaf .key `pw` | b64dec)", "with this password"),
        ("pemToPkcs12 .leaf `junk`", "no private key"),
        ("pemToPkcs12 .leaf .other", "belongs to none"),
    ],
)
def test_what_is_none_is_an_error_that_says_so(data, text, words):
    with pytest.raises(TemplateError, match=words):
        parse("{{ " + text + " }}").render(data)
