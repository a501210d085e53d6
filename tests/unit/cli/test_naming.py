"""Printed commands run as they stand, and what ``keyless env`` exports is there."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from keyless.cli import dispatch
from keyless.cli.env import living_one
from keyless.cli.naming import next_step, ourselves, with_state
from keyless.local.boot.exports import Access, exports, shell


@pytest.fixture
def script(tmp_path: Path) -> Path:
    file = tmp_path / "bin of mine" / "keyless"
    file.parent.mkdir()
    file.write_text("#!/bin/sh\n")
    file.chmod(0o755)
    return file


def test_a_program_on_the_path_is_called_by_its_name(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{script.parent}{os.pathsep}/usr/bin")
    monkeypatch.setattr(sys, "argv", [str(script), "up"])
    assert ourselves() == "keyless"


def test_a_program_off_the_path_is_called_as_it_was_called(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.setattr(sys, "argv", [str(script), "up"])
    assert ourselves() == f"'{script}'"


def test_another_program_of_that_name_on_the_path_is_not_ours(
    script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(script.parent))
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "keyless"), "up"])
    assert ourselves() == str(tmp_path / "keyless")


def test_a_module_is_called_by_its_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/keyless/__main__.py", "up"])
    assert ourselves() == f"{sys.executable} -P -m keyless"


def test_only_another_folder_than_the_default_is_named(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(script.parent))
    monkeypatch.setattr(sys, "argv", [str(script)])
    chosen = {"KEYLESS_STATE": "/a"}
    assert with_state("down", Path("/a"), chosen) == "keyless down"
    assert with_state("down", Path("/b c"), chosen) == "keyless down --state '/b c'"
    monkeypatch.setenv("KEYLESS_STATE", "/a")
    assert next_step(Path("/b")) == 'eval "$(keyless env --state /b)"'


@pytest.mark.parametrize("words", [["--state", "{folder}", "status"], ["--state={folder}", "status"]])
def test_the_state_folder_may_stand_before_the_command(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dispatch([word.format(folder=tmp_path) for word in words]) == 1
    assert str(tmp_path) in capsys.readouterr().out


def plane(name: str, namespace: str, created: str, **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "default", "creationTimestamp": created, **metadata},
        "status": {"hostNamespace": namespace} if namespace else {},
    }


@pytest.mark.parametrize(
    ("planes", "name", "namespace", "remark"),
    [
        ([plane("ctp1", "first", "2026-01-01")], "ctp1", "first", ""),
        ([plane("ctp2", "second", "2026-01-02"), plane("ctp1", "first", "2026-01-01")], "ctp1", "first", ""),
        ([plane("b", "later", "2026-01-03"), plane("a", "sooner", "2026-01-02")], "a", "sooner", "default/a"),
        ([plane("ctp1", "first", "2026-01-01", deletionTimestamp="2026-01-02")], "", "", "no control plane"),
        ([plane("new", "", "2026-01-01")], "", "", "no control plane"),
        ([], "", "", "no control plane"),
    ],
)
def test_the_guides_variables_name_a_control_plane_that_lives(
    planes: list[dict[str, Any]], name: str, namespace: str, remark: str
) -> None:
    *found, said = living_one("first", planes)
    assert found == [name, namespace]
    assert (remark in said) if remark else said == ""


def test_a_namespace_that_is_not_there_is_unset() -> None:
    lines = shell(exports(Access("/s/kubeconfig", "/ca", "http://127.0.0.1:1", "A", "B"))).splitlines()
    assert "unset YOUR_CONTROL_PLANE YOUR_CONTROL_PLANE_NAMESPACE YOUR_NAMESPACE" in lines
    assert not any(line.startswith("export YOUR_NAMESPACE") for line in lines)
