"""What an export has read, kept beside its file until that is written: an export that was killed goes on from there.

Bodies are kept as they came, by key and by what the listing says of it (length, ETag): what has changed since is read
again, and what is made of the same bodies is the same report, byte for byte. A record that the end of a killed process
cut off, or that is spoilt, ends the file.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import stat
import struct
import threading
import zlib
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keyless.api import Permanent, os_failure
from keyless.billing.export.reading import Readers
from keyless.billing.export.service import Bucket

MAGIC = b"KLEXPRT1"
_HEAD = struct.Struct(">4sIII")
_MARK = b"BODY"
_FIRST = len(MAGIC) + hashlib.sha256().digest_size
Version = tuple[int, str]
"""Length and ETag."""


def kept_file(out: Path) -> Path:
    """Where the bodies lie for a report that is to be ``out``."""
    return out.parent / f".{out.name}.partial"


class KeptBucket:
    """Implements ``Bucket`` over another one. Raises ``Permanent`` where another export has the file."""

    def __init__(self, bucket: Bucket, out: Path, *, source: str) -> None:
        """``source`` names bucket and endpoint: what came from elsewhere is of no use."""
        self.path = kept_file(out)
        self._bucket = bucket
        self._versions: dict[str, Version] = {}
        self._found: dict[str, tuple[Version, int, int]] = {}
        """What an earlier run kept: version, place and length."""
        self._lock = threading.Lock()
        self.resumed = 0
        """How many bodies were not asked for again."""
        self._full = False
        self._file = _opened(self.path)
        self._end = self._read(MAGIC + hashlib.sha256(source.encode()).digest())

    def close(self, *, done: bool) -> int:
        """``done``: nothing is left of it. How many bytes are kept."""
        left = not done and self._end > _FIRST
        # Still locked: nobody else has it open when its name goes.
        if not left:
            self.path.unlink(missing_ok=True)
        os.close(self._file)
        return self._end if left else 0

    def list(self, prefix: str) -> Iterator[Any]:
        """As the bucket's."""
        for item in self._bucket.list(prefix):
            self._versions[item.key] = item.size, getattr(item, "etag", "")
            yield item

    def groups(self, prefix: str) -> Iterator[str]:
        """As the bucket's."""
        return self._bucket.groups(prefix)

    def get(self, key: str) -> bytes:
        """An object's bytes, from the file where it has them."""
        body = self._kept(key)
        return self._keep(key, self._bucket.get(key)) if body is None else body

    def bodies(self, keys: Iterator[str], readers: Readers) -> Iterator[bytes]:
        """As the bucket's, which is asked only for what the file does not have."""
        order: deque[str] = deque()

        def lacking() -> Iterator[str]:
            for key in keys:
                order.append(key)
                if not self._has(key):
                    yield key

        for body in self._bucket.bodies(lacking(), readers):
            yield from self._until_lacking(order)
            yield self._keep(order.popleft(), body)
        yield from self._until_lacking(order)

    def _until_lacking(self, order: deque[str]) -> Iterator[bytes]:
        while order and (body := self._kept(order[0])) is not None:
            order.popleft()
            yield body

    def _has(self, key: str) -> bool:
        found = self._found.get(key)
        return found is not None and found[0] == self._versions.get(key)

    def _kept(self, key: str) -> bytes | None:
        if not self._has(key):
            return None
        _, at, length = self._found[key]
        self.resumed += 1
        return os.pread(self._file, length, at)

    def _keep(self, key: str, body: bytes) -> bytes:
        version = self._versions.get(key)
        if version is None or self._full:
            return body
        name = json.dumps([key, *version]).encode()
        head = _HEAD.pack(_MARK, len(name), len(body), zlib.crc32(body, zlib.crc32(name)))
        with self._lock:
            try:
                os.pwrite(self._file, head + name + body, self._end)
            except OSError:
                # A full disk: nothing more is kept, and what is there stays of use.
                self._full = True
                os.ftruncate(self._file, self._end)
            else:
                self._end += len(head) + len(name) + len(body)
        return body

    def _read(self, first: bytes) -> int:
        """Learn what is there; the file ends after its last whole record."""
        with os.fdopen(os.dup(self._file), "rb") as file:
            end = len(first) if file.read(len(first)) == first else 0
            while end and (head := file.read(_HEAD.size)) and len(head) == _HEAD.size:
                mark, named, length, crc = _HEAD.unpack(head)
                name, body = file.read(named), file.read(length)
                if mark != _MARK or zlib.crc32(body, zlib.crc32(name)) != crc:
                    break
                try:
                    key, size, etag = json.loads(name)
                except (ValueError, TypeError):
                    break
                self._found[key] = (size, etag), end + _HEAD.size + named, length
                end += _HEAD.size + named + length
        os.ftruncate(self._file, end)
        if not end:
            os.pwrite(self._file, first, 0)
        return end or len(first)


def _opened(path: Path) -> int:
    """The file, ours alone: what a stranger put there would become a report."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise os_failure(error) from None
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            raise Permanent(f"{path}: expected a file of your own, from an export before; remove it")
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if found.st_nlink == 0 or os.stat(path).st_ino != found.st_ino:
            raise BlockingIOError
    except BlockingIOError:
        os.close(handle)
        said = "another export is writing this report: wait for it, or choose another --out"
        raise Permanent(f"{path}: {said}") from None
    except BaseException:
        os.close(handle)
        raise
    return handle
