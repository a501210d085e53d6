"""``keyless run``: flags of a component's settings, and how it ends."""

from __future__ import annotations

import asyncio
import errno
import gc
import json
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from keyless.api import Permanent
from keyless.api.settings import setting
from keyless.cli import run
from keyless.serving import bind
from keyless.tasks import Tasks


@dataclass(frozen=True)
class Settings:
    """Settings of a component that exists in these tests alone."""

    bucket: str = setting(env="KEYLESS_BUCKET", help="where to")
    port: int = setting(8080, env="KEYLESS_PORT", help="listen here")
    regional: bool = setting(False, env="KEYLESS_REGIONAL", help="regional STS")
    api_token: str = setting("", env="KEYLESS_API_TOKEN", help="a secret")


async def _listen_on(port: int) -> None:
    bind("127.0.0.1", port)


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Registers the component ``sample``; the list tells how its service ended."""
    import sys

    notes: list[str] = []

    async def serve(settings: Settings, environ: Mapping[str, str]) -> None:
        notes.append(f"started {settings.bucket}")
        if environ.get("FAIL") == "port":
            async with Tasks() as tasks:
                tasks.create_task(asyncio.Event().wait())
                tasks.create_task(_listen_on(int(environ["PORT"])))
        if environ.get("FAIL") == "disk":
            raise OSError(errno.ENOSPC, "No space left on device", "/var/lib/vector/spool")
        if environ.get("FAIL") == "bug":
            raise KeyError("AKIA-not-to-be-printed")
        if environ.get("FAIL"):
            raise Permanent("bucket x: expected to exist")
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            await asyncio.Event().wait()
        finally:
            notes.append("cleaned up")

    for name, value in {"settings": Settings, "service": serve}.items():
        module = ModuleType(f"sample.{name}")
        setattr(module, "Settings" if name == "settings" else "run", value)
        monkeypatch.setitem(sys.modules, f"sample.{name}", module)
    monkeypatch.setitem(sys.modules, "sample", ModuleType("sample"))
    monkeypatch.setitem(run.COMPONENTS, "sample", "sample")
    return notes


def test_flags_are_the_fields_of_the_settings() -> None:
    flags, file, print_only = run.parse(["--bucket", "b", "--port=1", "--config", "f.yaml", "--print-config"], Settings)
    assert (flags, file, print_only) == ({"bucket": "b", "port": "1"}, Path("f.yaml"), True)


def test_a_bare_boolean_flag_means_true() -> None:
    assert run.parse(["--regional", "--port", "1"], Settings)[0] == {"regional": "true", "port": "1"}
    assert run.parse(["--regional=false"], Settings)[0] == {"regional": "false"}


def test_the_configuration_is_printed_without_secrets(ended: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["sample", "--port", "1", "--print-config"], {"KEYLESS_BUCKET": "b", "KEYLESS_API_TOKEN": "s"}) == 0
    assert json.loads(capsys.readouterr().out) == {"bucket": "b", "port": 1, "regional": False, "api_token": "(set)"}
    assert ended == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing"], "component 'nothing': expected one of operator, webhook"),
        (["sample", "--frob", "1"], "unknown key 'frob'"),
        (["sample"], "bucket is required: set --bucket or KEYLESS_BUCKET"),
        (["sample", "stray"], "argument 'stray': expected --flag value"),
        (["sample", "--bucket"], "--bucket: expected a value after it"),
        (["sample", "--config", "/does/not/exist"], "--config /does/not/exist"),
    ],
)
def test_wrong_use_is_one_clear_line(
    ended: list[str], capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert run.main(arguments, {}) == 2
    errors = capsys.readouterr().err
    assert said in errors
    assert errors.count("\n") == 1


def test_a_file_of_settings_gives_way_to_environment_and_flags(ended: list[str], tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("bucket: from-file\nport: 7\n")
    assert run.main(["sample", "--config", str(file), "--bucket", "from-flag"], {}) == 0
    assert ended == ["started from-flag", "cleaned up"]


def test_sigterm_cancels_the_service_and_counts_as_success(ended: list[str]) -> None:
    assert run.main(["sample", "--bucket", "b"], {}) == 0
    assert ended == ["started b", "cleaned up"]


def test_a_failure_of_the_service_is_one_line_and_no_traceback(
    ended: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.main(["sample", "--bucket", "b"], {"FAIL": "1"}) == 2
    captured = capsys.readouterr()
    assert captured.err == "keyless: bucket x: expected to exist\n"
    assert "Traceback" not in captured.out


def test_a_port_that_is_taken_inside_a_group_is_one_line_and_wrong_use(ended, capfd) -> None:
    taken = bind("127.0.0.1", 0)
    with taken:
        port = taken.getsockname()[1]
        assert run.main(["sample", "--bucket", "b"], {"FAIL": "port", "PORT": str(port)}) == 2
    said = capfd.readouterr()
    assert f"keyless: cannot listen on 127.0.0.1:{port}: another process has it; free it" in said.err
    assert "Traceback" not in said.err + said.out


def test_a_full_disk_is_one_line_with_the_place_and_the_next_step(ended, capfd) -> None:
    assert run.main(["sample", "--bucket", "b"], {"FAIL": "disk"}) == 2
    line = "keyless: /var/lib/vector/spool: No space left on device; the disk is full: free some space there"
    assert line in capfd.readouterr().err


def test_what_nobody_foresaw_is_called_a_bug_by_its_place_and_not_its_words(ended, capfd) -> None:
    assert run.main(["sample", "--bucket", "b"], {"FAIL": "bug"}) == 3
    last = capfd.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("keyless: this is a bug of ours, please report it: KeyError at serve, line ")
    assert "AKIA" not in last


def test_a_component_looks_for_cycles_seldom_and_leaves_the_interpreter_as_it_was() -> None:
    before, seen = (gc.get_threshold(), gc.get_freeze_count()), []

    async def work() -> None:
        seen.append((gc.get_threshold(), gc.get_freeze_count() > before[1]))

    assert run.serve("sample", work()) == 0
    assert seen == [(run.GC_THRESHOLDS, True)]
    assert (gc.get_threshold(), gc.get_freeze_count()) == before
