"""Bytes that wait on disk once they are many: the rows of a large report, packed, are hundreds of megabytes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import IO

from keyless.api import os_failure

IN_MEMORY = 8 * 2**20
_CHUNK = 2**20


class Spilled:
    """Implements ``Pieces``; read once. Raises ``Permanent`` that says what the disk lacks."""

    def __init__(self, limit: int = IN_MEMORY) -> None:
        self._limit = limit
        self._held: list[bytes] = []
        self._bytes = 0
        self._file: IO[bytes] | None = None
        self._memory_alone = False

    def append(self, piece: bytes, /) -> None:
        """Add a piece."""
        self._held.append(piece)
        self._bytes += len(piece)
        if self._bytes > self._limit and not self._memory_alone:
            self._spill()

    def __iter__(self) -> Iterator[bytes]:
        """All of it."""
        if self._file is not None:
            self._file.seek(0)
            while piece := self._file.read(_CHUNK):
                yield piece
            self._file.close()
        yield from self._held

    def __del__(self) -> None:
        if self._file is not None:
            self._file.close()

    def _spill(self) -> None:
        if self._file is None:
            try:
                # Nameless: it is gone with the process, however that ends.
                self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed when it was read
            except OSError:
                # A pod may have no folder to write in: then it takes the memory that it takes.
                self._memory_alone = True
                return
        try:
            self._file.writelines(self._held)
        except OSError as error:
            raise os_failure(error) from None
        self._held, self._bytes = [], 0
