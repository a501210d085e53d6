"""sprig's functions on paths; on Linux those of the operating system are the same.

List: https://masterminds.github.io/sprig/paths.html; rules: https://pkg.go.dev/path
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping

from keyless.gotemplate.functions.function import Function


def _clean(path: bytes) -> bytes:
    made = posixpath.normpath(path)
    # POSIX keeps two leading slashes, Go one.
    return made[1:] if made.startswith(b"//") else made


def _base(path: bytes) -> bytes:
    if not path:
        return b"."
    return path.rstrip(b"/").rpartition(b"/")[2] or b"/"


def _dir(path: bytes) -> bytes:
    head, slash, _ = path.rpartition(b"/")
    return _clean(head + slash)


def _ext(path: bytes) -> bytes:
    last = path.rpartition(b"/")[2]
    at = last.rfind(b".")
    return last[at:] if at >= 0 else b""


def _is_absolute(path: bytes) -> bool:
    return path.startswith(b"/")


def _both(name: str, run: Callable[[bytes], object]) -> dict[str, Function]:
    return {name: Function("s", run), "os" + name[0].upper() + name[1:]: Function("s", run)}


PATHS: Mapping[str, Function] = {
    **_both("base", _base),
    **_both("dir", _dir),
    **_both("clean", _clean),
    **_both("ext", _ext),
    **_both("isAbs", _is_absolute),
}
