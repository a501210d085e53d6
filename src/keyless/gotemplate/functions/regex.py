"""sprig's functions on regular expressions, over Go's rules in ``regexps``.

List: https://masterminds.github.io/sprig/strings.html (regex…)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from keyless.gotemplate.account import Account, LimitMet
from keyless.gotemplate.errors import Problem
from keyless.gotemplate.functions.function import Function
from keyless.gotemplate.regexps import Pattern, Spans, replace_all, replace_all_literal
from keyless.gotemplate.values import Strings

_META = re.compile(rb"[\\.+*?()|\[\]{}^$]")


def _compiled(account: Account, pattern: bytes) -> Pattern:
    found = Pattern(pattern)
    account.step(20 + found.size // 4)
    return found


def _match(account: Account, pattern: bytes, text: bytes) -> bool:
    return _compiled(account, pattern).matches_in(text)


def _lenient_match(account: Account, pattern: bytes, text: bytes) -> bool:
    try:
        return _match(account, pattern, text)
    except LimitMet:
        raise
    except Problem:
        return False  # sprig drops the error of this one alone


def _spans(account: Account, pattern: bytes, text: bytes, most: int) -> list[Spans]:
    found: list[Spans] = []
    if most == 0:
        return found
    for spans in _compiled(account, pattern).matches(text):
        account.items(len(spans))
        account.step(8)
        found.append(spans)
        if len(found) == most:
            break
    return found


def _find(account: Account, pattern: bytes, text: bytes) -> bytes:
    return next((text[slice(*spans[0])] for spans in _spans(account, pattern, text, 1)), b"")


def _find_all(account: Account, pattern: bytes, text: bytes, most: int) -> Strings:
    found = [text[slice(*spans[0])] for spans in _spans(account, pattern, text, most)]
    return Strings(found, is_nil=not found)


def _split(account: Account, pattern: bytes, text: bytes, most: int) -> Strings:
    if most == 0:
        return Strings(is_nil=True)
    if pattern and not text:
        Pattern(pattern)
        return Strings([b""])
    parts: list[bytes] = []
    begin = end = 0
    for spans in _spans(account, pattern, text, most):
        if 0 < most == len(parts) + 1:
            break
        end = spans[0][0]
        # A match of nothing at the very start cuts nothing off.
        if spans[0][1] != 0:
            parts.append(text[begin:end])
        begin = spans[0][1]
    if end != len(text):
        parts.append(text[begin:])
    return Strings(parts)


def _replace(account: Account, pattern: bytes, text: bytes, new: bytes, *, literal: bool) -> bytes:
    size = 0

    def made(piece: int) -> None:
        nonlocal size
        size += piece
        account.step(8)
        account.room(size)

    return (replace_all_literal if literal else replace_all)(_compiled(account, pattern), text, new, made=made)


def _both(name: str, function: Function) -> dict[str, Function]:
    return {name: function, "must" + name[0].upper() + name[1:]: function}


_REPLACE: Any = partial(_replace, literal=False)
_REPLACE_LITERAL: Any = partial(_replace, literal=True)
REGEX: Mapping[str, Function] = {
    "regexMatch": Function("ss", _lenient_match, asks=True),
    "mustRegexMatch": Function("ss", _match, asks=True),
    **_both("regexFind", Function("ss", _find, asks=True)),
    **_both("regexFindAll", Function("ssi", _find_all, asks=True)),
    **_both("regexSplit", Function("ssi", _split, asks=True)),
    **_both("regexReplaceAll", Function("sss", _REPLACE, asks=True)),
    **_both("regexReplaceAllLiteral", Function("sss", _REPLACE_LITERAL, asks=True)),
    "regexQuoteMeta": Function("s", lambda text: _META.sub(rb"\\\g<0>", text)),
}
