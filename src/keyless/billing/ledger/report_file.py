"""The peer's report: a gzipped tar of ``report/meta.json`` and ``report/usage.json``, byte for byte before the gzip.

Python's ``tarfile`` pads to 10 KiB and writes other device fields than the peer, so the two USTAR headers are written
here. POSIX.1-1988 USTAR: https://www.gnu.org/software/tar/manual/html_node/Standard.html
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Protocol

import orjson

from keyless.billing.ledger.aggregate import Row
from keyless.billing.ledger.completeness import Missing
from keyless.billing.ledger.corrections import Correction
from keyless.billing.ledger.events import Key
from keyless.billing.ledger.integrity import Fault
from keyless.billing.ledger.model import stamp
from keyless.billing.ledger.waivers import Waiver

REPORT_EVENT = "max_resource_count_per_gvk_per_mxp"
# mtime 0 and operating system "unknown", as Go's writer leaves them.
_GZIP_HEAD = bytes.fromhex("1f8b08000000000000ff")
_USAGE_END = b"\n]\n"
NO_ROWS: Mapping[Key, tuple[int, int]] = {}
_CHUNK = 256 * 2**10
# Go's encoder escapes these within strings, so that JSON may stand in HTML.
_GO_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def report(
    account: str,
    period: tuple[datetime, datetime],
    rows: Iterable[Row],
    *,
    collected_at: datetime,
    completeness: bytes = b"",
) -> bytes:
    """The whole ``.tgz``."""
    writer = UsageWriter(account)
    writer.add(rows)
    return b"".join(archive(meta(account, period, collected_at), writer, completeness=completeness))


class Pieces(Protocol):
    """Where bytes wait that are added one after another and read once."""

    def append(self, piece: bytes, /) -> None:
        """Add a piece."""

    def __iter__(self) -> Iterator[bytes]:
        """All of them in order; the pieces may be cut elsewhere."""


class UsageWriter:
    """``usage.json`` as it grows: one event a line, kept packed, since a month of lines is gigabytes.

    ``rows`` is how many were added; ``pieces`` is where they wait, by default in memory.
    """

    def __init__(self, account: str, pieces: Pieces | None = None) -> None:
        self.rows = 0
        self._account = _go(orjson.dumps(account).decode())
        self._size = 0
        self._packer = zlib.compressobj(level=1)
        self._packed: Pieces = [] if pieces is None else pieces
        self._heads: dict[Key, str] = {}
        self._put(b"[")

    @property
    def size(self) -> int:
        """Bytes of the finished ``usage.json``."""
        return self._size + len(_USAGE_END)

    def add(self, rows: Iterable[Row]) -> None:
        """Append ``rows`` as they come."""
        for row in rows:
            key = (row.mxp_id, row.gvk.group, row.gvk.version, row.gvk.kind)
            self.add_window(row.start, row.end, [(key, row.value)])

    def add_window(self, start: datetime, end: datetime, values: Iterable[tuple[Key, int]]) -> None:
        """Append the rows of one window, in the order given."""
        times, heads = _times(start, end), self._heads
        lines = [f"{heads.get(key) or self._head(key)}{times}{value}}}" for key, value in values]
        if lines:
            before = ",\n" if self.rows else "\n"
            self._put((before + ",\n".join(lines)).encode())
            self.rows += len(lines)

    def chunks(self) -> Iterator[bytes]:
        """The finished ``usage.json``; nothing can be added after."""
        unpacker = zlib.decompressobj()
        self._packed.append(self._packer.flush())
        for part in self._packed:
            while part:
                yield unpacker.decompress(part, _CHUNK)
                part = unpacker.unconsumed_tail
        yield unpacker.flush() + _USAGE_END

    def _put(self, data: bytes) -> None:
        self._size += len(data)
        if packed := self._packer.compress(data):
            self._packed.append(packed)

    def _head(self, key: Key) -> str:
        """The line up to its times; the same for every hour, so it is made once."""
        mxp, group, version, kind = (_go(orjson.dumps(text).decode()) for text in key)
        found = self._heads[key] = (
            f'{{"name":"{REPORT_EVENT}","tags":{{"customresource_group":{group},"customresource_version":{version},'
            f'"customresource_kind":{kind},"upbound_account":{self._account},"mxp_id":{mxp}}},'
        )
        return found


def archive(meta_json: bytes, usage: UsageWriter, *, completeness: bytes = b"") -> Iterator[bytes]:
    """The ``.tgz``, in pieces. ``completeness`` is a third member, which the peer's report does not have."""
    packer = zlib.compressobj(level=6, wbits=-zlib.MAX_WBITS)
    crc, size = 0, 0
    yield _GZIP_HEAD
    for chunk in _tar(meta_json, usage, completeness):
        crc, size = zlib.crc32(chunk, crc), size + len(chunk)
        if packed := packer.compress(chunk):
            yield packed
    yield packer.flush() + crc.to_bytes(4, "little") + (size & 0xFFFFFFFF).to_bytes(4, "little")


