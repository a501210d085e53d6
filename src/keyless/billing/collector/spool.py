"""The spool: one file for each segment, synced frame by frame, removed only after its manifest is acknowledged.

    <folder>/0000000007.spool     a segment; its name is its sequence number
    <folder>/0000000007.damaged   what could not be read of it, kept for a human
    <folder>/head.json            next sequence, hash of the last manifest, time of the last sample

Blocking on purpose: a frame is a few kilobytes, and the collector has nothing better to do than to know it is safe.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import IO

from keyless.api import Permanent
from keyless.api.numbers import is_digits
from keyless.billing.ledger import frames
from keyless.billing.ledger.model import Malformed, Sample, Segment, moment_untrusted, stamp

HEAD_VERSION = 1


@dataclass(frozen=True, slots=True)
class Head:
    """What outlives the segments."""

    sequence: int = 0
    previous_manifest_sha256: str = ""
    last_sample: datetime | None = None


class Spool:
    """The folder of one collector. Raises ``Permanent`` that names the folder where it cannot be used."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: IO[bytes] | None = None
        self._open_sequence: int | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.head = self._read_head()
        except OSError as error:
            raise Permanent(f"spool folder {folder}: expected a folder to write in, found {error.strerror}") from error
        self._learn_from_segments()

    def open(self, segment: Segment) -> None:
        """Start the file of a segment that has no samples yet; its sequence is taken for good."""
        self.close()
        self._open = (self._folder / f"{segment.sequence:010d}.spool").open("xb")
        self._open_sequence = segment.sequence
        self._write(frames.opening(segment))
        self._sync_folder()
        self._set_head(replace(self.head, sequence=segment.sequence + 1))

    def append(self, frame: bytes) -> None:
        """Add a frame to the open segment; it is on disk when this returns."""
        self._write(frame)

    def sample(self, sample: Sample) -> None:
        """Add a sample to the open segment."""
        self._write(frames.sample_frame(sample))
        self.head = replace(self.head, last_sample=sample.at)

    def close(self) -> None:
        """End the open segment: from now on it waits for its upload."""
        if self._open is not None:
            self._open.close()
            self._open = self._open_sequence = None

    def waiting(self) -> list[int]:
        """The sequences that wait for their upload, oldest first."""
        found = sorted(int(path.stem) for path in self._folder.glob("*.spool") if is_digits(path.stem))
        return [sequence for sequence in found if sequence != self._open_sequence]

    def read(self, sequence: int) -> Segment | None:
        """A waiting segment; None where it holds nothing to upload (then it is gone, its bytes kept as damaged)."""
        path = self._path(sequence)
        data = path.read_bytes()
        try:
            segment, good = frames.read_untrusted(data)
        except Malformed:
            path.rename(path.with_suffix(".damaged"))
            return None
        if good < len(data):
            path.with_suffix(".damaged").write_bytes(data[good:])
        if not segment.samples:
            path.unlink()
            return None
        return segment

    def drop(self, sequence: int, manifest_sha256: str) -> None:
        """Forget a segment whose manifest was acknowledged; the chain goes on from that manifest."""
        self._set_head(replace(self.head, previous_manifest_sha256=manifest_sha256))
        self._path(sequence).unlink()
        self._sync_folder()

    def _learn_from_segments(self) -> None:
        """A head that was not written before a crash is behind the segments: they know better."""
        for sequence in self.waiting():
            self.head = replace(self.head, sequence=max(self.head.sequence, sequence + 1))
            try:
                segment, _ = frames.read_untrusted(self._path(sequence).read_bytes())
            except Malformed:
                continue
            if segment.samples and (self.head.last_sample is None or segment.end > self.head.last_sample):
                self.head = replace(self.head, last_sample=segment.end)

    def _path(self, sequence: int) -> Path:
        return self._folder / f"{sequence:010d}.spool"

    def _write(self, data: bytes) -> None:
        assert self._open is not None, "no segment is open"
        self._open.write(data)
        self._open.flush()
        os.fsync(self._open.fileno())

    def _read_head(self) -> Head:
        path = self._folder / "head.json"
        if not path.exists():
            return Head()
        try:
            document = json.loads(path.read_bytes())
            if int(document["version"]) > HEAD_VERSION:
                raise Permanent(
                    f"{path}: expected version {HEAD_VERSION} or older, found {document['version']}: "
                    "a newer collector wrote it; run that version, or give this one an empty folder"
                )
            last = moment_untrusted(document["lastSample"]) if document["lastSample"] else None
            return Head(int(document["sequence"]), str(document["previousManifestSha256"]), last)
        except (ValueError, KeyError, TypeError):
            # A torn head loses only the chain's last link: sequences are learnt from the segments.
            path.rename(path.with_suffix(".damaged"))
            return Head()

    def _set_head(self, head: Head) -> None:
        self.head = head
        document = {
            "version": HEAD_VERSION,
            "sequence": head.sequence,
            "previousManifestSha256": head.previous_manifest_sha256,
            "lastSample": stamp(head.last_sample) if head.last_sample else None,
        }
        path = self._folder / "head.json.new"
        with path.open("wb") as file:
            file.write(json.dumps(document).encode())
            file.flush()
            os.fsync(file.fileno())
        path.replace(self._folder / "head.json")
        self._sync_folder()

    def _sync_folder(self) -> None:
        handle = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
