"""The report's file: shown to be writable before anything is read, there whole or not at all, never overwritten."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from keyless.api import Permanent


def must_be_writable(out: Path) -> None:
    """Raise ``Permanent`` for a file that exists or could not be written; a month is not read in vain."""
    if str(out) == "-":
        raise Permanent("-o -: expected the name of a file: the report is an archive and is not written to a terminal")
    if os.path.lexists(out):
        raise Permanent(f'file "{out}" already exists')
    try:
        with out.open("xb"):
            pass
        out.unlink()
    except (OSError, ValueError) as error:
        raise _unwritable(out, error) from error


def write_new(out: Path, pieces: Iterable[bytes], *, before_named: Callable[[], None] = lambda: None) -> None:
    """Write the report beside its name, then give it the name; on any failure nothing is left.

    ``before_named`` is called when it is written and nobody can see it yet.
    """
    partial: Path | None = None
    try:
        # In the same folder, for a name can be given within one file system only.
        handle, name = tempfile.mkstemp(prefix=".keyless-report-", dir=out.parent)
        partial = Path(name)
        with os.fdopen(handle, "wb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        partial.chmod(0o666 & ~umask())
        before_named()
        _name(partial, out)
    except FileExistsError:
        raise Permanent(f'file "{out}" already exists') from None
    except OSError as error:
        raise _unwritable(out, error) from error
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)


def _name(partial: Path, out: Path) -> None:
    try:
        os.link(partial, out)
    except FileExistsError:
        raise
    except OSError:
        # A file system without links: the name is free as far as anyone can tell.
        if os.path.lexists(out):
            raise FileExistsError from None
        partial.rename(out)


def umask() -> int:
    """Which permissions this process's files do not get."""
    # There is no way to read it but to set it.
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _unwritable(out: Path, error: Exception) -> Permanent:
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return Permanent(f"{out}: the report could not be written: {said}")
