"""Logs of containers and the counting of probes."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from keyless.local.node.logs import (
    LogFile,
    LogQuery,
    forget_old_attempts,
    path_of,
    selected,
    stamped,
    stored_lines,
)
from keyless.local.node.probing import Outcome, Tally, ask, counted
from keyless.local.node.server import KubeletApp, read_query_untrusted
from unit.local.node.local_node import NOON, Node

LINES = [stamped(f"line {n}".encode(), NOON + timedelta(minutes=n)) for n in range(3)]


def shown(query: LogQuery) -> bytes:
    return b"".join(selected(LINES, query))


def test_a_log_is_shown_without_its_times_unless_asked() -> None:
    assert shown(LogQuery()) == b"line 0\nline 1\nline 2\n"
    assert shown(LogQuery(timestamps=True)).startswith(b"2026-11-22T12:00:00.000000Z line 0\n")


def test_the_end_of_a_log_the_recent_part_and_the_first_bytes_can_be_asked_for() -> None:
    assert shown(LogQuery(tail_lines=1)) == b"line 2\n"
    assert shown(LogQuery(since=NOON + timedelta(minutes=1))) == b"line 1\nline 2\n"
    assert shown(LogQuery(limit_bytes=9)) == b"line 0\nli"


async def test_what_a_pipe_brings_is_stored_line_by_line_the_unfinished_one_too(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "a" / "1.log", lambda: NOON)
    reader, writer = os.pipe()
    following = asyncio.create_task(log.follow_pipe(reader))
    os.write(writer, b"one\ntwo")
    os.close(writer)
    await following
    assert b"".join(selected(stored_lines(log.path), LogQuery())) == b"one\ntwo\n"


async def test_a_follower_sees_what_comes_and_ends_with_the_container(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "a" / "1.log", lambda: NOON)
    reader, writer = os.pipe()
    following = asyncio.create_task(log.follow_pipe(reader))
    os.write(writer, b"one\n")
    seen: list[bytes] = []
    first = asyncio.Event()

    async def follow() -> None:
        async for chunk in log.chunks(LogQuery(follow=True)):
            seen.append(chunk)
            first.set()

    follower = asyncio.create_task(follow())
    await first.wait()
    os.write(writer, b"two\n")
    os.close(writer)
    await asyncio.gather(follower, following)
    assert seen == [b"one\n", b"two\n"]


def test_the_logs_of_two_attempts_are_kept(tmp_path: Path) -> None:
    for attempt in (1, 2, 3):
        path = path_of(tmp_path, "app", attempt)
        path.parent.mkdir(exist_ok=True)
        path.touch()
    forget_old_attempts(tmp_path, "app", 3)
    assert sorted(path.name for path in (tmp_path / "app").iterdir()) == ["2.log", "3.log"]


def test_the_parameters_of_a_log_request_are_read() -> None:
    query = read_query_untrusted({"follow": "true", "sinceSeconds": "60", "tailLines": "5", "limitBytes": "9"}, NOON)
    assert query == LogQuery(follow=True, since=NOON - timedelta(minutes=1), tail_lines=5, limit_bytes=9)
    with pytest.raises(ValueError, match="whole number"):
        read_query_untrusted({"tailLines": "many"}, NOON)


class Answer:
    """Collects what an ASGI application sends."""

    def __init__(self) -> None:
        self.status = 0
        self.body = b""

    async def __call__(self, message: dict[str, Any]) -> None:
        self.status = message.get("status", self.status)
        self.body += message.get("body", b"")


async def get(app: KubeletApp, path: str, token: str = "kubelet", query: str = "", host: str = "127.0.0.1:1") -> Answer:
    answer = Answer()
    headers = [(b"host", host.encode()), (b"authorization", f"Bearer {token}".encode())]
    scope = {"type": "http", "method": "GET", "path": path, "query_string": query.encode(), "headers": headers}
    await app(scope, None, answer)
    return answer


async def test_logs_are_for_the_api_server_alone(node: Node) -> None:
    assert (await get(node.kubelet.app, "/containerLogs/default/web/app", token="guess")).status == 401
    assert (await get(node.kubelet.app, "/healthz", token="")).body == b"ok"


@pytest.mark.parametrize("host", ["rebound.example.org", "rebound.example.org:1", "", "127.0.0.1.example.org", "[::1"])
async def test_a_web_page_reaches_nothing_by_a_name_of_its_own(node: Node, host: str) -> None:
    assert (await get(node.kubelet.app, "/healthz", host=host)).status == 403


@pytest.mark.parametrize("host", ["localhost", "localhost:1", "127.0.0.1", "[::1]:1"])
async def test_the_node_answers_to_its_own_addresses(node: Node, host: str) -> None:
    assert (await get(node.kubelet.app, "/healthz", host=host)).status == 200


async def test_a_log_is_served_and_so_is_the_one_of_the_attempt_before(node: Node) -> None:
    node.pod()
    process = await node.processes.nth(1)
    process.say("first attempt\n")
    process.end(1)
    second = await node.processes.nth(2)
    second.say("second attempt\n")
    await node.status_of("web", lambda s: s["containerStatuses"][0]["restartCount"] == 1)
    path = "/containerLogs/default/web/app"
    assert (await get(node.kubelet.app, path, query="previous=true")).body == b"first attempt\n"
    async with asyncio.timeout(5):
        while (await get(node.kubelet.app, path)).body != b"second attempt\n":
            await asyncio.sleep(0)


async def test_a_log_that_is_not_there_is_refused_with_the_reason(node: Node) -> None:
    node.pod(containers=[{"name": "app", "image": "nginx"}])
    await node.status_of("web", lambda s: True)
    answer = await get(node.kubelet.app, "/containerLogs/default/web/app")
    assert (answer.status, b"is waiting to start" in answer.body) == (400, True)
    assert (await get(node.kubelet.app, "/containerLogs/default/none/app")).status == 404
    assert (await get(node.kubelet.app, "/pods")).status == 404


def test_a_verdict_needs_as_many_outcomes_as_its_threshold() -> None:
    probe = {"failureThreshold": 2, "successThreshold": 2}
    tally = Tally()
    verdicts = []
    for ok in (True, True, False, True, False, False, True, True):
        tally = counted(tally, Outcome(ok), probe)
        verdicts.append(tally.verdict)
    assert verdicts == [None, True, True, True, True, False, False, True]


async def test_an_http_probe_counts_codes_below_400_as_success() -> None:
    codes = iter([200, 302, 404, 500])

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {next(codes)} X\r\nConnection: close\r\n\r\n".encode())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    container = {"ports": [{"name": "http", "containerPort": port}]}

    async def execute(argv: list[str]) -> tuple[int, str]:
        raise AssertionError("no command was asked for")

    probe = {"httpGet": {"path": "/readyz", "port": "http"}}
    found = [(await ask(probe, container, "127.0.0.1", execute)).ok for _ in range(4)]
    assert found == [True, True, False, False]
    server.close()
    await server.wait_closed()


async def test_a_command_probe_succeeds_with_code_zero() -> None:
    async def execute(argv: list[str]) -> tuple[int, str]:
        return (0, "") if argv == ["true"] else (1, "no such thing")

    assert (await ask({"exec": {"command": ["true"]}}, {}, "", execute)).ok
    assert await ask({"exec": {"command": ["x"]}}, {}, "", execute) == Outcome(False, "no such thing")


async def test_a_probe_that_takes_too_long_fails() -> None:
    async def execute(argv: list[str]) -> tuple[int, str]:
        await asyncio.Event().wait()
        raise AssertionError

    outcome = await ask({"exec": {"command": ["x"]}, "timeoutSeconds": 0.01}, {}, "", execute)
    assert (outcome.ok, "deadline exceeded" in outcome.message) == (False, True)
