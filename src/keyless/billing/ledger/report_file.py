"""The peer's report: a gzipped tar of ``report/meta.json`` and ``report/usage.json``, byte for byte before the gzip.

Python's ``tarfile`` pads to 10 KiB and writes other device fields than the peer, so the two USTAR headers are written
here. POSIX.1-1988 USTAR: https://www.gnu.org/software/tar/manual/html_node/Standard.html
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from keyless.billing.ledger.aggregate import Row
from keyless.billing.ledger.model import stamp

REPORT_EVENT = "max_resource_count_per_gvk_per_mxp"
# mtime 0 and operating system "unknown", as Go's writer leaves them.
_GZIP_HEAD = bytes.fromhex("1f8b08000000000000ff")
# Go's encoder escapes these within strings, so that JSON may stand in HTML.
_GO_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def report(account: str, period: tuple[datetime, datetime], rows: Iterable[Row], *, collected_at: datetime) -> bytes:
    """The whole ``.tgz``."""
    return _gzip(
        tar({"report/meta.json": meta(account, period, collected_at), "report/usage.json": usage(account, rows)})
    )


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
    lines = ",".join(
        "\n" + _go(json.dumps(_event(account, row), separators=(",", ":"), ensure_ascii=False)) for row in rows
    )
    return f"[{lines}\n]\n".encode()


def tar(members: Mapping[str, bytes]) -> bytes:
    """A USTAR archive that ends in exactly two zero blocks."""
    out = b"".join(_header(name, len(body)) + body + bytes(-len(body) % 512) for name, body in members.items())
    return out + bytes(1024)


def _event(account: str, row: Row) -> dict[str, Any]:
    return {
        "name": REPORT_EVENT,
        "tags": {
            "customresource_group": row.gvk.group,
            "customresource_version": row.gvk.version,
            "customresource_kind": row.gvk.kind,
            "upbound_account": account,
            "mxp_id": row.mxp_id,
        },
        "timestamp": stamp(row.start),
        "timestamp_end": stamp(row.end),
        "value": row.value,
    }


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


def _gzip(data: bytes) -> bytes:
    packer = zlib.compressobj(level=6, wbits=-zlib.MAX_WBITS)
    body = packer.compress(data) + packer.flush()
    return _GZIP_HEAD + body + zlib.crc32(data).to_bytes(4, "little") + (len(data) & 0xFFFFFFFF).to_bytes(4, "little")


def _go(text: str) -> str:
    for character, escape in _GO_ESCAPES.items():
        text = text.replace(character, escape)
    return text


def _nano(moment: datetime) -> str:
    # RFC3339Nano drops trailing zeros; Python knows microseconds.
    utc = moment.astimezone(UTC)
    fraction = f".{utc.microsecond:06d}".rstrip("0") if utc.microsecond else ""
    return f"{utc:%Y-%m-%dT%H:%M:%S}{fraction}Z"
