"""Whether a value fits a query: ``#(name=="x")``, ``#(age>40)``, ``#(on==~true)``. Pure.

Comparisons: https://github.com/tidwall/gjson/blob/master/SYNTAX.md#queries
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from keyless.shared_secrets.sync.gjson.budget import Budget
from keyless.shared_secrets.sync.gjson.matching import matches
from keyless.shared_secrets.sync.gjson.paths import Query
from keyless.shared_secrets.sync.gjson.values import Found, number_of

_ORDER: dict[bytes, Callable[[Any, Any], bool]] = {
    b"=": operator.eq,
    b"!=": operator.ne,
    b"<": operator.lt,
    b"<=": operator.le,
    b">": operator.gt,
    b">=": operator.ge,
}
_YES, _NO = {b"1", b"t", b"true"}, {b"0", b"f", b"false"}


def query_matches(query: Query, value: Found, budget: Budget) -> bool:
    """Return whether ``value`` fits."""
    wanted = query.value
    if wanted.startswith(b"~"):
        ish = _ish(wanted[1:], value)
        if ish is None:
            return False
        value, wanted = Found("true" if ish else "false", b"~"), b"true"
    if not value.exists:
        return False
    if not query.operator:
        return True
    if value.kind == "string" and query.operator in {b"%", b"!%"}:
        return matches(value.content, wanted, budget) == (query.operator == b"%")
    compare = _ORDER.get(query.operator)
    if compare is None:
        return False
    if value.kind == "string":
        return compare(value.content, wanted)
    if value.kind == "number":
        return compare(value.number, number_of(wanted))
    return _compare_boolean(value, query.operator, wanted)


def _compare_boolean(value: Found, sign: bytes, wanted: bytes) -> bool:
    if value.kind not in {"true", "false"}:
        return False
    own = b"true" if value.kind == "true" else b"false"
    if sign in {b"=", b"!="}:
        return (own == wanted) == (sign == b"=")
    # True is greater than false, and at least as great as anything.
    greater, at_least = (b">", b">=") if value.kind == "true" else (b"<", b"<=")
    return sign == at_least or (sign == greater and wanted == (b"false" if value.kind == "true" else b"true"))


def _ish(word: bytes, value: Found) -> bool | None:
    text = value.content.lower()
    if word == b"*":
        return value.exists
    if word == b"null":
        return value.kind == "null"
    if word == b"true":
        return value.kind == "true" or (value.kind == "string" and text in _YES) or _is_number(value, zero=False)
    if word == b"false":
        falsy = value.kind in {"null", "false"} or (value.kind == "string" and text in _NO)
        return falsy or _is_number(value, zero=True)
    return None


def _is_number(value: Found, *, zero: bool) -> bool:
    return value.kind == "number" and (value.number == 0) == zero
