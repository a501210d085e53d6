"""Ports: chosen once, kept for ever. They are baked into issuers, tokens and trust policies.

A port that is busy later is an error that names it and its holder; a new one is never chosen in its place.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterable
from pathlib import Path

from keyless.api import Permanent
from keyless.api.numbers import is_digits
from keyless.local.state.errors import PortBusy

LOOPBACK = "127.0.0.1"
# Below the range that Linux takes outgoing ports from (net.ipv4.ip_local_port_range starts at 32768): a connection of
# some other program can then never sit on a port of ours while we are stopped.
FIRST, LAST = 20000, 32000
ATTEMPTS = 200


def choose(taken: Iterable[int]) -> int:
    """A port that is free now and not in ``taken``."""
    avoided = set(taken)
    for _ in range(ATTEMPTS):
        port = FIRST + secrets.randbelow(LAST - FIRST)
        if port not in avoided and is_free(port):
            return port
    raise Permanent(f"no free port on {LOOPBACK} between {FIRST} and {LAST} after {ATTEMPTS} attempts")


def is_free(port: int) -> bool:
    """Whether the port could be bound just now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def listen(name: str, port: int, folder: Path) -> socket.socket:
    """A listening socket on the kept port; raises ``PortBusy``."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOOPBACK, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise busy(name, port, folder) from error
    listener.setblocking(False)
    return listener


def busy(name: str, port: int, folder: Path) -> PortBusy:
    """The error for a kept port that somebody else holds."""
    return PortBusy(
        f"port {port} ({name}) on {LOOPBACK}: expected free, found {_holder(port)}; the port is written into "
        f"tokens and trust policies of the state in {folder}, so no other is taken: stop that process "
        "and run the command again"
    )


def _holder(port: int) -> str:
    inode = _listening_inode(port)
    if inode is None:
        return "in use"
    for process in Path("/proc").iterdir():
        if is_digits(process.name) and _has_socket(process, inode):
            name = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            return f"process {process.name} ({name[:80]})"
    return "a process of another user"


def _listening_inode(port: int) -> str | None:
    """The inode of the listening socket on ``port``, from the columns of proc(5) ``/proc/net/tcp``."""
    try:
        lines = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return None
    for line in lines:
        columns = line.split()
        if columns[3] == "0A" and int(columns[1].rpartition(":")[2], 16) == port:
            return columns[9]
    return None


def _has_socket(process: Path, inode: str) -> bool:
    try:
        return any(os.readlink(fd) == f"socket:[{inode}]" for fd in (process / "fd").iterdir())
    except OSError:
        return False  # it ended meanwhile, or it is not ours to look into
