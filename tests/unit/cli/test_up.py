"""``keyless up`` where a Space runs already: what shapes a Space when it starts is refused, never dropped unnoticed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from keyless.cli import dispatch, exits
from keyless.local.boot.running import Running, write_running
from keyless.local.state.lock import acquire
from unit.cli.test_output import every_command

VALUES = {
    "--propagation-delay": "0.5",
    "--image-map": "map.yaml",
    "--revoke-tokens-of-deleted-pods": None,
    "--cluster": "kubeconfig",
    "--address": "192.0.2.1",
}
"""An option of ``up`` that shapes the Space, and a value that is right for it."""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The state folder of a Space that runs: this process holds it."""
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    with acquire(folder):
        write_running(folder, Running(os.getpid(), str(folder), "2026-11-01T10:00:00Z", ready=True))
        yield folder


def test_every_option_that_shapes_a_space_is_in_the_table() -> None:
    options = {param.opts[0] for param in every_command()["up"].params}
    assert options == {*VALUES, "--state", "--detach"}


@pytest.mark.parametrize("option", sorted(VALUES))
def test_an_option_that_a_running_space_cannot_take_is_refused(
    option: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    value = VALUES[option]
    words = [option] if value is None else [option, value]
    assert dispatch(["up", "--detach", "--state", str(folder), *words]) == exits.WRONG_USE
    told = capsys.readouterr()
    assert "already running" in told.out
    assert f"a running Space takes no {option}: stop it first with `" in told.err
    assert f"down --state {folder}`" in told.err


def test_a_running_space_is_told_with_the_next_step(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch(["up", "--detach", "--state", str(folder)]) == exits.HELD
    told = capsys.readouterr()
    assert "nothing changed" in told.out
    assert f"env --state {folder}" in told.err
