"""How a KMS key is named: by its id, its ARN, an alias or that one's ARN. Pure."""

from __future__ import annotations

import re

from keyless.api.errors import Permanent

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*|alias/[A-Za-z0-9/_-]+", re.ASCII)
_KEY_ARN = re.compile(
    r"arn:aws[a-z0-9-]*:kms:[a-z0-9-]+:[0-9]{12}:(?:key/[A-Za-z0-9-]+|alias/[A-Za-z0-9/_-]+)", re.ASCII
)


def names_key(text: str) -> bool:
    """Whether it names a key in one of these ways, wherever that is."""
    return bool(_KEY.fullmatch(text) or _KEY_ARN.fullmatch(text))


def key_arn(key: str, place: tuple[str, str, str], value: str, what: str) -> str:
    """The ARN of a key or of its alias; ``place``: partition, region and account. Empty: nothing.

    Raises ``Permanent`` where it names no key: with a wildcard in it a policy would let in what nobody named.
    ``value``: the Helm value that names it; ``what``: what the key is for.
    """
    if not key or _KEY_ARN.fullmatch(key):
        return key
    if not _KEY.fullmatch(key):
        expected = "expected a KMS key by its id, its ARN or alias/NAME"
        raise Permanent(f"{value}: {expected}, found {key!r}: name the key that {what}")
    return f"arn:{place[0]}:kms:{place[1]}:{place[2]}:{key if key.startswith('alias/') else f'key/{key}'}"
