"""Real processes through the spawner: views of the file system, ends, orphans."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from keyless.local.node import namespaces
from keyless.local.node.kubelet import end_orphans
from keyless.local.node.model import ContainerRun, Running
from keyless.local.node.mounts import Bind
from keyless.local.node.processes import Ended, Launch, SpawnedProcesses
from keyless.local.node.procfs import start_ticks
from keyless.local.node.record import PodRecord, save

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.fixture
async def processes(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SpawnedProcesses]:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    spawned = SpawnedProcesses.launch()
    yield spawned
    await spawned.aclose()


async def output_of(processes: SpawnedProcesses, launch: Launch) -> tuple[Ended, str]:
    reader, writer = os.pipe()
    process = await processes.start(launch, writer)
    os.close(writer)
    ended = await process.wait()
    with os.fdopen(reader, encoding="utf-8") as pipe:
        return ended, pipe.read()


async def test_a_process_gets_its_environment_alone_and_its_code_comes_back(processes: SpawnedProcesses) -> None:
    launch = Launch("x", ["/bin/sh", "-c", "/usr/bin/env; exit 3"], {"MINE": "1"})
    ended, output = await output_of(processes, launch)
    assert ended == Ended(3)
    assert {line.partition("=")[0] for line in output.splitlines()} - {"PWD", "_", "SHLVL"} == {"MINE"}


async def test_a_command_that_does_not_exist_ends_as_a_shell_would(processes: SpawnedProcesses) -> None:
    ended, output = await output_of(processes, Launch("x", ["/does/not/exist"], {}))
    assert ended == Ended(127)
    assert "cannot start" in output


async def test_a_signal_reaches_the_whole_group(processes: SpawnedProcesses) -> None:
    reader, writer = os.pipe()
    script = "trap '' TERM; sleep 60 & echo started; wait; wait"
    process = await processes.start(Launch("x", ["/bin/sh", "-c", script], {"PATH": os.environ["PATH"]}), writer)
    os.close(writer)
    assert await asyncio.to_thread(os.read, reader, 100) == b"started\n"
    process.signal(signal.SIGKILL)
    assert await process.wait() == Ended(128 + 9, 9)
    assert await asyncio.to_thread(os.read, reader, 100) == b""  # nobody holds the pipe any more
    os.close(reader)


async def test_a_function_of_ours_is_called_in_place_of_a_program(processes: SpawnedProcesses) -> None:
    launch = Launch("x", ["keyless"], {"A": "1"}, function="keyless.cli:dispatch", arguments=("--version",))
    ended, output = await output_of(processes, launch)
    assert ended == Ended(0)
    assert output.startswith("keyless ")


async def test_a_peer_that_hangs_up_does_not_end_a_function_of_ours(processes: SpawnedProcesses) -> None:
    launch = Launch("x", ["x"], {}, function="hanging_up:main", arguments=("x",))
    ended, output = await output_of(processes, launch)
    assert (ended, output) == (Ended(0), "BrokenPipeError\n")


async def test_mounts_are_real_and_read_only_where_the_system_allows(
    processes: SpawnedProcesses, tmp_path: Path
) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume" / "token").write_text("secret")
    if fault := namespaces.find_fault(str(tmp_path / "root")):
        pytest.skip(f"no user and mount namespaces here: {fault}")
    mount = namespaces.resolve("/var/run/secrets/keyless-test/token-folder")
    launch = Launch(
        "x",
        [
            "/bin/sh",
            "-c",
            "cat /var/run/secrets/keyless-test/token-folder/token; touch /data-test/new; "
            "touch /var/run/secrets/keyless-test/token-folder/new",
        ],
        {"PATH": os.environ["PATH"]},
        root=str(tmp_path / "root"),
        binds=(
            Bind(mount, str(tmp_path / "volume"), read_only=True),
            Bind("/data-test", str(tmp_path / "volume")),
        ),
    )
    ended, output = await output_of(processes, launch)
    assert ended.code != 0
    assert "secret" in output
    assert "Read-only file system" in output
    assert (tmp_path / "volume" / "new").exists()
    assert not Path("/data-test").exists()
    assert list((tmp_path / "root").iterdir()) == []


async def test_children_end_with_the_spawner() -> None:
    processes = SpawnedProcesses.launch()
    reader, writer = os.pipe()
    process = await processes.start(Launch("x", ["/bin/sleep", "60"], {}), writer)
    os.close(writer)
    os.close(reader)
    assert start_ticks(process.pid) == process.ticks
    await processes.aclose()
    assert start_ticks(process.pid) != process.ticks


async def test_an_orphan_of_a_killed_node_is_ended_and_a_stranger_is_not(tmp_path: Path) -> None:
    with (
        subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True) as orphan,
        subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True) as stranger,
    ):
        for name, pid, ticks in (("a", orphan.pid, start_ticks(orphan.pid)), ("b", stranger.pid, 1)):
            (tmp_path / name).mkdir()
            save(tmp_path / name, PodRecord(name, "i", NOW, {"app": ContainerRun(Running(NOW, pid, ticks))}))
        await end_orphans(tmp_path)
        assert orphan.wait() == -signal.SIGKILL
        assert stranger.poll() is None
        stranger.kill()
