"""External Secrets' generators Password, UUID and ECRAuthorizationToken: their specs, and what chance makes of them.

Pure: chance is given. Rules of Password: https://external-secrets.io/latest/api/generator/password/
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from keyless.shared_secrets.sync.model import SpecFault

GROUP = "generators.external-secrets.io"
PASSWORD, UUID, ECR = "Password", "UUID", "ECRAuthorizationToken"
DIGITS, LOWER = "0123456789", "abcdefghijklmnopqrstuvwxyz"
SYMBOLS = '~!@#$%^&*()_+`-={}|[]\\:"<>?,./'
DEFAULT_LENGTH, MOST_LENGTH, MOST_KEYS = 24, 4096, 100
ENCODINGS = ("raw", "base64", "base64url", "base32", "hex")


class Chance(Protocol):
    """What ``random.SystemRandom`` is."""

    def choice(self, seq: Sequence[str], /) -> str:
        """Return one of them."""
        ...

    def sample(self, population: Sequence[str], k: int) -> list[str]:
        """Return ``k`` different ones."""
        ...

    def shuffle(self, x: list[str], /) -> None:
        """Put a list into any order."""
        ...

    def getrandbits(self, k: int, /) -> int:
        """Return so many bits."""
        ...


@dataclass(frozen=True, slots=True)
class Password:
    """A Password's spec: how many of which kind of character, and under which keys."""

    length: int = DEFAULT_LENGTH
    digits: int = 6
    symbols: int = 6
    symbol_characters: str = SYMBOLS
    no_upper: bool = False
    allow_repeat: bool = False
    encoding: str = "raw"
    keys: tuple[str, ...] = ("password",)


def password_of(spec: Mapping[str, Any]) -> Password:
    """Read a Password's spec; a quarter each are digits and symbols unless it says otherwise. Raises ``SpecFault``."""
    length = _count(spec, "length", DEFAULT_LENGTH)
    wanted = Password(
        length,
        _count(spec, "digits", length // 4),
        _count(spec, "symbols", length // 4),
        str(spec.get("symbolCharacters") or SYMBOLS),
        bool(spec.get("noUpper")),
        bool(spec.get("allowRepeat")),
        str(spec.get("encoding") or "raw"),
        tuple(str(key) for key in spec.get("secretKeys") or ("password",)),
    )
    if wanted.encoding not in ENCODINGS:
        raise SpecFault(f"Password encoding: expected {', '.join(ENCODINGS)}, found {wanted.encoding!r}")
    if not 1 <= length <= MOST_LENGTH:
        raise SpecFault(f"Password length: expected 1 to {MOST_LENGTH}, found {length}")
    if len(wanted.keys) > MOST_KEYS or len(set(wanted.keys)) != len(wanted.keys):
        raise SpecFault(f"Password secretKeys: expected {MOST_KEYS} different keys at most")
    if wanted.digits + wanted.symbols > length:
        raise SpecFault("Password: digits and symbols together are more than length")
    for count, of, what in _parts(wanted):
        if count > len(set(of)) and not wanted.allow_repeat:
            raise SpecFault(
                f"Password: {count} {what} cannot all differ, there are {len(set(of))}: "
                "set allowRepeat or ask for fewer"
            )
    return wanted


def _count(spec: Mapping[str, Any], name: str, default: int) -> int:
    value = spec.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise SpecFault(f"Password {name}: expected a count, found {value!r}")
    return value


def _parts(wanted: Password) -> tuple[tuple[int, str, str], ...]:
    letters = LOWER if wanted.no_upper else LOWER + LOWER.upper()
    rest = wanted.length - wanted.digits - wanted.symbols
    return (
        (rest, letters, "letters"),
        (wanted.digits, DIGITS, "digits"),
        (wanted.symbols, wanted.symbol_characters, "symbols"),
    )


def passwords(wanted: Password, chance: Chance) -> dict[str, bytes]:
    """Return a password of its own for each key."""
    return {key: _encoded(_password(wanted, chance).encode(), wanted.encoding) for key in wanted.keys}


def _password(wanted: Password, chance: Chance) -> str:
    made: list[str] = []
    for count, of, _ in _parts(wanted):
        known = sorted(set(of))
        made += [chance.choice(known) for _ in range(count)] if wanted.allow_repeat else chance.sample(known, count)
    chance.shuffle(made)
    return "".join(made)


def _encoded(value: bytes, encoding: str) -> bytes:
    match encoding:
        case "base64":
            return base64.b64encode(value)
        case "base64url":
            return base64.urlsafe_b64encode(value)
        case "base32":
            return base64.b32encode(value)
        case "hex":
            return value.hex().encode()
    return value


def uuids(chance: Chance) -> dict[str, bytes]:
    """Return a random UUID under ``uuid``."""
    return {"uuid": str(uuid.UUID(int=chance.getrandbits(128), version=4)).encode()}


def ecr_token(answer: Mapping[str, Any], endpoint: str = "") -> dict[str, bytes]:
    """Return ECR's token as External Secrets names its parts; raises ``SpecFault`` where the answer has none.

    Source: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html
    """
    data: Any = answer.get("authorizationData")
    one: Any = data[0] if isinstance(data, list) and data else data
    try:
        user, _, password = base64.b64decode(one["authorizationToken"]).decode().partition(":")
        expires = int(one["expiresAt"].timestamp())
    except (TypeError, KeyError, ValueError, AttributeError):
        raise SpecFault("ECRAuthorizationToken: the answer of ECR holds no token") from None
    made = {"username": user.encode(), "password": password.encode(), "expires_at": str(expires).encode()}
    found = one.get("proxyEndpoint") or endpoint
    return made | ({"proxy_endpoint": found.encode()} if found else {})
