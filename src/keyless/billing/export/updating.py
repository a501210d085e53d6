"""``keyless billing report update``: a report in a file merged into one in a file or in the bucket.

The target is replaced whole or not at all: a file by a rename, an object by a conditional write, so that of two updates
at once one is refused and runs again.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from keyless.api import Permanent, Reason, Refusal, os_failure
from keyless.billing.export.output import write_over
from keyless.billing.export.plan import describe_hole
from keyless.billing.ledger.merging import hole, merged, written
from keyless.billing.ledger.model import Malformed
from keyless.billing.ledger.report_reading import ReadReport, report_untrusted


class Target(Protocol):
    """Where the merged report goes. Raises ``Transient`` or ``Permanent``."""

    name: str

    def read(self) -> bytes | None:
        """What is there; None where nothing is."""

    def replace(self, pieces: Iterator[bytes]) -> None:
        """Put the report in its place, whole or not at all."""


def update(target: Target, source: Path, *, force_incomplete: bool) -> ReadReport | Refusal:
    """Merge ``source`` into ``target``, which is made where it is not there; raises ``Permanent`` that names a file."""
    report = _read(str(source), source_bytes(source))
    before = target.read()
    if before is not None:
        known = _read(target.name, before)
        if (between := hole(known, report)) is not None and not force_incomplete:
            return Refusal(Reason.USAGE_MISSING, describe_hole(target.name, str(source), between))
        try:
            report = merged(known, report)
        except Malformed as error:
            raise Permanent(f"{source}: {error}") from None
    target.replace(written(report))
    return report


def source_bytes(path: Path) -> bytes:
    """A file's bytes; raises ``Permanent``."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise os_failure(error) from None


def _read(name: str, data: bytes) -> ReadReport:
    try:
        return report_untrusted(name, data)
    except Malformed as error:
        raise Permanent(str(error)) from None


class FileTarget:
    """Implements ``Target`` with a file."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path

    def read(self) -> bytes | None:
        """The file's bytes."""
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise os_failure(error) from None

    def replace(self, pieces: Iterator[bytes]) -> None:
        """Beside it first; the rename is the one step."""
        try:
            write_over(self._path, pieces)
        except OSError as error:
            raise os_failure(error) from None


class Versioned(Protocol):
    """A bucket whose objects are replaced only as they were seen."""

    def etag(self, key: str) -> str | None:
        """The object's ETag; None where it is not there."""

    def get(self, key: str) -> bytes:
        """Its bytes."""

    def put_if(self, key: str, body: bytes, etag: str | None) -> None:
        """Write where the object is still that one (None: still none)."""


class ObjectTarget:
    """Implements ``Target`` with an object."""

    def __init__(self, bucket: Versioned, key: str) -> None:
        # There the peer reads every object as events, and ours would be a foreign one.
        if key.startswith(("account=", "manifest/", "waiver/")) or not key:
            raise Permanent(f"{key}: expected a key of its own, as reports/2026.tgz; found one where usage is stored")
        self.name = key
        self._bucket = bucket
        self._etag: str | None = None

    def read(self) -> bytes | None:
        """The ETag first: what changes after it makes the write fail, not the other's report vanish."""
        self._etag = self._bucket.etag(self.name)
        return None if self._etag is None else self._bucket.get(self.name)

    def replace(self, pieces: Iterator[bytes]) -> None:
        """One conditional write."""
        self._bucket.put_if(self.name, b"".join(pieces), self._etag)
