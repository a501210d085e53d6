"""Where a value of a JSON text ends, told as gjson does: brackets and quotes count, nothing is validated. Pure."""

from __future__ import annotations

import re

from keyless.shared_secrets.sync.gjson.budget import Budget

_STRING_REST = re.compile(rb'(?:[^"\\]++|\\.)*+"', re.DOTALL)
_NUMBER_REST = re.compile(rb"[^\x00-\x20,\]}]*")
_LITERAL_REST = re.compile(rb"[a-z]*")
# A string that never ends takes all that is left.
_MARK = re.compile(rb'"(?:[^"\\]++|\\.)*+("?)|[{(\[]|[})\]]', re.DOTALL)
_ATOM = rb'"(?:[^"\\]++|\\.)*+"|[-+0-9iIN][^\x00-\x20,\]}]*+|n(?=[^u])[^\x00-\x20,\]}]*+|[ntf][a-z]*+'
MEMBER = re.compile(rb'[^"}]*+(?:\}|"((?:[^"\\]++|\\.)*+)"[^"{\[ntf0-9+\-iIN]*+)', re.DOTALL)
"""An object's next name, up to where its value begins; or the end of the object, without a group."""
ELEMENT = re.compile(rb'[^"{\[ntf0-9+\-iIN\]]*+(?:\]|([{\[])|(' + _ATOM + rb"))", re.DOTALL)
"""A list's next element: what opens it, or the whole of it; or the end of the list, without a group."""
ATOM = re.compile(_ATOM, re.DOTALL)
_OPENING, _CLOSING = b"{([", b"})]"


def string_end(text: bytes, start: int) -> int | None:
    """Return the index after the quote that closes the string whose content begins at ``start``."""
    match = _STRING_REST.match(text, start)
    return match.end() if match else None


def number_end(text: bytes, start: int) -> int:
    """Return where a number ends that begins at ``start``: at white space, a comma or a closing bracket."""
    match = _NUMBER_REST.match(text, start + 1)
    return match.end() if match else len(text)


def literal_end(text: bytes, start: int) -> int:
    """Return where a word of small letters ends that begins at ``start``."""
    match = _LITERAL_REST.match(text, start + 1)
    return match.end() if match else len(text)


def squash_end(text: bytes, start: int, budget: Budget) -> int:
    """Return the index after the bracket that closes the one at ``start``; all kinds of brackets are one kind.

    Where there is none it is the text's length, and one more if the text ends inside of a string: a list is then never
    closed.
    """
    depth, marks = 1, 0
    try:
        for match in _MARK.finditer(text, start + 1):
            marks += 1
            first = text[match.start()]
            if first in _OPENING:
                depth += 1
            elif first in _CLOSING:
                depth -= 1
                if depth == 0:
                    return match.end()
            elif first == 0x22 and not match[1]:
                return len(text) + 1
        return len(text)
    finally:
        budget.spend(1 + marks, size=len(text) - start if depth else 0)


def argument_end(text: bytes, start: int, budget: Budget) -> int:
    """Return where a string or bracketed text ends, or the one that is taken to be open at ``start``."""
    if text[start : start + 1] == b'"':
        return string_end(text, start + 1) or len(text)
    return squash_end(text, start, budget)
