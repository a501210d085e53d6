"""What containers print: one file for each attempt, every line with its time, in the runtime interface's format.

``2026-11-22T10:00:00.000000Z stdout F text``. Reading is pure (``selected``); writing follows a pipe.

Format: https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from keyless.api.numbers import is_digits

ROTATE_BYTES = 10 * 2**20
KEPT_ATTEMPTS = 2
READ_BYTES = 65536
LONGEST_LINE = 256 * 1024


@dataclass(frozen=True, slots=True)
class LogQuery:
    """The parameters of ``pods/log``."""

    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    since: datetime | None = None
    limit_bytes: int | None = None


def stamped(line: bytes, now: datetime) -> bytes:
    """One line as it is stored."""
    return now.strftime("%Y-%m-%dT%H:%M:%S.%fZ").encode() + b" stdout F " + line + b"\n"


def selected(lines: Iterable[bytes], query: LogQuery) -> Iterator[bytes]:
    """The stored ``lines`` that a query asks for, as it wants them."""
    kept: Iterator[bytes] = (line for line in lines if query.since is None or _time(line) >= query.since)
    if query.tail_lines is not None:
        kept = iter(deque(kept, maxlen=max(query.tail_lines, 0)))
    left = query.limit_bytes
    for line in kept:
        shown = shape(line, timestamps=query.timestamps)
        if left is not None:
            shown, left = shown[:left], left - len(shown)
        if shown:
            yield shown
        if left is not None and left <= 0:
            return


def shape(line: bytes, *, timestamps: bool) -> bytes:
    """A stored line as users see it."""
    time, _, rest = line.partition(b" ")
    text = rest.split(b" ", 2)[2] if rest.count(b" ") >= 2 else rest
    return time + b" " + text if timestamps else text


def _time(line: bytes) -> datetime:
    return datetime.fromisoformat(line.partition(b" ")[0].decode("ascii", "replace"))


class LogFile:
    """The log of one attempt of one container: fed by a pipe, read by any number of readers."""

    def __init__(self, path: Path, now: Callable[[], datetime]) -> None:
        self.path = path
        self._now = now
        self._rest = b""
        self._written = asyncio.Event()
        self._is_open = True
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = open(path, "ab", buffering=0)  # noqa: SIM115 - open as long as the container runs

    async def follow_pipe(self, reader: int) -> None:
        """Store what arrives until the other end closes; owns and closes ``reader``."""
        os.set_blocking(reader, False)
        loop = asyncio.get_running_loop()
        done = asyncio.Event()

        def read() -> None:
            try:
                chunk = os.read(reader, READ_BYTES)
            except BlockingIOError:
                return
            self._store(chunk)
            if not chunk:
                loop.remove_reader(reader)
                done.set()

        loop.add_reader(reader, read)
        try:
            await done.wait()
        finally:
            loop.remove_reader(reader)
            os.close(reader)
            self.close()

    def close(self) -> None:
        """No more is written; followers end."""
        if self._is_open:
            self._is_open = False
            self._file.close()
            self._tell()

    async def chunks(self, query: LogQuery) -> AsyncIterator[bytes]:
        """What is there, and with ``follow`` what comes until the container ends."""
        position = self._size()
        for line in selected(stored_lines(self.path, position), query):
            yield line
        while query.follow and (self._is_open or position < self._size()):
            written = self._written
            size = self._size()
            if size < position:
                position = 0  # rotated
            if size > position:
                for line in _lines_between(self.path, position, size):
                    yield shape(line, timestamps=query.timestamps)
                position = size
            elif self._is_open:
                await written.wait()

    def _store(self, chunk: bytes) -> None:
        *lines, rest = (self._rest + chunk).split(b"\n")
        if (not chunk and rest) or len(rest) > LONGEST_LINE:
            lines, rest = [*lines, rest], b""
        self._rest = rest
        if lines:
            now = self._now()
            self._file.write(b"".join(stamped(line, now) for line in lines))
            self._rotate()
            self._tell()

    def _rotate(self) -> None:
        if self._file.tell() < ROTATE_BYTES:
            return
        self._file.close()
        self.path.replace(self.path.with_suffix(".old"))
        self._file = open(self.path, "ab", buffering=0)  # noqa: SIM115 - as above

    def _tell(self) -> None:
        self._written.set()
        self._written = asyncio.Event()

    def _size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0


def stored_lines(path: Path, end: int | None = None) -> Iterator[bytes]:
    """All stored lines, the rotated ones first."""
    old = path.with_suffix(".old")
    if old.exists():
        yield from _lines_between(old, 0, None)
    if path.exists():
        yield from _lines_between(path, 0, end)


def path_of(folder: Path, container: str, attempt: int) -> Path:
    """Where the log of an attempt (counted from 1) is."""
    return folder / container / f"{attempt}.log"


def forget_old_attempts(folder: Path, container: str, attempt: int) -> None:
    """Keep this attempt's log and the one before."""
    for path in (folder / container).glob("*.*"):
        if is_digits(path.stem) and int(path.stem) <= attempt - KEPT_ATTEMPTS:
            path.unlink(missing_ok=True)


def _lines_between(path: Path, start: int, end: int | None) -> Iterator[bytes]:
    with open(path, "rb") as file:
        file.seek(start)
        left = None if end is None else end - start
        for line in file:
            if left is not None and left <= 0:
                return
            if left is not None:
                left -= len(line)
            yield line
