"""A usage object's bytes, as they come from a bucket that anyone may have written to: inflated and read, or refused.

The strict reading takes what a collector of ours writes and nothing else. Whatever it refuses it names: the key, the
place in it, what was expected, what was found. :mod:`keyless.billing.ledger.tolerant` reads as the peer does. Sizes are
bounded before anything is computed from them, for a bucket's owner may not be the only one who can write to it.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson

from keyless.api.words import counted
from keyless.billing.ledger.model import Malformed
from keyless.billing.ledger.objects import EVENT_NAME
from keyless.billing.ledger.usual import FIXED_TAIL, usual_counts_untrusted

GZIP_MAGIC = b"\x1f\x8b"
# A sample of 20,000 kinds is 7 MB of events; the peer's own batches end at 10 MB.
STORED_LIMIT = 32 * 2**20
INFLATED_LIMIT = 32 * 2**20
# Below this size any JSON is cheap; above it a text that is mostly punctuation would become a hundred times its size.
SMALL = 2**20
# An event of the peer's contract has 12 such characters in more than 250 bytes.
BYTES_PER_MARK = 8
# Counts are doubles at the peer, exact up to here.
LARGEST_VALUE = 2**53

# mxp_id, group, version, kind.
Key = tuple[str, str, str, str]
# The largest value of each key.
Counts = dict[Key, int]

TAGS = (
    ("mxp_id", "MXPID"),
    ("customresource_group", "Group"),
    ("customresource_version", "Version"),
    ("customresource_kind", "Kind"),
)
# Quotation marks in an event with exactly the contract's fields: six names, five tags, nine strings.
_QUOTES = 40
_FIELDS = frozenset({"kind", "name", "tags", "timestamp", "timestamp_end", "value"})
_TAGS = frozenset({*(tag for tag, _ in TAGS), "upbound_account"})
_SHOWN = 60
# Go's simple case folding maps these two to ASCII letters, which ``str.lower`` does not.
_FOLD = str.maketrans({"ſ": "s", "\u212a": "k"})
# RFC 3339 as Go reads it.
TIME = re.compile(
    r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d([.,]\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)


class TooLarge(Malformed):
    """More than was to be read at once."""


def counted_untrusted(key: str, body: bytes, *, limit: int = INFLATED_LIMIT) -> Counts:
    """The largest value of each kind in one object, zero included; raises ``Malformed`` that names key and place.

    ``limit`` is how many bytes of events are read at most; raises ``TooLarge`` beyond.
    """
    text = inflated_untrusted(key, body, limit=limit)
    largest, plain = counted_text_untrusted(key, text)
    if not plain:
        _refuse_ambiguities(key, text)
    return largest


def counted_text_untrusted(key: str, text: bytes) -> tuple[Counts, bool]:
    """What :func:`counted_untrusted` finds, and whether ``text`` has exactly the contract's fields, each once.

    A field given twice is invisible after reading; where the quotation marks add up, there is none.
    """
    usual = usual_counts_untrusted(text, _head_untrusted)
    if usual is not None:
        return usual, True
    return _read_untrusted(key, text)


def _read_untrusted(key: str, text: bytes) -> tuple[Counts, bool]:
    events = events_of_untrusted(key, text)
    largest: Counts = {}
    plain = b"\\" not in text and text.count(b'"') == _QUOTES * len(events)
    for at, event in enumerate(events, 1):
        found, value = _event(key, at, event)
        plain = plain and _is_plain(event)
        if value > largest.get(found, -1):
            largest[found] = value
    return largest, plain


def inflated_untrusted(key: str, body: bytes, *, limit: int = INFLATED_LIMIT) -> bytes:
    """The JSON text of events in an object, gzipped or plain, within the limits."""
    return dense_untrusted(key, text_untrusted(key, body, limit=limit))


def text_untrusted(key: str, body: bytes, *, limit: int = INFLATED_LIMIT) -> bytes:
    """What an object holds, gzipped or plain: one whole gzip member with a sum that fits, within the limits."""
    if len(body) > min(limit, STORED_LIMIT):
        raise TooLarge(f"{key}: expected at most {min(limit, STORED_LIMIT)} bytes, found {len(body)}")
    if not body.startswith(GZIP_MAGIC):
        return body
    inflater = zlib.decompressobj(wbits=31)
    try:
        text = inflater.decompress(body, limit + 1)
    except zlib.error as error:
        raise Malformed(f"{key}: gzip: expected data that inflates, found {_reason(error)}") from None
    if len(text) > limit:
        raise TooLarge(f"{key}: gzip: expected at most {limit} bytes inflated, found more")
    if not inflater.eof:
        raise Malformed(
            f"{key}: gzip: expected a whole member, found the end after {counted(len(text), 'byte')} inflated"
        )
    if inflater.unused_data:
        raise Malformed(
            f"{key}: gzip: expected one member, found {counted(len(inflater.unused_data), 'byte')} after it"
        )
    return text


def dense_untrusted(key: str, text: bytes) -> bytes:
    """``text``, unless it holds far more punctuation than events do: its values would fill the memory."""
    if len(text) > SMALL:
        marks = sum(text.count(mark) for mark in (b"{", b"[", b","))
        if marks * BYTES_PER_MARK > len(text):
            raise Malformed(f"{key}: expected a JSON array of events, found {marks} values in {len(text)} bytes")
    return text


def events_of_untrusted(key: str, text: bytes) -> list[Any]:
    """The JSON array in ``text``. Anything cut short or trailing is refused, never passed over."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise Malformed(f"{key}: {place}: expected a JSON array of events, found {error.msg}") from None
    if not isinstance(found, list):
        raise Malformed(f"{key}: expected a JSON array of events, found {json_type(found)}")
    return found