def meta(account: str, period: tuple[datetime, datetime], collected_at: datetime) -> bytes:
    """``meta.json``: two spaces of indent, no newline at the end."""
    document = {
        "account": account,
        "time_range": {"start": stamp(period[0]), "end": stamp(period[1])},
        "collected_at": _nano(collected_at),
    }
    return _go(json.dumps(document, indent=2, ensure_ascii=False)).encode()


def usage(account: str, rows: Iterable[Row]) -> bytes:
    """``usage.json``: one event a line."""
    writer = UsageWriter(account)
    writer.add(rows)
    return b"".join(writer.chunks())


def _tar(meta_json: bytes, usage: UsageWriter, completeness: bytes) -> Iterator[bytes]:
    """A USTAR archive that ends in exactly two zero blocks."""
    yield _header("report/meta.json", len(meta_json)) + meta_json + bytes(-len(meta_json) % 512)
    yield _header("report/usage.json", usage.size)
    yield from usage.chunks()
    yield bytes(-usage.size % 512)
    if completeness:
        size = len(completeness)
        yield _header("report/completeness.json", size) + completeness + bytes(-size % 512)
    yield bytes(1024)


def completeness_document(
    waivers: Sequence[Waiver],
    missing: Sequence[Missing],
    faults: Sequence[Fault],
    corrected: Sequence[dict[str, Any]] = (),
) -> bytes:
    """``completeness.json``: what a report lacks, what was waived and corrected; empty where there is nothing to say.

    A complete report has no such member and is the peer's, byte for byte.
    """
    if not (waivers or missing or faults or corrected):
        return b""
    document = {
        "waivers": [{"id": waiver.id, **waiver.document()} for waiver in waivers],
        "missing": [missing_document(gap) for gap in missing],
        "notCounted": [fault_document(fault) for fault in faults],
        **({"corrections": list(corrected)} if corrected else {}),
    }
    return json.dumps(document, indent=2).encode()


def missing_document(gap: Missing) -> dict[str, Any]:
    """A stretch without usage as JSON."""
    return {
        "controlPlane": gap.control_plane.id,
        "group": gap.control_plane.group,
        "name": gap.control_plane.name,
        "from": stamp(gap.start),
        "to": stamp(gap.end),
        "reason": gap.reason,
        "kinds": [{"group": k.group, "version": k.version, "kind": k.kind} for k in gap.kinds],
    }


def correction_document(correction: Correction, rows: Mapping[Key, tuple[int, int]] = NO_ROWS) -> dict[str, Any]:
    """A revision of an hour as JSON; ``rows`` are kinds with what a report said before and what it says now."""
    told: dict[str, Any] = {
        "controlPlane": correction.control_plane.id,
        "group": correction.control_plane.group,
        "name": correction.control_plane.name,
        "hour": stamp(correction.hour),
        "revision": f"r{correction.revision}",
        "storedAt": stamp(correction.stored_at),
        "segments": correction.segments,
    }
    if rows:
        named = ("group", "version", "kind")
        told["rows"] = [
            {**dict(zip(named, key[1:], strict=True)), "was": was, "is": is_}
            for key, (was, is_) in sorted(rows.items())
        ]
    return told


def fault_document(fault: Fault) -> dict[str, str]:
    """An object that cannot be trusted as JSON."""
    return {"object": fault.key, "reason": fault.reason, "detail": fault.detail}


@lru_cache(maxsize=64)
def _times(start: datetime, end: datetime) -> str:
    return f'"timestamp":"{stamp(start)}","timestamp_end":"{stamp(end)}","value":'


def _header(name: str, size: int) -> bytes:
    fields = [
        name.encode().ljust(100, b"\0"),
        b"0000644\0",
        b"0000000\0",
        b"0000000\0",
        f"{size:011o}\0".encode(),
        b"00000000000\0",
        b" " * 8,  # the sum is taken with its own field blank
        b"0",
        bytes(100),
        b"ustar\x0000",
        bytes(32),
        bytes(32),
        b"0000000\0",
        b"0000000\0",
        bytes(155),
        bytes(12),
    ]
    blank = b"".join(fields)
    fields[6] = f"{sum(blank):06o}\0 ".encode()
    return b"".join(fields)


def _go(text: str) -> str:
    for character, escape in _GO_ESCAPES.items():
        text = text.replace(character, escape)
    return text


def _nano(moment: datetime) -> str:
    # RFC3339Nano drops trailing zeros; Python knows microseconds.
    utc = moment.astimezone(UTC)
    fraction = f".{utc.microsecond:06d}".rstrip("0") if utc.microsecond else ""
    return f"{utc:%Y-%m-%dT%H:%M:%S}{fraction}Z"
