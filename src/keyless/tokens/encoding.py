"""Base64url and JSON as JOSE uses them. The ``_untrusted`` functions take a peer's bytes and raise only ``ValueError``.

Duplicate JSON members: the last one wins, everywhere (facts/identity.md#key-sets), so header and payload
have one meaning for every reader.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping

# The strict alphabet: neither padding nor white space nor the standard alphabet's "+/". The bits that a last character
# has to spare are not looked at, as in Go and Java: they change no byte that is signed.
_ALPHABET = re.compile(r"[A-Za-z0-9_-]*")


def encode(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def encode_integer(number: int) -> str:
    """A JWK's big-endian integer with no leading zero byte."""
    return encode(number.to_bytes(max(1, (number.bit_length() + 7) // 8), "big"))


def encode_json(value: Mapping[str, object]) -> str:
    """Compact JSON in base64url."""
    return encode(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8"))


def decode_untrusted(text: str) -> bytes:
    """Undo :func:`encode`."""
    if not _ALPHABET.fullmatch(text) or len(text) % 4 == 1:
        raise ValueError("no unpadded base64url")
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def decode_integer_untrusted(text: object) -> int:
    """Undo :func:`encode_integer`."""
    if not isinstance(text, str) or not text:
        raise ValueError("no base64url integer")
    return int.from_bytes(decode_untrusted(text), "big")


def object_untrusted(data: bytes | str) -> dict[str, object]:
    """Read one JSON object; NaN and Infinity, deep nesting and endless digits are refused."""
    try:
        value = json.loads(data, parse_constant=_refuse)
        # A lone surrogate ("\\ud800") is no text: it could not be written to a log, an answer or a policy context.
        # It comes escaped or in bytes beyond ASCII; tokens rarely have either, and looking costs as much as reading.
        escaped = "\\" in data if isinstance(data, str) else b"\\" in data
        if escaped or not data.isascii():
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError:
        raise ValueError("JSON nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("no JSON object")
    return value


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is no JSON")
