"""The filters and orders of ListSecrets and BatchGetSecretValue. Pure.

Values of one filter are alternatives, filters add up; ``!`` before a value negates it. Names, tags, regions and
services match by their beginning; descriptions, and ``all``, word by word and without regard to case.
https://docs.aws.amazon.com/secretsmanager/latest/userguide/manage_search-secret.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.secretsmanager.model import Secret

_BY_WORDS = frozenset({"description", "all"})
_KEYS = ("description", "name", "tag-key", "tag-value", "primary-region", "owning-service", "all")
_WORDS = re.compile(r"[A-Z]?[^\W_A-Z]+|[A-Z]+(?![^\W_A-Z])|\S")
_ORDERS: dict[str, Callable[[Secret], Any]] = {
    "created-date": lambda secret: (secret.created, secret.name),
    "last-accessed-date": lambda secret: (secret.accessed or 0.0, secret.name),
    "last-changed-date": lambda secret: (secret.changed, secret.name),
    "name": lambda secret: secret.name,
}


def filtered(secrets: Iterable[Secret], filters: Sequence[Mapping[str, Any]]) -> list[Secret]:
    """The secrets that pass every filter."""
    wanted = [(_key(one), list(one.get("Values") or ())) for one in filters]
    return [secret for secret in secrets if all(_passes(secret, key, values) for key, values in wanted)]


def ordered(secrets: Iterable[Secret], by: str | None, order: str | None) -> list[Secret]:
    """The secrets in the order that was asked for; by age otherwise."""
    return sorted(secrets, key=_ORDERS[by or "created-date"], reverse=order == "desc")


def _key(condition: Mapping[str, Any]) -> str:
    key = condition.get("Key")
    if not key or not condition.get("Values"):
        raise AwsError("InvalidParameterException", "Invalid filter: expected a key and one value or more")
    if key not in _KEYS:
        text = (
            f"1 validation error detected: Value '{key}' at 'filters.1.member.key' failed to satisfy constraint: "
            f"Member must satisfy enum value set: [{', '.join(_KEYS)}]"
        )
        raise AwsError("ValidationException", text, status=400)
    return str(key)


def _passes(secret: Secret, key: str, values: list[str]) -> bool:
    texts = _texts(secret, key)
    matches = _has_words if key in _BY_WORDS else _begins
    for value in values:
        negated = value.startswith("!")
        if matches(texts, value.removeprefix("!")) != negated:
            return True
    return False


def _texts(secret: Secret, key: str) -> list[str]:
    texts = {
        "name": [secret.name],
        "description": [secret.description] if secret.description else [],
        "tag-key": list(secret.tags),
        "tag-value": list(secret.tags.values()),
    }
    return [text for group in texts.values() for text in group] if key == "all" else texts.get(key, [])


def _begins(texts: list[str], wanted: str) -> bool:
    return any(text.startswith(wanted) for text in texts)


def _has_words(texts: list[str], wanted: str) -> bool:
    """Every word of ``wanted`` begins some word of one text."""
    words = _words(wanted)
    return bool(words) and any(
        all(any(has.startswith(word) for has in _words(text)) for word in words) for text in texts
    )


def _words(text: str) -> list[str]:
    """Words end at signs and before capitals."""
    return [word.lower() for word in _WORDS.findall(text) if word.isalnum()]
