"""What a build must not leave behind: mounts of its storage, and processes of a build that was told to end.

buildah mounts each layer that it works on, and its storage upon itself. A build that is killed leaves them, and then
neither the next one nor `rm` of the checkout gets through; so they go at the beginning, at the end, and at SIGTERM.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

GRACE_SECONDS = 10
_ESCAPED = re.compile(r"\\([0-7]{3})")


def mounts_below(folder: Path, mountinfo: str) -> list[Path]:
    """The mount points in ``folder`` and deeper, the last mounted first: each can go when it comes to it."""
    points = [line.split(" ")[4] for line in mountinfo.splitlines() if line.count(" ") > 4]
    # The kernel writes blanks and the like as \\040.
    found = [Path(_ESCAPED.sub(lambda octal: chr(int(octal[1], 8)), point)) for point in points]
    return [point for point in reversed(found) if folder in (point, *point.parents)]


def unmount_below(folder: Path) -> None:
    """Unmount what is mounted there; what cannot be is named, with the command that does it."""
    for point in mounts_below(folder.resolve(), Path("/proc/self/mountinfo").read_text(encoding="utf-8")):
        # Lazily: a process of the killed build may still stand in it.
        done = subprocess.run(["umount", "--lazy", str(point)], capture_output=True, text=True, check=False)  # noqa: S603, S607 - the system's own tool
        if done.returncode:
            print(f"keyless: {done.stderr.strip()}; `sudo umount --lazy {point}` unmounts it", file=sys.stderr)


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold ``folder`` for one build: it begins without leftovers and leaves none, however it ends."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("keyless: another `make image` works in this checkout; waiting for it", file=sys.stderr)
            fcntl.flock(lock, fcntl.LOCK_EX)
        before = signal.signal(signal.SIGTERM, _end)
        try:
            unmount_below(folder)
            yield
        finally:
            signal.signal(signal.SIGTERM, before)
            unmount_below(folder)


class _Told:
    """Whether we were told to end while a process was being started: it must be known before it can be ended."""

    starting = False
    number = 0


def run(words: Sequence[str], *, cwd: Path, env: dict[str, str] | None = None) -> str:
    """Run a command to its end; returns what it printed. Where we are told to end, all that it started ends first."""
    _Told.starting = True
    with subprocess.Popen(  # noqa: S603 - the build's own tools
        words, cwd=cwd, env=env, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            _Told.starting = False
            if _Told.number:
                raise SystemExit(128 + _Told.number)
            printed, _ = process.communicate()
        except BaseException:
            _end_group(process)
            raise
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, words)
    return printed.strip()


def _end_group(process: subprocess.Popen[str]) -> None:
    """First politely: buildah then unmounts by itself."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
        os.killpg(process.pid, signal.SIGKILL)


def _end(number: int, _frame: object) -> None:
    if _Told.starting:
        _Told.number = number
        return
    raise SystemExit(128 + number)
