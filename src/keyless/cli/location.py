"""Where the state folder is when nobody says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def default_folder(environ: Mapping[str, str]) -> Path:
    """``KEYLESS_STATE``, else ``keyless`` below the user's data directory (XDG base directories)."""
    if chosen := environ.get("KEYLESS_STATE"):
        return Path(chosen).expanduser().absolute()
    data = environ.get("XDG_DATA_HOME")
    base = Path(data) if data else Path(environ.get("HOME", "~")).expanduser() / ".local" / "share"
    return (base / "keyless").absolute()
