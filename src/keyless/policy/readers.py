"""Texts as the values that condition operators compare; ``None`` for what cannot be read (identity.md rule 13)."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

_NUMBER = re.compile(r"[+-]?(\d{1,40}(\.\d{0,40})?|\.\d{1,40})([eE][+-]?\d{1,3})?", re.ASCII)
_PREFIX = re.compile(r"\+?\d{1,6}", re.ASCII)
_TRUTHS = {"true": True, "false": False}
# By their length: a year, and a year and a month.
_REST_OF_A_DATE = {4: "-01-01", 7: "-01"}
_EPOCH = re.compile(r"[+-]?\d{1,15}(\.\d{1,9})?", re.ASCII)


def number(text: str) -> Decimal | None:
    """ "01", "+1", "1.0" and "1e0" are one; NaN and Infinity are no numbers."""
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def moment(text: str) -> float | None:
    """ISO 8601 (a year, month or date alone is its first moment, UTC where no offset is given) or epoch seconds."""
    if _EPOCH.fullmatch(text) and not (len(text) == 4 or len(text) == 8):
        return float(text)
    try:
        read = datetime.fromisoformat(f"{text}{_REST_OF_A_DATE.get(len(text), '')}")
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return float(text) if _EPOCH.fullmatch(text) else None


def truth(text: str) -> bool | None:
    """ "true" or "false", in any case."""
    return _TRUTHS.get(text.lower())


def binary(text: str) -> bytes | None:
    """Base64."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


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
    """ "10.0.0.1", "010.0.0.1/024", "::/0": leading zeros are decimal, /+24 is /24 (seen live)."""
    return _network(text) if len(text) <= _LONGEST_ADDRESS else None


@lru_cache(maxsize=1024)
def _network(text: str) -> Network | None:
    """Remembered: the same few callers ask again and again, and reading is most of such a decision."""
    address, slash, length = text.partition("/")
    try:
        read: IPv4Address | IPv6Address = ip_address(_without_leading_zeros(address))
    except ValueError:
        return None
    width = read.max_prefixlen
    if slash and not _PREFIX.fullmatch(length):
        return None
    prefix = int(length) if slash else width
    return Network(read.version, int(read), prefix) if prefix <= width else None


def _without_leading_zeros(address: str) -> str:
    if ":" in address:
        return address
    return ".".join(
        part.lstrip("0") or "0" if part.isascii() and part.isdigit() else part for part in address.split(".")
    )
