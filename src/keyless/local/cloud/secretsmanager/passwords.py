"""GetRandomPassword: characters by kind, each kind at least once if asked for.

https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetRandomPassword.html
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping
from typing import Any

from keyless.local.cloud.errors import AwsError

_DEFAULT_LENGTH = 32
_KINDS = {
    "ExcludeLowercase": string.ascii_lowercase,
    "ExcludeUppercase": string.ascii_uppercase,
    "ExcludeNumbers": string.digits,
    "ExcludePunctuation": string.punctuation,
}


def random_password(params: Mapping[str, Any]) -> str:
    """A password as the request wants it; raises InvalidParameterException where none can be."""
    length = int(params.get("PasswordLength") or _DEFAULT_LENGTH)
    excluded = set(params.get("ExcludeCharacters") or "")
    kinds = [letters for option, letters in _KINDS.items() if not params.get(option)]
    if params.get("IncludeSpace"):
        kinds.append(" ")
    usable = [kept for kind in kinds if (kept := [letter for letter in kind if letter not in excluded])]
    if not usable:
        text = "The password must have at least one kind of characters: all of them are excluded."
        raise AwsError("InvalidParameterException", text)
    each = params.get("RequireEachIncludedType", True)
    if each and length < len(usable):
        text = f"Password length {length} is too short based on the required types."
        raise AwsError("InvalidParameterException", text)
    letters = [secrets.choice(kind) for kind in usable] if each else []
    everything = [letter for kind in usable for letter in kind]
    letters += [secrets.choice(everything) for _ in range(length - len(letters))]
    secrets.SystemRandom().shuffle(letters)
    return "".join(letters)
