"""moto, the peer, in a venv of its own below ``.tools/``: pinned, and no part of the lock."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.load import free_port
from tests.tools import FOLDER

MOTO = "5.2.5"
_START_SECONDS = 60


def moto_python() -> Path:
    """The interpreter that has moto; fetched at the first call."""
    folder = FOLDER / f"moto-{MOTO}"
    python = folder / "bin" / "python"
    if not (folder / ".complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        options = ["--quiet", "--disable-pip-version-check"]
        subprocess.run([python, "-m", "pip", "install", *options, f"moto[server,s3]=={MOTO}"], check=True)
        (folder / ".complete").touch()
    return python


@contextmanager
def moto_server() -> Iterator[str]:
    """A moto server; its URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [moto_python(), "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(url, process)
        yield url
    finally:
        process.terminate()
        process.wait()


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(f"{url}/moto-api/", timeout=1).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"moto did not answer at {url} within {_START_SECONDS} s")
