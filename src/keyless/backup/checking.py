"""A snapshot as it goes by: how long it is, its sha256, and whether etcd's own hash at its end is right.

etcd ends a snapshot with the SHA-256 of all that comes before; a database is whole pages of 512 bytes and more. See
``docs/reference/facts/etcd-snapshots.md``.
"""

from __future__ import annotations

import hashlib

HASH_BYTES = 32
PAGE_BYTES = 512


class Checker:
    """Fed with one piece after the other."""

    def __init__(self) -> None:
        self.size = 0
        self._all = hashlib.sha256()
        self._database = hashlib.sha256()
        self._tail = b""

    def feed(self, piece: bytes) -> None:
        """The last 32 bytes are held back: they are the hash, which is of what comes before it."""
        self.size += len(piece)
        self._all.update(piece)
        held = self._tail + piece
        self._database.update(held[:-HASH_BYTES])
        self._tail = held[-HASH_BYTES:]

    @property
    def sha256(self) -> str:
        """Of all pieces, in hexadecimal."""
        return self._all.hexdigest()

    @property
    def fault(self) -> str:
        """Why it is no whole snapshot; empty: it is one."""
        if self.size <= HASH_BYTES or self.size % PAGE_BYTES != HASH_BYTES:
            return f"expected whole pages of {PAGE_BYTES} bytes and a hash of {HASH_BYTES}, found {self.size} bytes"
        if self._database.digest() != self._tail:
            return "expected the hash of its contents at its end, found another one"
        return ""
