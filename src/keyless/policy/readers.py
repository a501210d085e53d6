"""Texts as the values that condition operators compare; ``None`` for what cannot be read.

Facts: facts/identity.md#values.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

_NUMBER = re.compile(r"[+-]?(\d{1,40}(\.\d{0,40})?|\.\d{1,40})([eE][+-]?\d{1,3})?", re.ASCII)
_PREFIX = re.compile(r"\+?\d{1,6}", re.ASCII)
_EPOCH_START = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
# By their length: a year, and a year and a month.
_REST_OF_A_DATE = {4: "-01-01", 7: "-01"}
_EPOCH = re.compile(r"[+-]?\d{1,15}(\.\d{1,9})?", re.ASCII)


def number(text: str) -> Decimal | None:
    """ "01", "+1", "1.0" and "1e0" are one; NaN and Infinity are no numbers."""
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def moment(text: str) -> int | None:
    """Milliseconds since 1970, what is finer cut off. ISO 8601 (a year, month or date alone is its first moment, UTC
    where no offset is given) or epoch seconds."""
    if _EPOCH.fullmatch(text) and not (len(text) == 4 or len(text) == 8):
        return _epoch(text)
    try:
        read = datetime.fromisoformat(f"{text}{_REST_OF_A_DATE.get(len(text), '')}")
        return ((read if read.tzinfo else read.replace(tzinfo=UTC)) - _EPOCH_START) // _MILLISECOND
    except (ValueError, OverflowError):
        return _epoch(text) if _EPOCH.fullmatch(text) else None


def _epoch(text: str) -> int:
    return math.floor(Decimal(text) * 1000)


def truth(text: str) -> bool:
    """Everything but "true", in any case, is false."""
    return text.lower() == "true"


def binary(text: str) -> str | None:
    """Base64, as it is written: the bits that no byte takes up count too (``YR==`` is not ``YQ==``)."""
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return text


@dataclass(frozen=True, slots=True)
class Network:
    """An address with its prefix: version, bits as a number, prefix length."""

    version: int
    bits: int
    prefix: int

    def lies_in(self, network: Network) -> bool:
        """Whether this lies inside ``network``; host bits count for nothing, another family is never inside."""
        if self.version != network.version or self.prefix < network.prefix:
            return False
        shift = (32 if self.version == 4 else 128) - network.prefix
        return self.bits >> shift == network.bits >> shift


# More than any address has, zeros and zone included: longer texts are no addresses, and none of them is remembered.
_LONGEST_ADDRESS = 128


def network(text: str) -> Network | None:
    """What a policy expects: "10.0.0.1", "010.0.0.1/024", "::/0"; leading zeros are decimal, /+24 is /24."""
    return _network(text) if len(text) <= _LONGEST_ADDRESS else None


def address(text: str) -> Network | None:
    """What a request has: one address, without a prefix; an IPv4 address written as IPv6 is IPv4."""
    if "/" in text or len(text) > _LONGEST_ADDRESS:
        return None
    return _address(text)


def is_writable_network(text: str) -> bool:
    """Whether IAM keeps it in a policy: an IPv6 network with host bits is refused, an IPv4 network is not."""
    found = network(text)
    if found is None:
        return False
    host_bits = (1 << (128 - found.prefix)) - 1
    return found.version == 4 or not found.bits & host_bits


@lru_cache(maxsize=1024)
def _address(text: str) -> Network | None:
    """Remembered: the same few callers ask again and again, and reading is most of such a decision."""
    read = _read(text)
    if read is None:
        return None
    read = _as_v4(read) or read
    return Network(read.version, int(read), read.max_prefixlen)


@lru_cache(maxsize=1024)
def _network(text: str) -> Network | None:
    address, slash, length = text.partition("/")
    read = _read(address)
    if read is None or _as_v4(read) or (slash and not _PREFIX.fullmatch(length)):
        return None
    width = read.max_prefixlen
    prefix = int(length) if slash else width
    return Network(read.version, int(read), prefix) if prefix <= width else None


def _read(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(_without_leading_zeros(text))
    except ValueError:
        return None


def _as_v4(read: IPv4Address | IPv6Address) -> IPv4Address | None:
    """Of ``::ffff:a.b.c.d``, however it is written."""
    return read.ipv4_mapped if isinstance(read, IPv6Address) else None


def _without_leading_zeros(address: str) -> str:
    if ":" in address:
        return address
    return ".".join(
        part.lstrip("0") or "0" if part.isascii() and part.isdigit() else part for part in address.split(".")
    )
