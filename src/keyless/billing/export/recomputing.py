"""Whether a report says what the bucket says: it is made once more and compared, byte for byte before the gzip."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from keyless.api import Refusal
from keyless.api.words import counted
from keyless.billing.export.plan import Request, printable
from keyless.billing.export.service import Bucket, Export, export
from keyless.billing.ledger.corrections import Correction
from keyless.billing.ledger.events import GZIP_MAGIC
from keyless.billing.ledger.model import Malformed, moment_untrusted

_BLOCK = 512
# Account, two times and the time of collection.
META_LIMIT = 16 * 2**10
INSTANT = timedelta(microseconds=1)


# Reading a month once takes a minute: of more corrections than this the newest are tried.
CUTS = 6


@dataclass(frozen=True, slots=True)
class Recomputed:
    """``differs`` is the first thing in which a report is not one made now; empty: nothing.

    A report that was right until usage came late has ``later``: the corrections that it does not know yet.
    """

    differs: str = ""
    later: tuple[Correction, ...] = ()


def recomputed(bucket: Bucket, name: str, report: bytes, account: str, *, now: datetime) -> Recomputed:
    """Make the report once more, as of now and as of before each correction; raises ``Malformed`` that names it.

    Gaps in usage are no difference where the report tells of them.
    """
    request = Request(account, _period_untrusted(name, report, account), force_incomplete=True)
    made = export(bucket, request, now=now)
    if isinstance(made, Refusal):
        return Recomputed(made.detail)
    if not (differs := _difference(made, report)):
        return Recomputed()
    for before in sorted({each.first_stored_at for each in made.corrections}, reverse=True)[:CUTS]:
        earlier = export(bucket, replace(request, as_of=before - INSTANT), now=now)
        if isinstance(earlier, Export) and not _difference(earlier, report):
            return Recomputed(later=tuple(each for each in made.corrections if each.first_stored_at >= before))
    return Recomputed(differs)


def _difference(made: Export, report: bytes) -> str:
    expected = _inflated(b"".join(made.archive), 2**40)
    # One byte more than ours shows that it is longer; what a hostile one inflates to is not kept.
    try:
        found = _inflated(report, len(expected) + 1)
    except zlib.error:
        return "expected data that inflates, found a damaged gzip"
    if found == expected:
        return ""
    return printable(_first(expected, found))


def _period_untrusted(name: str, report: bytes, account: str) -> tuple[datetime, datetime]:
    try:
        head = _inflated(report, _BLOCK + META_LIMIT)
        size = int(head[124:135], 8)
        document = json.loads(head[_BLOCK : _BLOCK + min(size, META_LIMIT)])
        start, end = (moment_untrusted(document["time_range"][side]) for side in ("start", "end"))
        if not start < end:
            raise Malformed("time_range: expected a start before the end")
        if document["account"] != account:
            raise Malformed(f"expected a report of account {account!r}, found one of {document['account']!r}")
    except Malformed as error:
        raise Malformed(f"{name}: {error}") from None
    except (zlib.error, ValueError, KeyError, TypeError) as error:
        raise Malformed(f"{name}: expected a report of usage, found {type(error).__name__}") from None
    return start, end


def _inflated(data: bytes, limit: int) -> bytes:
    if not data.startswith(GZIP_MAGIC):
        raise Malformed("expected a gzipped report, found something else")
    return zlib.decompressobj(wbits=31).decompress(data, limit)


def _first(expected: bytes, found: bytes) -> str:
    """The first line that is not the same; a report is one event a line."""
    pairs = zip(expected.split(b"\n"), found.split(b"\n"), strict=False)
    for number, (ours, theirs) in enumerate(pairs, 1):
        if ours != theirs:
            return f"line {number}: expected {_shown(ours)}, found {_shown(theirs)}"
    return f"expected {counted(len(expected), 'byte')} before the gzip, found {len(found)} or more"


def _shown(line: bytes) -> str:
    return line[:300].decode("utf-8", errors="replace")
