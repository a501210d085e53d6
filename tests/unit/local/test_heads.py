"""The Kubernetes API's listener bounds heads, too, at the size that kube-apiserver takes."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from keyless.local.cluster.serve import serve


async def app(scope: Any, _: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


async def status(port: int, *pieces: bytes) -> bytes:
    """The status line; empty where the connection was cut with what was still on its way."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        async with asyncio.timeout(5):
            answer = await reader.readline()
    except ConnectionError:
        pass
    writer.transport.abort()
    return answer


@pytest.mark.parametrize(("kibibytes", "answers"), [(512, {b"200"}), (4096, {b"", b"400"})])
async def test_a_head_is_read_up_to_a_mebibyte(kibibytes: int, answers: set[bytes]) -> None:
    serving = await serve(SimpleNamespace(app=app), "127.0.0.1", 0)  # type: ignore[arg-type] # all that it needs
    try:
        start = b"GET /version HTTP/1.1\r\nhost: 127.0.0.1\r\nx-a: "
        line = await status(serving.port, start, *[b"a" * 1024] * kibibytes, b"\r\n\r\n")
    finally:
        await serving.stop()
    assert (line.split()[1] if line else b"") in answers
