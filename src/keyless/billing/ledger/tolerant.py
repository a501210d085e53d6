"""Reading usage as the peer does: whatever its decoder passes over is passed over here, so that the numbers agree.

The peer takes the first JSON array of an object, event by event, and looks no further: a second array, a second gzip
member, garbage after the end and a cut between two events go unnoticed. Field names match without regard to case, a
field given twice takes its last value, values lose their fraction. What it stops at stops here too.
docs/reference/facts/billing-export.md
"""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Iterator
from typing import Any

from keyless.billing.ledger.events import (
    GZIP_MAGIC,
    INFLATED_LIMIT,
    STORED_LIMIT,
    TAGS,
    TIME,
    Counts,
    Key,
    TooLarge,
    counted_text_untrusted,
    dense_untrusted,
    folded,
    inflated_untrusted,
    json_type,
    shown,
)
from keyless.billing.ledger.model import Malformed
from keyless.billing.ledger.objects import EVENT_NAME

_SPACE = re.compile(r"[ \t\r\n]*")
_SURROGATE = re.compile("[\ud800-\udfff]")
_INT64 = 2**63
_PIECE = 16 * 2**10
_CHUNK = 64 * 2**10


class _Pairs(list[tuple[str, Any]]):
    """An object's fields as they stand, for a later one may add to an earlier one."""


def counted_tolerantly_untrusted(key: str, body: bytes, *, limit: int = INFLATED_LIMIT) -> Counts:
    """The largest value of each kind as the peer finds it; raises ``Malformed`` where the peer aborts.

    ``limit`` is how many bytes of events are read at most; raises ``TooLarge`` beyond.
    """
    try:
        # What has exactly the contract's fields means the same to both readings, and is read ten times as fast.
        largest, plain = counted_text_untrusted(key, inflated_untrusted(key, body, limit=limit))
    except TooLarge:
        raise
    except Malformed:
        plain = False
    return largest if plain else counted_slowly_untrusted(key, body, limit)


def counted_slowly_untrusted(key: str, body: bytes, limit: int = INFLATED_LIMIT) -> Counts:
    """The same, event by event as the peer's decoder goes."""
    text = _text(key, _inflated(key, body, limit))
    largest: Counts = {}
    for at, event in enumerate(_elements(key, text), 1):
        found, value = _event(key, at, event)
        if value > largest.get(found, -1):
            largest[found] = value
    return largest


def _inflated(key: str, body: bytes, limit: int) -> bytes:
    """As much as can be inflated of the first member: where it breaks, the events before that count."""
    if len(body) > min(limit, STORED_LIMIT):
        raise TooLarge(f"{key}: expected at most {min(limit, STORED_LIMIT)} bytes, found {len(body)}")
    if not body.startswith(GZIP_MAGIC):
        return dense_untrusted(key, body)
    parts, size = [], 0
    for part in _inflating(body[_header_length(key, body) :]):
        parts.append(part)
        size += len(part)
        if size > limit:
            raise TooLarge(f"{key}: gzip: expected at most {limit} bytes inflated, found more")
    return dense_untrusted(key, b"".join(parts))


def _inflating(deflated: bytes) -> Iterator[bytes]:
    """The output in pieces, up to where the data ends or breaks; the sum behind it the peer never reaches."""
    inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    for at in range(0, len(deflated), _PIECE):
        before, rest = inflater.copy(), deflated[at : at + _PIECE]
        try:
            while rest and not inflater.eof:
                yield inflater.decompress(rest, _CHUNK)
                rest = inflater.unconsumed_tail
        except zlib.error:
            # zlib keeps back what it had made of a piece that breaks; byte by byte it gives all up to the break.
            yield _salvaged(before, deflated[at : at + _PIECE])
            return
        if inflater.eof:
            return


def _salvaged(inflater: Any, piece: bytes) -> bytes:
    found = []
    try:
        for byte in piece:
            found.append(inflater.decompress(bytes([byte])))
    except zlib.error:
        pass
    return b"".join(found)


def _header_length(key: str, body: bytes) -> int:
    """Where the deflated data begins. RFC 1952, section 2.3."""
    if len(body) < 10 or body[2] != 8:
        raise Malformed(f"{key}: gzip: expected a header, found {shown(body[:10])}")
    flags, at = body[3], 10
    if flags & 4:
        at += 2 + int.from_bytes(body[at : at + 2], "little")
    for flag in (8, 16):
        if flags & flag:
            end = body.find(b"\0", at)
            if end < 0:
                raise Malformed(f"{key}: gzip: expected the header's end, found none")
            at = end + 1
    return at + 2 if flags & 2 else at


