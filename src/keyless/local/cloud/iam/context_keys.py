"""The context keys that a policy asks for: those of its conditions, and those of its policy variables. Pure.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetContextKeysForCustomPolicy.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import orjson

_VARIABLE = re.compile(r"\$\{\s*([^}$*?,\s][^},]*?)\s*(?P<default>,[^}]*)?\}")
_WITH_VARIABLES = "2012-10-17"


@lru_cache(maxsize=512)
def keys_of(text: str) -> tuple[str, ...]:
    """All keys of a valid policy document, as they are written, in order and each once."""
    statements = [*range(len(_statements(text)[1]))]
    found = [key for index in statements for key in (*conditions_of(text, index), *variables_of(text, index))]
    return tuple({key.lower(): key for key in reversed(found)}.values())[::-1]


def conditions_of(text: str, index: int) -> tuple[str, ...]:
    """The keys that a statement's conditions test."""
    statement = _statements(text)[1][index]
    return tuple(key for tests in statement.get("Condition", {}).values() for key in tests)


@lru_cache(maxsize=4096)
def variables_of(text: str, index: int) -> tuple[str, ...]:
    """The keys that a statement's variables need, in resources and conditions; one with a default needs none."""
    version, statements = _statements(text)
    if version != _WITH_VARIABLES:
        return ()
    statement = statements[index]
    places = [statement.get(name, []) for name in ("Resource", "NotResource")]
    places += [values for tests in statement.get("Condition", {}).values() for values in tests.values()]
    found = (match for place in places for one in _texts(place) for match in _VARIABLE.finditer(one))
    return tuple(dict.fromkeys(match[1] for match in found if not match["default"]))


def _texts(place: Any) -> Iterator[str]:
    for one in place if isinstance(place, list) else [place]:
        if isinstance(one, str):
            yield one


@lru_cache(maxsize=512)
def _statements(text: str) -> tuple[str, list[Any]]:
    policy = orjson.loads(text)
    statements = policy["Statement"]
    return str(policy.get("Version", "")), statements if isinstance(statements, list) else [statements]
