"""A load generator as thin as can be: prepared requests on kept connections, the answer's status and length read.

It runs in another process than the servers, and costs some 30 µs a request, the same for both.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

# The servers here are our own, on loopback: whose certificate it is makes no difference to what is measured.
_UNVERIFIED = ssl.create_default_context()
_UNVERIFIED.check_hostname, _UNVERIFIED.verify_mode = False, ssl.CERT_NONE


def free_port() -> int:
    """A port that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True, slots=True)
class Load:
    """Requests per second with all connections busy, and latencies."""

    per_second: float
    p50_ms: float
    p99_ms: float


def request_bytes(method: str, url: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """A request as it goes over the wire."""
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    named = {"Host": parts.netloc, **headers, "Content-Length": str(len(body))}
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in named.items()), "", ""]
    return "\r\n".join(lines).encode() + body


class Connection:
    """One connection; opened again when the server closes it, as moto's does after some answers."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "", parts.port or 80)
        self._tls = _UNVERIFIED if parts.scheme == "https" else None
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> None:
        """Send it, read the whole answer; anything but 200 is an error."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._address, limit=1 << 20, ssl=self._tls)
        reader, writer = self._streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if b" 200 " not in head.split(b"\r\n", 1)[0]:
            raise RuntimeError(f"expected 200, found {head[:200]!r} {await reader.read(400)!r}")
        if b"content-length:" in head:
            await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
        elif b"transfer-encoding: chunked" in head:
            await reader.readuntil(b"0\r\n\r\n")
        if b"connection: close" in head or head.startswith(b"http/1.0"):
            self.close()

    def close(self) -> None:
        """Forget the connection."""
        if self._streams:
            self._streams[1].close()
        self._streams = None


async def _closed_loop(url: str, next_request: Callable[[], bytes], connections: int, count: int) -> Load:
    seconds: list[float] = []

    async def work(connection: Connection, share: int) -> None:
        for _ in range(share):
            start = time.perf_counter()
            await connection.ask(next_request())
            seconds.append(time.perf_counter() - start)
        connection.close()

    begin = time.perf_counter()
    await asyncio.gather(*(work(Connection(url), count // connections) for _ in range(connections)))
    return _load(seconds, time.perf_counter() - begin)


async def _paced(url: str, next_request: Callable[[], bytes], per_second: float, count: int) -> Load:
    """An open loop: a request is due at its time, whether or not earlier ones were answered; waiting counts."""
    seconds: list[float] = []
    idle: list[Connection] = []
    begin = time.perf_counter() + 0.05

    async def one(due: float) -> None:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        connection = idle.pop() if idle else Connection(url)
        # Due when it leaves: the generator's own timer is not the server's latency.
        start = max(due, time.perf_counter())
        await connection.ask(next_request())
        seconds.append(time.perf_counter() - start)
        idle.append(connection)

    await asyncio.gather(*(one(begin + number / per_second) for number in range(count)))
    for connection in idle:
        connection.close()
    return _load(seconds, time.perf_counter() - begin)


def _load(seconds: list[float], elapsed: float) -> Load:
    ordered = sorted(seconds)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return Load(len(ordered) / elapsed, statistics.median(ordered) * 1e3, p99 * 1e3)


def busy(url: str, next_request: Callable[[], bytes], *, connections: int = 4, count: int = 1000) -> Load:
    """As fast as the server answers ``connections`` clients, after a warm-up."""
    asyncio.run(_closed_loop(url, next_request, connections, connections * 5))
    return asyncio.run(_closed_loop(url, next_request, connections, count))


def paced(url: str, next_request: Callable[[], bytes], *, per_second: float, count: int = 1000) -> Load:
    """Latencies at a rate."""
    return asyncio.run(_paced(url, next_request, per_second, count))
