"""Files that someone else rotates: read again exactly when they change."""

from __future__ import annotations

from pathlib import Path

from keyless.kube.errors import Unreachable, failure_status


class RotatedFile:
    """A small text file. Rotation swaps symlinks or renames over it, so inode and time together tell a change."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int, int] | None = None
        self._text = ""

    def read(self) -> str:
        """The present text without surrounding blanks; raises ``Unreachable`` while the file cannot be read."""
        try:
            stat = self.path.stat()
            seen = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            if seen != self._seen:
                self._text = self.path.read_text().strip()
                self._seen = seen
        except (OSError, UnicodeDecodeError) as error:
            found = error.strerror if isinstance(error, OSError) else "bytes that are no text"
            message = f"{self.path}: expected a readable file, found: {found}"
            raise Unreachable(failure_status(0, "", message)) from None  # a decoding error carries the bytes
        return self._text
