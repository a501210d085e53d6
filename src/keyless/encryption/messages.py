"""The messages of Kubernetes' KMS v2 plugin API as bytes: protobuf, of which they use texts, bytes and one map. Pure.

By hand: protobuf's own library would be 9 MB more in each control plane, for six messages of at most four fields.
The API: https://pkg.go.dev/k8s.io/kms/apis/v2. What is not known is skipped, as protobuf asks; whatever does not hold
together is ``Malformed``, and says nothing of what it holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from keyless.api.varint import varint

LIMIT = 64 * 1024
"""Bytes of a message: kube-apiserver's own bounds add up to 35 KiB."""
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class Malformed(ValueError):
    """What was sent is no message of this API."""


@dataclass(frozen=True, slots=True)
class StatusRequest:
    """It asks nothing more."""


@dataclass(frozen=True, slots=True)
class StatusResponse:
    """``healthz``: ``ok``, or why not."""

    version: str = ""
    healthz: str = ""
    key_id: str = ""


@dataclass(frozen=True, slots=True)
class EncryptRequest:
    """``plaintext``: what data keys are made of."""

    plaintext: bytes = field(default=b"", repr=False)
    uid: str = ""


@dataclass(frozen=True, slots=True)
class EncryptResponse:
    """Stored in etcd with each Secret."""

    ciphertext: bytes = field(default=b"", repr=False)
    key_id: str = ""


@dataclass(frozen=True, slots=True)
class DecryptRequest:
    """``key_id``: as it was answered with the ciphertext."""

    ciphertext: bytes = field(default=b"", repr=False)
    uid: str = ""
    key_id: str = ""


@dataclass(frozen=True, slots=True)
class DecryptResponse:
    """What data keys are made of."""

    plaintext: bytes = field(default=b"", repr=False)


Message = StatusRequest | StatusResponse | EncryptRequest | EncryptResponse | DecryptRequest | DecryptResponse
_FIELDS: dict[type[Message], dict[int, str]] = {
    StatusRequest: {},
    StatusResponse: {1: "version", 2: "healthz", 3: "key_id"},
    EncryptRequest: {1: "plaintext", 2: "uid"},
    EncryptResponse: {1: "ciphertext", 2: "key_id"},
    # 4 are annotations, of which this plugin writes none.
    DecryptRequest: {1: "ciphertext", 2: "uid", 3: "key_id"},
    DecryptResponse: {1: "plaintext"},
}
_AS_BYTES = frozenset({"plaintext", "ciphertext"})


def to_bytes(message: Message) -> bytes:
    """As protobuf writes it: what is empty is left out."""
    out = bytearray()
    for number, name in _FIELDS[type(message)].items():
        value = getattr(message, name)
        raw = value if isinstance(value, bytes) else value.encode()
        if raw:
            out += varint(number << 3 | _BYTES) + varint(len(raw)) + raw
    return bytes(out)


def read_untrusted(data: bytes, kind: type[Message]) -> Message:
    """Raises ``Malformed``."""
    if len(data) > LIMIT:
        raise Malformed(f"expected a message of at most {LIMIT} bytes, found {len(data)}")
    found: dict[str, str | bytes] = {}
    for number, raw in _fields(data):
        name = _FIELDS[kind].get(number)
        if name is None:
            continue
        try:
            # Of a field that is there twice the last one counts.
            found[name] = raw if name in _AS_BYTES else raw.decode()
        except UnicodeDecodeError:
            raise Malformed(f"expected {name} to be UTF-8") from None
    return kind(**found)  # type: ignore[arg-type]  # of which type each field is, the table says


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and content of what has a length; all else is skipped."""
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        number, kind = tag >> 3, tag & 7
        if number == 0:
            raise Malformed("expected a field's number, found 0")
        if kind == _VARINT:
            _, at = _read_varint(data, at)
            continue
        if kind == _BYTES:
            length, at = _read_varint(data, at)
        elif kind in (_FIXED64, _FIXED32):
            length = 8 if kind == _FIXED64 else 4
        else:
            raise Malformed(f"expected a field of a kind that protobuf has, found {kind}")
        if at + length > len(data):
            raise Malformed("expected a whole field, found its beginning")
        if kind == _BYTES:
            yield number, data[at : at + length]
        at += length


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise Malformed("expected a whole number, found its beginning")
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
    raise Malformed("expected a number of at most ten bytes")
