"""A report read back, from anywhere: bounded, and refused with the place where it is not one. Pure."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from keyless.billing.ledger.events import GZIP_MAGIC
from keyless.billing.ledger.events import Key as Kind
from keyless.billing.ledger.model import Malformed, moment_untrusted
from keyless.billing.ledger.report_file import REPORT_EVENT

# A month of 75 million rows is 30 GiB: reports that are merged are held in memory, those of some million rows.
INFLATED_LIMIT = 2 * 2**30
_BLOCK = 512
_MEMBERS = ("report/meta.json", "report/usage.json", "report/completeness.json")
_TAGS = ("mxp_id", "customresource_group", "customresource_version", "customresource_kind")
_NUMBER = re.compile(rb"[0-7]+")
Place = tuple[datetime, datetime, Kind]
"""Start and end of the window, control plane and kind."""


@dataclass(slots=True)
class ReadReport:
    """What a report says; ``completeness`` is empty where it has no such member."""

    account: str
    start: datetime
    end: datetime
    collected_at: datetime
    rows: dict[Place, int] = field(default_factory=dict)
    completeness: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


def report_untrusted(name: str, data: bytes) -> ReadReport:
    """Read a ``.tgz``; raises ``Malformed`` that names it."""
    try:
        members = dict(_members(_inflated(data)))
        if tuple(members) not in (_MEMBERS[:2], _MEMBERS):
            raise Malformed(f"expected {' and '.join(_MEMBERS[:2])}, found {', '.join(members)[:200] or 'nothing'}")
        found = _meta(members[_MEMBERS[0]])
        for number, row in enumerate(_listed(members[_MEMBERS[1]], "usage.json")):
            place, value = _row(number, row, found)
            # Twice in one report is no more than in two: the largest counts.
            found.rows[place] = max(value, found.rows.get(place, 0))
        if _MEMBERS[2] in members:
            found.completeness = _completeness(orjson.loads(members[_MEMBERS[2]]))
        return found
    except Malformed as error:
        raise Malformed(f"{name}: {error}") from None
    except zlib.error as error:
        raise Malformed(f"{name}: expected a report, found a damaged gzip: {error}") from None
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise Malformed(
            f"{name}: expected a report of usage, found {type(error).__name__}: {str(error)[:200]}"
        ) from None


def _inflated(data: bytes) -> bytes:
    if not data.startswith(GZIP_MAGIC):
        raise Malformed("expected a gzipped report, found something else")
    unpacker = zlib.decompressobj(wbits=31)
    found = unpacker.decompress(data, INFLATED_LIMIT)
    if unpacker.unconsumed_tail:
        raise Malformed(f"expected at most {INFLATED_LIMIT} bytes before the gzip, found more")
    if not unpacker.eof:
        raise Malformed("expected a whole gzip, found its beginning: the file was cut off")
    return found


def _members(tar: bytes) -> Iterator[tuple[str, bytes]]:
    """Names and bytes; every header's own sum is compared, and the end must be there."""
    at, names = 0, set()
    while at + _BLOCK <= len(tar):
        head = tar[at : at + _BLOCK]
        if not head.strip(b"\0"):
            return
        told = head[148:156].rstrip(b"\0 ")
        if not _NUMBER.fullmatch(told) or int(told, 8) != sum(head[:148]) + 8 * 32 + sum(head[156:]):
            raise Malformed(f"expected a tar header at byte {at}, found something else")
        name, length = head[:100].rstrip(b"\0").decode(), head[124:135].rstrip(b"\0 ")
        size = int(length, 8) if _NUMBER.fullmatch(length) else -1
        if size < 0 or at + _BLOCK + size > len(tar) or name in names:
            raise Malformed(f"{name[:80]}: expected one whole member, found a part or another")
        names.add(name)
        yield name, tar[at + _BLOCK : at + _BLOCK + size]
        at += _BLOCK + (size + _BLOCK - 1) // _BLOCK * _BLOCK
    raise Malformed("expected the end of the tar, found none: the report was cut off")


def _meta(body: bytes) -> ReadReport:
    document = orjson.loads(body)
    account, range_ = document["account"], document["time_range"]
    start, end = (moment_untrusted(range_[side]) for side in ("start", "end"))
    if not isinstance(account, str) or not start < end:
        raise Malformed("meta.json: expected an account, and a time_range whose start is before its end")
    return ReadReport(account, start, end, moment_untrusted(_micro(document["collected_at"])))


def _row(number: int, row: Any, report: ReadReport) -> tuple[Place, int]:
    where = f"usage.json: event {number}"
    tags = row["tags"]
    kind = tuple(tags[tag] for tag in _TAGS)
    start, end = moment_untrusted(row["timestamp"]), moment_untrusted(row["timestamp_end"])
    value = row["value"]
    if row["name"] != REPORT_EVENT or not all(isinstance(each, str) and each for each in kind):
        raise Malformed(f"{where}: expected {REPORT_EVENT} with its tags, found {str(row)[:200]}")
    if type(value) is not int or value <= 0:
        raise Malformed(f"{where}: value: expected a whole number above 0, found {value!r:.40}")
    if tags.get("upbound_account") != report.account:
        raise Malformed(f"{where}: expected account {report.account!r}, found {tags.get('upbound_account')!r:.80}")
    if not report.start <= start < end <= report.end:
        raise Malformed(f"{where}: expected a time within the report's, found {row['timestamp']!r:.40}")
    return (start, end, (kind[0], kind[1], kind[2], kind[3])), value


def _listed(body: bytes, name: str) -> list[Any]:
    found = orjson.loads(body)
    if not isinstance(found, list):
        raise Malformed(f"{name}: expected a list of events")
    return found


def _completeness(document: Any) -> dict[str, list[dict[str, Any]]]:
    if not isinstance(document, dict) or not all(
        isinstance(each, list) and all(isinstance(item, dict) for item in each) for each in document.values()
    ):
        raise Malformed("completeness.json: expected lists of what is missing, waived and not counted")
    for gap in document.get("missing", ()):
        start, end = moment_untrusted(gap["from"]), moment_untrusted(gap["to"])
        if not start < end or not isinstance(gap["controlPlane"], str) or not isinstance(gap["kinds"], list):
            raise Malformed(
                f"completeness.json: missing: expected a stretch of a control plane, found {str(gap)[:200]}"
            )
    return document


def _micro(text: Any) -> str:
    """Go writes nanoseconds, Python reads six digits."""
    return re.sub(r"(\.[0-9]{6})[0-9]+", r"\1", str(text))