def _text(key: str, data: bytes) -> str:
    if not data:
        raise Malformed(f"{key}: expected a JSON array of events, found nothing")
    # Go puts one U+FFFD for each byte that is not UTF-8; "surrogateescape" keeps them apart until then.
    return _clean(data.decode("utf-8", errors="surrogateescape"))


def _clean(text: str) -> str:
    return _SURROGATE.sub("\ufffd", text)


def _elements(key: str, text: str) -> Any:
    """The elements of the first array; ends quietly where the text ends between two of them."""
    at = _skip(text, 0)
    if text[at : at + 1] != "[":
        raise Malformed(f"{key}: expected a JSON array of events, found {shown(text[at : at + 20])}")
    at, first = _skip(text, at + 1), True
    while at < len(text) and text[at] not in "]}":
        if not first:
            if text[at] != ",":
                raise Malformed(f"{key}: character {at}: expected a comma or the end of the array")
            at = _skip(text, at + 1)
        try:
            element, at = _READER.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            said = "values nested too deeply" if isinstance(error, RecursionError) else str(error)
            raise Malformed(f"{key}: character {at}: expected an event, found {said}") from None
        yield element
        at, first = _skip(text, at), False


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _event(key: str, at: int, event: Any) -> tuple[Key, int]:
    where = f"{key}: event {at}"
    if event is not None and not isinstance(event, _Pairs):
        raise Malformed(f"{where}: expected an object, found {json_type(event)}")
    name, value = "", 0.0
    tags: dict[str, str] = {}
    for field, found in event or ():
        match folded(field):
            case "name":
                name = _string(where, "name", found, name)
            case "kind":
                _string(where, "kind", found, "")
            case "value":
                value = _number(where, found, value)
            case "timestamp" | "timestamp_end" as which:
                _time(where, which, found)
            case "tags":
                _tags(where, found, tags)
    if name != EVENT_NAME:
        raise Malformed(f"{where}: expected event name {EVENT_NAME}, got {shown(name)}")
    for tag, label in TAGS:
        if not tags.get(tag):
            raise Malformed(f"{where}: tags.{tag}: {label} tag is empty")
    return (
        tags["mxp_id"],
        tags["customresource_group"],
        tags["customresource_version"],
        tags["customresource_kind"],
    ), (_truncated(value))


def _tags(where: str, found: Any, tags: dict[str, str]) -> None:
    if found is None:
        return
    if not isinstance(found, _Pairs):
        raise Malformed(f"{where}: tags: expected an object, found {json_type(found)}")
    known = {tag for tag, _ in TAGS} | {"upbound_account"}
    for field, value in found:
        tag = folded(field)
        if tag in known:
            tags[tag] = _string(where, f"tags.{tag}", value, tags.get(tag, ""))


def _string(where: str, field: str, found: Any, before: str) -> str:
    if found is None:
        return before
    if not isinstance(found, str):
        raise Malformed(f"{where}: {field}: expected a string, found {json_type(found)}")
    return _clean(found)


def _number(where: str, found: Any, before: float) -> float:
    if found is None:
        return before
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise Malformed(f"{where}: value: expected a number, found {json_type(found)}")
    return float(found)


def _time(where: str, field: str, found: Any) -> None:
    if found is not None and not (isinstance(found, str) and TIME.fullmatch(found)):
        raise Malformed(f"{where}: {field}: expected a time in RFC 3339, found {shown(found)}")


def _truncated(value: float) -> int:
    # Go's conversion of a double beyond int64 gives the smallest int64 on amd64, which the peer then ignores.
    return int(value) if -_INT64 <= value < _INT64 else -_INT64


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"a number beyond a double's range, {shown(text)}")
    return value


def _no_constant(text: str) -> float:
    raise ValueError(f"{text}, which is no JSON")


# Whole numbers too become doubles: no integer of a million digits is ever computed with.
_READER = json.JSONDecoder(
    object_pairs_hook=_Pairs, parse_float=_finite, parse_int=_finite, parse_constant=_no_constant, strict=True
)
