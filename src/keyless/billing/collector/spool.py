"""The spool: one file for each segment, synced frame by frame, removed only after its manifest is acknowledged.

    <folder>/0000000007.spool     a segment; its name is its sequence number
    <folder>/0000000007.damaged   a segment of which something was not readable, kept for a human (the last few)
    <folder>/head.json            see ``heads.py``
    <folder>/reserve              room that only the freeing of room may use
    <folder>/lock                 held by the collector that uses the folder

A segment's file comes into being with its first sample, whole: a number is taken when there is something to tell under
it. Appending blocks on purpose: a frame is a few kilobytes, and the collector has nothing better to do than to know it
is safe.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from keyless.api import Permanent
from keyless.api.numbers import is_digits
from keyless.billing.collector import heads
from keyless.billing.collector.disk import Disk
from keyless.billing.collector.heads import Head
from keyless.billing.collector.tally import Tally
from keyless.billing.ledger import frames
from keyless.billing.ledger.capacity_used import Used
from keyless.billing.ledger.model import (
    Chain,
    Frame,
    Gap,
    HeadSignature,
    Link,
    Malformed,
    Opening,
    Receipt,
    Sample,
    Skipped,
)
from keyless.billing.ledger.objects import Packed, pack

HEAD = "head.json"
RESERVE = "reserve"
RESERVE_BYTES = 256 * 1024
DAMAGED = frames.SPOOL_DAMAGED
DAMAGED_KEPT = 8


class Spool:
    """The folder of one collector. Raises ``Permanent`` that names the folder where it cannot be used at all.

    Writing raises ``OSError`` (a full disk, say) and leaves everything as it was.
    """

    def __init__(self, folder: Path | Disk) -> None:
        self._disk = folder if isinstance(folder, Disk) else Disk(folder)
        self._open: int | None = None
        self._open_size = 0
        self._spoilt: set[int] = set()
        self.tally = Tally()
        try:
            self._disk.prepare()
            self.fresh = HEAD not in self._disk.names()
            """Whether nobody used the folder before."""
            self._head_written = not self.fresh
            self.head = self._read_head()
            self._learn_from_segments()
            self.renew_reserve()
        except OSError as error:
            raise Permanent(
                f"spool folder {self._disk.folder}: expected a folder to write in, found {error.strerror}"
            ) from error

    def continue_from(
        self, sequence: int, previous: str, last_sample: datetime | None, signature: HeadSignature | None = None
    ) -> None:
        """Go on where another pod's spool ended, as the bucket tells; ``signature`` is that pod's of its end."""
        self._set_head(
            replace(
                self.head,
                sequence=sequence,
                chain=Chain.CONTINUED,
                previous=previous,
                last_sample=last_sample,
                manifest_signature=signature,
            )
        )

    def continue_from_unknown(self) -> None:
        """Something may have been stored before, and there is no knowing what."""
        self._set_head(replace(self.head, chain=Chain.UNKNOWN))

    @property
    def next_sequence(self) -> int:
        """The number of the next segment."""
        taken = self._numbers()
        return max([self.head.sequence, *(number + 1 for number in taken)])

    def begin(self, opening: Opening, contents: Sequence[Frame]) -> None:
        """Start a segment with all that is known of it, its first sample too."""
        self.close()
        if not self._head_written:
            # Before anything can be committed: which spool it was, and what it followed, must not change afterwards.
            self._set_head(self.head)
        data = frames.opening_frame(opening) + b"".join(frames.frame(each) for each in contents)
        self._disk.put(_file(opening.sequence), data)
        self._open, self._open_size = opening.sequence, len(data)
        self._note_samples(contents, opening.sequence)

    def append(self, *contents: Frame) -> None:
        """Add frames to the open segment; they are on disk when this returns."""
        assert self._open is not None, "no segment is open"
        data = b"".join(frames.frame(each) for each in contents)
        self._disk.append(_file(self._open), data, self._open_size)
        self._open_size += len(data)
        self._note_samples(contents, self._open)

    def close(self) -> None:
        """End the open segment: from now on it waits for its upload."""
        if self._open is not None:
            self._disk.finish(_file(self._open))
            self._open = None

    def waiting(self) -> list[int]:
        """The sequences that wait for their upload, oldest first."""
        return [number for number in self._numbers() if number != self._open]

    def pack(self, sequence: int) -> Packed | None:
        """A waiting segment as it is stored; None where nothing of it is readable: then its number is skipped.

        Reads in one pass; may run in a thread, but not beside another call of itself.
        """
        try:
            with self._disk.open(_file(sequence)) as file:
                reader = frames.Reader(file)
                packed = pack(reader.opening, reader.frames())
        except (Malformed, ValueError):
            packed = None
        else:
            if reader.damaged:
                self._spoilt.add(sequence)
        if packed is None:
            self._skip(sequence)
            return None
        self.tally.packed(sequence, packed.runs.samples)
        if not self.head.skipped:
            return packed
        # What the skipped ones held is not known: all that lies between what was stored and what follows.
        start, end = self.head.stored_to or packed.runs.hour, packed.opening.since or packed.runs.start
        return replace(packed, gaps=(Gap(start, end, DAMAGED), *packed.gaps)) if start < end else packed

    def note(self, *receipts: Receipt) -> None:
        """Keep which requests stored objects, before any manifest can say so.

        What cannot be kept is not said: a manifest that is stored again after a crash must be the same bytes. The room
        for a full disk is left to those who free more by it.
        """
        if not receipts:
            return
        head = replace(self.head, receipts=(*self.head.receipts, *receipts))
        try:
            self._disk.put(HEAD, heads.written(head))
        except OSError:
            return
        self.head, self._head_written = head, True

    def link(self, packed: Packed) -> Link:
        """Where the segment's manifest stands."""
        head = self.head
        keys = {stored.key for stored in packed.objects}
        receipts = tuple(each for each in head.receipts if each.key in keys)
        return Link(
            head.spool,
            head.chain,
            head.previous,
            head.skipped,
            receipts,
            head.manifest_receipt,
            head.manifest_signature,
        )

    def drop(
        self,
        sequence: int,
        manifest_sha256: str,
        stored_to: datetime,
        receipt: Receipt | None = None,
        used: Used | None = None,
        signature: HeadSignature | None = None,
    ) -> None:
        """Forget a segment whose manifest was acknowledged; the chain goes on from that manifest.

        ``receipt`` says which request stored that one, ``used`` what was used of a capacity with it, ``signature`` is
        of it: the next one bears them, so that storing it again gives the same bytes. The head first: a
        segment that is still there although the head calls it committed is not stored again.
        """
        head = replace(
            self.head,
            committed=sequence,
            sequence=max(self.head.sequence, sequence + 1),
            chain=Chain.CONTINUED,
            previous=manifest_sha256,
            stored_to=stored_to,
            skipped=(),
            receipts=(),
            manifest_receipt=receipt,
            manifest_signature=signature,
            used=used,
        )
        self._set_head(head)
        self.tally.acknowledged(sequence)
        self._take_away(sequence)
        self.renew_reserve()

    def renew_reserve(self) -> None:
        """Keep room for the next full disk, where there is any."""
        if RESERVE in self._disk.names():
            return
        try:
            self._disk.put(RESERVE, bytes(RESERVE_BYTES))
        except OSError:
            return

    @property
    def bytes_used(self) -> int:
        """What the segments take."""
        return sum(self._disk.size(_file(number)) for number in self._numbers())

    def _skip(self, sequence: int) -> None:
        if all(each.sequence != sequence for each in self.head.skipped):
            skipped = (*self.head.skipped, Skipped(sequence, DAMAGED))
            self._set_head(replace(self.head, sequence=max(self.head.sequence, sequence + 1), skipped=skipped))
        self._spoilt.add(sequence)
        self.tally.unreadable(sequence)
        self._take_away(sequence)

    def _take_away(self, sequence: int) -> None:
        if sequence not in self._spoilt:
            self._disk.remove(_file(sequence))
            return
        self._disk.rename(_file(sequence), f"{sequence:010d}.damaged")
        self._spoilt.discard(sequence)
        # Kept for a human, but not for ever: damage that repeats must not fill the disk.
        kept = [name for name in self._disk.names() if name.endswith(".damaged")]
        for name in kept[:-DAMAGED_KEPT]:
            self._disk.remove(name)

    def _numbers(self) -> list[int]:
        stems = [name.removesuffix(".spool") for name in self._disk.names() if name.endswith(".spool")]
        return sorted(int(stem) for stem in stems if is_digits(stem))

    def _learn_from_segments(self) -> None:
        """The last sample is in the segments, not in the head, which is written once for each upload."""
        for sequence in self._numbers():
            if any(each.sequence == sequence for each in self.head.skipped):
                self._spoilt.add(sequence)
            if sequence <= self.head.committed or sequence in self._spoilt:
                self._take_away(sequence)
                continue
            try:
                with self._disk.open(_file(sequence)) as file:
                    for each in frames.Reader(file).frames():
                        self._note_samples([each], sequence)
            except (Malformed, ValueError):
                continue

    def _note_samples(self, contents: Sequence[Frame], sequence: int) -> None:
        samples = [each for each in contents if isinstance(each, Sample)]
        self.tally.wrote(sequence, len(samples))
        for each in samples:
            if self.head.last_sample is None or each.at > self.head.last_sample:
                self.head = replace(self.head, last_sample=each.at)

    def _read_head(self) -> Head:
        names = self._disk.names()
        if HEAD not in names:
            # Segments without a head: it was lost, and with it what came before them.
            lost = any(name.endswith(".spool") for name in names)
            return Head(chain=Chain.UNKNOWN) if lost else Head()
        with self._disk.open(HEAD) as file:
            data = file.read()
        try:
            return heads.read_untrusted(str(self._disk.folder / HEAD), data)
        except Malformed:
            self._disk.rename(HEAD, "head.damaged")
            self._head_written = False
            return Head(chain=Chain.UNKNOWN)

    def _set_head(self, head: Head) -> None:
        data = heads.written(head)
        try:
            self._disk.put(HEAD, data)
        except OSError:
            # The disk is full: the room kept for this moment is used, for what follows frees more.
            self._disk.remove(RESERVE)
            self._disk.put(HEAD, data)
        self.head, self._head_written = head, True


def _file(sequence: int) -> str:
    return f"{sequence:010d}.spool"