def shown(value: object) -> str:
    """A value as a message shows it: short, and printable whatever it holds."""
    text = ascii(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def json_type(value: object) -> str:
    """JSON's own word for the type of a value."""
    for kind, word in ((bool, "a boolean"), (str, "a string"), (int | float, "a number"), (list, "an array")):
        if isinstance(value, kind):
            return word
    return "null" if value is None else "an object"


def _event(key: str, at: int, event: Any) -> tuple[Key, int]:
    """One event, checked; the hot loop, so the checks stand in the order in which a good event passes them."""
    if type(event) is not dict:
        raise Malformed(f"{key}: event {at}: expected an object, found {json_type(event)}")
    if event.get("name") != EVENT_NAME:
        raise Malformed(f"{key}: event {at}: expected event name {EVENT_NAME}, got {shown(event.get('name'))}")
    tags = event.get("tags")
    if type(tags) is not dict:
        raise Malformed(f"{key}: event {at}: tags: expected an object, found {json_type(tags)}")
    get = tags.get
    found = (get("mxp_id"), get("customresource_group"), get("customresource_version"), get("customresource_kind"))
    for part in found:
        if type(part) is not str or not part:
            raise _bad_tag(key, at, tags)
    value = event.get("value")
    if type(value) is not float and type(value) is not int:
        raise Malformed(f"{key}: event {at}: value: expected a number, found {json_type(value)}")
    if not 0 <= value <= LARGEST_VALUE or value != int(value):
        raise Malformed(f"{key}: event {at}: value: expected a whole number from 0 to 2^53, found {value!r}")
    for field in ("timestamp", "timestamp_end"):
        text = event.get(field)
        if text is not None and (type(text) is not str or not _is_time(text)):
            raise Malformed(f"{key}: event {at}: {field}: expected a time in RFC 3339, found {shown(text)}")
    return found, int(value)  # type: ignore[return-value]  # each part was seen to be a text


def _head_untrusted(head: bytes) -> Key | None:
    """Whose count follows after ``head``: the part of an event before its times; None unless it is the contract's."""
    try:
        found, plain = _read_untrusted("", b"[" + head + FIXED_TAIL + b"]")
    except Malformed:
        return None
    return next(iter(found)) if plain and len(found) == 1 else None


@lru_cache(maxsize=1024)
def _is_time(text: str) -> bool:
    # The events of an hour share few times.
    return TIME.fullmatch(text) is not None


def _bad_tag(key: str, at: int, tags: Mapping[str, Any]) -> Malformed:
    for tag, label in TAGS:
        found = tags.get(tag)
        if found is None or found == "":
            return Malformed(f"{key}: event {at}: tags.{tag}: {label} tag is empty")
        if not isinstance(found, str):
            return Malformed(f"{key}: event {at}: tags.{tag}: expected a string, found {json_type(found)}")
    raise AssertionError("called for a tag that is none")


def _is_plain(event: dict[str, Any]) -> bool:
    tags = event["tags"]
    return (
        event.keys() == _FIELDS
        and tags.keys() == _TAGS
        and type(event["kind"]) is str
        and type(tags["upbound_account"]) is str
        and event["timestamp"] is not None
        and event["timestamp_end"] is not None
    )


def folded(name: str) -> str:
    """A field's name without regard to case, as Go compares it."""
    return name.translate(_FOLD).lower()


def _refuse_ambiguities(key: str, text: bytes) -> None:
    """Refuse what the peer would read otherwise: a field given twice, or under a name in another case."""

    def checked(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        for name, value in pairs:
            known = folded(name)
            if known in _FIELDS | _TAGS and known != name:
                raise Malformed(f"{key}: expected the field {known}, found it as {shown(name)}")
            if name in {"kind", "upbound_account"} and not (value is None or isinstance(value, str)):
                raise Malformed(f"{key}: {name}: expected a string, found {json_type(value)}")
        if len(found) != len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise Malformed(f"{key}: expected each field once, found {shown(twice)} twice in one object")
        return found

    try:
        json.loads(text, object_pairs_hook=checked)
    except RecursionError:
        # orjson reads a thousand levels, Python's own reader somewhat fewer.
        raise Malformed(f"{key}: expected events, found values nested too deeply") from None
    except ValueError as error:
        if isinstance(error, Malformed):
            raise
        raise Malformed(f"{key}: expected a JSON array of events, found {error}") from None


def _reason(error: zlib.error) -> str:
    # "Error -3 while decompressing data: invalid block type"
    return str(error).rpartition(": ")[2]
