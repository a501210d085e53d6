"""What attackers and careless libraries do to a signed token, each by its name in the matrices."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from keyless.tokens.encoding import decode_untrusted, encode

Spoil = Callable[[str, Any], str]
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def _edited(token: str, part: int, change: Callable[[dict[str, Any]], dict[str, Any]]) -> str:
    parts = token.split(".")
    read = json.loads(decode_untrusted(parts[part]))
    parts[part] = encode(json.dumps(change(read)).encode())
    return ".".join(parts)


def _part(index: int, made: Callable[[str], str]) -> Spoil:
    def spoil(token: str, _: Any) -> str:
        parts = token.split(".")
        parts[index] = made(parts[index])
        return ".".join(parts)

    return spoil


def _header(**changes: Any) -> Spoil:
    return lambda token, _: _edited(token, 0, lambda header: {**header, **changes})


def _claims(**changes: Any) -> Spoil:
    return lambda token, _: _edited(token, 1, lambda claims: {**claims, **changes})


def _unsigned(algorithm: str) -> Spoil:
    def spoil(token: str, _: Any) -> str:
        edited = _edited(token, 0, lambda header: {**header, "alg": algorithm})
        return edited[: edited.rindex(".") + 1]

    return spoil


def _hmac(secret: Callable[[Any], bytes]) -> Spoil:
    def spoil(token: str, key: Any) -> str:
        signed = _edited(token, 0, lambda header: {**header, "alg": "HS256"}).rpartition(".")[0]
        return f"{signed}.{encode(hmac.new(secret(key), signed.encode(), hashlib.sha256).digest())}"

    return spoil


def _pss(token: str, key: Any) -> str:
    signed = _edited(token, 0, lambda header: {**header, "alg": "PS256"}).rpartition(".")[0]
    return f"{signed}.{encode(key.sign(signed.encode(), PSS(MGF1(SHA256()), 32), SHA256()))}"


def _pss_called_rs256(token: str, key: Any) -> str:
    signed = token.rpartition(".")[0]
    return f"{signed}.{encode(key.sign(signed.encode(), PSS(MGF1(SHA256()), 32), SHA256()))}"


def _unused_bits(text: str) -> str:
    """Set bits that the last character has and no byte uses: the same bytes in another spelling."""
    last = _ALPHABET.index(text[-1])
    return text[:-1] + _ALPHABET[last | (1 if len(text) % 4 == 3 else 15)] if len(text) % 4 else text


def _pem(key: Any) -> bytes:
    return bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def _der(key: Any) -> bytes:
    return bytes(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def _modulus(key: Any) -> bytes:
    return encode(key.public_key().public_numbers().n.to_bytes(256, "big")).encode()


def _standard(text: str) -> str:
    """The alphabet with + and /; a header whose text is sure to need it."""
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    return base64.b64encode(raw[:-1] + b',"x":"\xc3\xbb\xc3\xbf~~~???>>>"}').decode().rstrip("=")


SPOILS: dict[str, Spoil] = {
    "payload changed": _claims(sub="system:serviceaccount:kube-system:admin"),
    "payload changed by a claim that says nothing": _claims(note="x"),
    "header changed": _header(typ="jwt"),
    "header says RS384": _header(alg="RS384"),
    "header says ES256": _header(alg="ES256"),
    "signature cut": lambda token, _: token[:-4],
    "signature longer": lambda token, _: token + "AAAA",
    "signature empty": lambda token, _: token[: token.rindex(".") + 1],
    "signature zero": _part(2, lambda text: "A" * len(text)),
    "signature flipped": _part(2, lambda text: ("B" if text[0] == "A" else "A") + text[1:]),
    "signature spelt otherwise": _part(2, _unused_bits),
    "unsigned": _unsigned("none"),
    "unsigned, None": _unsigned("None"),
    "unsigned, NONE": _unsigned("NONE"),
    "unsigned, no name": _unsigned(""),
    "unsigned, says RS256": _unsigned("RS256"),
    "HMAC with the public PEM": _hmac(_pem),
    "HMAC with the public PEM, trimmed": _hmac(lambda key: _pem(key).strip()),
    "HMAC with the public DER": _hmac(_der),
    "HMAC with the modulus": _hmac(_modulus),
    "HMAC with nothing": _hmac(lambda _: b""),
    "PSS": _pss,
    "PSS called RS256": _pss_called_rs256,
    "one part": lambda token, _: token.split(".")[0],
    "two parts": lambda token, _: token.rpartition(".")[0],
    "four parts": lambda token, _: token + ".AAAA",
    "five parts": lambda token, _: token + ".AAAA.AAAA",
    "no header": lambda token, _: "." + token.partition(".")[2],
    "no payload": _part(1, lambda _: ""),
    "header padded": _part(0, lambda text: text + "=" * (-len(text) % 4 or 4)),
    "payload padded": _part(1, lambda text: text + "="),
    "signature padded": _part(2, lambda text: text + "=="),
    "standard alphabet": _part(0, _standard),
    "space before": lambda token, _: " " + token,
    "line feed after": lambda token, _: token + "\n",
    "line feed inside": _part(1, lambda text: text[:8] + "\n" + text[8:]),
    "percent inside": _part(1, lambda text: text[:8] + "%41" + text[8:]),
    "NUL after": lambda token, _: token + "\0",
    "not ASCII": lambda token, _: token + "é",
    "Bearer": lambda token, _: "Bearer " + token,
    "header is no JSON": _part(0, lambda _: encode(b"alg=RS256")),
    "header is a list": _part(0, lambda _: encode(b'["RS256"]')),
    "header is not UTF-8": _part(0, lambda _: encode(b'{"alg":"RS256\xff"}')),
    "header without alg": _part(0, lambda _: encode(b'{"kid":"rsa"}')),
    "alg is a number": _header(alg=256),
    "alg is null": _header(alg=None),
    "alg is a list": _header(alg=["RS256"]),
    "payload is no JSON": _part(1, lambda _: encode(b"sub=me")),
    "payload is a list": _part(1, lambda _: encode(b"[]")),
    "payload is text": _part(1, lambda _: encode(b'"iss"')),
    "payload is null": _part(1, lambda _: encode(b"null")),
    "payload is not UTF-8": _part(1, lambda _: encode(b'{"iss":"\xff"}')),
    "payload has NaN": _part(1, lambda _: encode(b'{"iss":"https://i","exp":NaN}')),
    "payload is deep": _part(1, lambda _: encode(b"[" * 6000)),
    "payload has half a character": _part(1, lambda _: encode(b'{"iss":"\\ud800"}')),
}
