"""What the server adds to uvicorn: an answer leaves in one piece."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from keyless.local.cloud.serve import Joined


class FakeTransport(asyncio.Transport):
    """Remembers what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []
        self.ended = ""

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        self.sent.append(b"".join(list_of_data))

    def is_closing(self) -> bool:
        return bool(self.ended)

    def close(self) -> None:
        self.ended = "closed"

    def abort(self) -> None:
        self.ended = "aborted"


async def test_what_is_written_in_one_turn_of_the_loop_leaves_together() -> None:
    transport = FakeTransport()
    joined = Joined(transport, asyncio.get_running_loop())
    joined.write(b"head")
    joined.write(b"body")
    assert transport.sent == []
    await asyncio.sleep(0)
    joined.write(b"next")
    await asyncio.sleep(0)
    assert transport.sent == [b"headbody", b"next"]


async def test_a_close_sends_what_was_written_before_it() -> None:
    transport = FakeTransport()
    joined = Joined(transport, asyncio.get_running_loop())
    joined.write(b"last words")
    joined.close()
    assert (transport.sent, transport.ended) == ([b"last words"], "closed")


async def test_a_connection_that_is_lost_on_request_sends_nothing_more() -> None:
    transport = FakeTransport()
    joined = Joined(transport, asyncio.get_running_loop())
    joined.write(b"never seen")
    joined.abort()
    await asyncio.sleep(0)
    assert (transport.sent, transport.ended) == ([], "aborted")


async def test_a_long_answer_is_not_held() -> None:
    transport = FakeTransport()
    joined = Joined(transport, asyncio.get_running_loop())
    for _ in range(3):
        joined.write(b"x" * (1 << 16))
    assert [len(piece) for piece in transport.sent] == [3 << 16]
