"""sprig's functions that write words anew: other cases, shorter, in lines.

List: https://masterminds.github.io/sprig/strings.html. Shortening and wrapping count bytes, as sprig's libraries do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from keyless.gotemplate.account import Account
from keyless.gotemplate.functions.function import Function
from keyless.gotemplate.functions.text import SPACES, lower_rune, upper_rune
from keyless.gotemplate.values import decoded, encoded

_SPACE_SET = frozenset(SPACES)
_CONNECTORS = _SPACE_SET | frozenset("_-")


# Unicode's class P within ASCII; its symbols ($, =, ^ …) are words of their own, as are letters without a case.
_PUNCTUATION = frozenset("!\"#%&'()*,./:;?@[\\]{}")
_RUN = re.compile("c|p|u{2,}(?!l)|u+(?=ul)|ul*|n+l+|n+|l+|o+")


def _kind(rune: str) -> str:
    """Return what a rune is to ``snakecase``: connector, punctuation, upper, number, lower, or another."""
    if rune in _CONNECTORS:
        return "c"
    if rune in _PUNCTUATION:
        return "p"
    return "u" if rune.isupper() else "n" if rune.isdecimal() else "l" if rune.islower() else "o"


def _split_case(text: str) -> list[tuple[str, str]]:
    """Return words with their kind: connector, punctuation, number with letters (n), bare digits (d), word (w)."""
    found = []
    for match in _RUN.finditer("".join(map(_kind, text))):
        first = match.group()[0]
        kind = first if first in "cp" else ("n" if "l" in match.group() else "d") if first == "n" else "w"
        found.append((text[match.start() : match.end()], kind))
    return found


def _lower_words(text: bytes, connector: str) -> bytes:
    out: list[str] = []
    before = ""
    for word, kind in _split_case(decoded(text)):
        if kind == "c":
            out.append(connector)
        else:
            joined = before in {"w", "n", "d"} and (kind == "w" or (kind == "n" and before == "w"))
            out.append((connector if joined else "") + "".join(map(lower_rune, word)))
        before = "" if kind in "cp" else kind
    return encoded("".join(out))


def _camel(text: bytes) -> bytes:
    runes = decoded(text)
    words = runes.lstrip("".join(_CONNECTORS))
    lead = runes[: len(runes) - len(words)]
    if not words:
        # The library repeats the first of nothing but connectors.
        return encoded(lead[:1] + lead)
    out: list[str] = [lead]
    # In a word that begins with capitals, those that follow at once are lowered; later ones stay.
    lowers, connectors = False, ""
    for rune in words:
        if rune in _CONNECTORS:
            connectors += rune
        elif connectors or len(out) == 1:
            # The last connector of a run is the gap between two words; those before it stay.
            out += [connectors[:-1], upper_rune(rune)]
            lowers, connectors = rune.isupper(), ""
        else:
            lowers = lowers and rune.isupper()
            out.append(lower_rune(rune) if lowers else rune)
    return encoded("".join([*out, connectors]))


def _swap(text: bytes) -> bytes:
    out, begins = [], True
    for rune in decoded(text):
        if rune.isupper() or rune.istitle():
            out.append(lower_rune(rune))
        elif rune.islower():
            title = rune.title() if begins else upper_rune(rune)
            out.append(title if len(title) == 1 else rune)
        else:
            out.append(rune)
        begins = rune in _SPACE_SET
    return encoded("".join(out))


def _initials(text: bytes) -> bytes:
    # The library takes a word's first byte for a rune.
    return "".join(chr(encoded(word)[0]) for word in re.split(f"[{SPACES}]+", decoded(text)) if word).encode()


def _abbreviated(text: bytes, offset: int, width: int) -> bytes:
    if len(text) <= width:
        return text
    offset = min(offset, len(text))
    if len(text) - offset < width - 3:
        offset = len(text) - (width - 3)
    if offset <= 4:
        return text[: width - 3] + b"..."
    if width < 7:
        return b""
    if offset + width - 3 < len(text):
        return b"..." + _abbreviated(text[offset:], 0, width - 3)
    return b"..." + text[len(text) - (width - 3) :]


def _abbrev(width: int, text: bytes) -> bytes:
    return text if width < 4 else _abbreviated(text, 0, width)


def _abbrev_both(left: int, right: int, text: bytes) -> bytes:
    return text if right < 4 or (left > 0 and right < 7) else _abbreviated(text, left, right)


def _wrapped(account: Account, text: bytes, width: int, line: bytes, *, cuts: bool) -> bytes:
    width, line = max(1, width), line or b"\n"
    out: list[bytes] = []
    at = size = 0
    while len(text) - at > width:
        account.step()
        if text[at : at + 1] == b" ":
            at += 1
            continue
        end = text.rfind(b" ", at, at + width + 1)
        if end < 0:
            end = at + width if cuts else text.find(b" ", at + width)
            if end < 0:
                break
        out += [text[at:end], line]
        account.items(2)
        size += end - at + len(line)
        account.room(size)
        at = end if cuts and text[end : end + 1] != b" " else end + 1
    account.room(size + len(text) - at)
    return b"".join([*out, text[at:]])


def _wrap(account: Account, width: int, text: bytes) -> bytes:
    return _wrapped(account, text, width, b"", cuts=False)


def _wrap_with(account: Account, width: int, line: bytes, text: bytes) -> bytes:
    return _wrapped(account, text, width, line, cuts=True)


CASES: Mapping[str, Function] = {
    "snakecase": Function("s", lambda text: _lower_words(text, "_"), cost="spell"),
    "kebabcase": Function("s", lambda text: _lower_words(text, "-"), cost="spell"),
    "camelcase": Function("s", _camel, cost="spell"),
    "swapcase": Function("s", _swap, cost="spell"),
    "initials": Function("s", _initials, cost="spell"),
    "abbrev": Function("is", _abbrev),
    "abbrevboth": Function("iis", _abbrev_both),
    "wrap": Function("is", _wrap, asks=True),
    "wrapWith": Function("iss", _wrap_with, asks=True),
    "hello": Function("", lambda: b"Hello!"),
}
