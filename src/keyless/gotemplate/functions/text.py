"""sprig's functions on text. Lengths and cuts count bytes, letters are runes; bytes that are no UTF-8 are kept.

List: https://masterminds.github.io/sprig/strings.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from keyless.gotemplate.account import Account
from keyless.gotemplate.errors import Problem
from keyless.gotemplate.functions.function import Function
from keyless.gotemplate.printing import quoted, string_of, text_of
from keyless.gotemplate.values import List, StringMap, Strings, decoded, encoded

# Go's unicode.IsSpace; Python's own strip knows four more.
SPACES = "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
_SPACE_SET = frozenset(SPACES)


def by_rune(one: Callable[[str], str], plain: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Return a function that maps every rune by itself, as Go does: ß has no single upper case and stays."""
    return lambda text: plain(text) if text.isascii() else encoded("".join(map(one, decoded(text))))


def upper_rune(rune: str) -> str:
    """Return Go's ``unicode.ToUpper``."""
    upper = rune.upper()
    if len(upper) == 1:
        return upper
    return rune.title() if len(rune.title()) == 1 else rune


def lower_rune(rune: str) -> str:
    """Return Go's ``unicode.ToLower``."""
    return rune.lower()[:1]


def _title(text: bytes) -> bytes:
    out, begins = [], True
    for rune in decoded(text):
        title = rune.title()
        out.append((title if len(title) == 1 else rune) if begins else rune)
        # Go asks only whether the rune before is a letter, a digit or an underscore; an apostrophe begins a word.
        begins = not (rune.isalnum() or rune == "_") if rune < "\x80" else rune in _SPACE_SET
    return encoded("".join(out))


def _untitle(text: bytes) -> bytes:
    out, begins = [], True
    for rune in decoded(text):
        out.append(lower_rune(rune) if begins and rune not in _SPACE_SET else rune)
        begins = rune in _SPACE_SET
    return encoded("".join(out))


def trimmed(text: bytes, cutset: Iterable[str]) -> bytes:
    """Return ``text`` without the runes of ``cutset`` at both ends."""
    runes, cut = decoded(text), frozenset(cutset)
    begin, end = 0, len(runes)
    while begin < end and runes[begin] in cut:
        begin += 1
    while end > begin and runes[end - 1] in cut:
        end -= 1
    return encoded(runes[begin:end])


def _trunc(length: int, text: bytes) -> bytes:
    if length < 0:
        return text[length:] if len(text) + length > 0 else text
    return text[:length]


def _substr(start: int, end: int, text: bytes) -> bytes:
    if start < 0:
        start = 0
        if not 0 <= end <= len(text):
            raise Problem("the end is outside of the text")
    elif end < 0 or end > len(text):
        end = len(text)
    if start > end:
        raise Problem("the start is past the end")
    return text[start:end]


def _repeat(account: Account, count: int, text: bytes) -> bytes:
    if count < 0:
        raise Problem("the count is negative")
    account.room(count * len(text))
    return text * count


def _replace(account: Account, old: bytes, new: bytes, text: bytes) -> bytes:
    count = text.count(old) if old else len(text) + 1
    account.room(len(text) + count * (len(new) - len(old)))
    if old:
        return text.replace(old, new)
    return encoded(decoded(text).replace("", decoded(new)))


def _indent(account: Account, spaces: int, text: bytes) -> bytes:
    if spaces < 0:
        raise Problem("the number of spaces is negative")
    account.room(len(text) + (text.count(b"\n") + 1) * spaces)
    pad = b" " * spaces
    return pad + text.replace(b"\n", b"\n" + pad)


def strings_of(value: Any) -> list[bytes]:
    """Return sprig's ``strslice``: the texts of what is in a list, without nil; of anything else its own text."""
    if isinstance(value, List):
        return [string_of(item) for item in value if item is not None]
    return [] if value is None else [string_of(value)]


def _join(account: Account, separator: bytes, value: Any) -> bytes:
    texts = strings_of(value)
    account.room(sum(map(len, texts)) + len(separator) * max(0, len(texts) - 1))
    return separator.join(texts)


def pieces(account: Account, separator: bytes, text: bytes, count: int = -1) -> list[bytes]:
    """Return Go's ``strings.SplitN``: an empty separator cuts between runes."""
    if count == 0:
        return []
    account.items(text.count(separator) + 1 if separator else len(text))
    if separator:
        return text.split(separator, count - 1 if count > 0 else -1)
    runes = [encoded(rune) for rune in decoded(text)]
    if 0 < count < len(runes):
        return [*runes[: count - 1], b"".join(runes[count - 1 :])]
    return runes


def _numbered(parts: list[bytes]) -> StringMap:
    return StringMap((b"_%d" % number, part) for number, part in enumerate(parts))


def _present(values: tuple[Any, ...]) -> Iterable[Any]:
    return (value for value in values if value is not None)


TEXT: Mapping[str, Function] = {
    "toString": Function("a", string_of),
    "toStrings": Function("a", lambda value: Strings(strings_of(value))),
    "upper": Function("s", by_rune(upper_rune, bytes.upper), cost="spell"),
    "lower": Function("s", by_rune(lower_rune, bytes.lower), cost="spell"),
    "title": Function("s", _title, cost="spell"),
    "untitle": Function("s", _untitle, cost="spell"),
    "trim": Function("s", lambda text: trimmed(text, SPACES)),
    "trimAll": Function("ss", lambda cutset, text: trimmed(text, decoded(cutset))),
    "trimall": Function("ss", lambda cutset, text: trimmed(text, decoded(cutset))),
    "trimPrefix": Function("ss", lambda prefix, text: text.removeprefix(prefix)),
    "trimSuffix": Function("ss", lambda suffix, text: text.removesuffix(suffix)),
    "nospace": Function(
        "s", lambda text: encoded("".join(r for r in decoded(text) if r not in _SPACE_SET)), cost="spell"
    ),
    "quote": Function(
        "*a", lambda *values: b" ".join(quoted(string_of(value)) for value in _present(values)), cost="spell"
    ),
    "squote": Function("*a", lambda *values: b" ".join(b"'" + text_of(value) + b"'" for value in _present(values))),
    "cat": Function("*a", lambda *values: b" ".join(text_of(value) for value in _present(values))),
    "replace": Function("sss", _replace, asks=True),
    "repeat": Function("is", _repeat, asks=True),
    "trunc": Function("is", _trunc),
    "substr": Function("iis", _substr),
    "indent": Function("is", _indent, asks=True),
    "nindent": Function("is", lambda account, spaces, text: b"\n" + _indent(account, spaces, text), asks=True),
    "contains": Function("ss", lambda part, text: part in text),
    "hasPrefix": Function("ss", lambda prefix, text: text.startswith(prefix)),
    "hasSuffix": Function("ss", lambda suffix, text: text.endswith(suffix)),
    "plural": Function("ssi", lambda one, many, count: one if count == 1 else many),
    "split": Function("ss", lambda account, by, text: _numbered(pieces(account, by, text)), asks=True),
    "splitn": Function("sis", lambda account, by, count, text: _numbered(pieces(account, by, text, count)), asks=True),
    "splitList": Function("ss", lambda account, by, text: Strings(pieces(account, by, text)), asks=True),
    "join": Function("sa", _join, asks=True),
}
