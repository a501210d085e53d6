"""Processes of a cluster: started with a log each, ended by the pid that was given."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

WAIT_SECONDS = 90.0
# An API server that is told to end goes on with open watches for up to a minute.
END_SECONDS = 20.0


class Parts:
    """What runs, in the order of its start."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *words: str | Path, environ: Mapping[str, str] | None = None) -> None:
        """Start a program; its words go to ``name.log``."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                [str(word) for word in words],
                cwd=self.folder,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def end(self, name: str) -> None:
        """End one program and wait for it."""
        process = self._running.pop(name, None)
        if process is None:
            return
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def has_ended(self, name: str) -> bool:
        """Whether a program that was started ended by itself."""
        return name in self._running and self._running[name].poll() is not None

    def end_all(self) -> None:
        """End every program, the last first."""
        for name in reversed(list(self._running)):
            self.end(name)

    def wait(self, what: str, holds: Callable[[], bool], seconds: float = WAIT_SECONDS) -> None:
        """Wait until ``holds``; a program that ends meanwhile, or too long a wait, fails with its last words."""
        until = time.monotonic() + seconds
        while not holds():
            for name, process in self._running.items():
                assert process.poll() is None, f"{name} ended with {process.returncode}: {self.words(name)}"
            assert time.monotonic() < until, f"waited {seconds:g} s for {what}"
            time.sleep(0.25)

    def words(self, name: str) -> str:
        """The end of a program's log."""
        return (self.folder / f"{name}.log").read_text(errors="replace")[-3000:]


def succeeds(*words: str | Path) -> bool:
    """Whether a command ends well."""
    done = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.returncode == 0


def said(*words: str | Path, environ: Mapping[str, str] | None = None, given: str | None = None) -> str:
    """What a command prints; it must end well."""
    done = subprocess.run(
        [str(word) for word in words], env=environ, input=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{' '.join(map(str, words))}\n{done.stdout}"
    return done.stdout
