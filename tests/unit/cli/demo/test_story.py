"""The demo shows every file that its commands name, before the command, and ends with what to try next."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from keyless.cli.commands import COMMANDS
from keyless.cli.demo import runner, story
from keyless.cli.demo.looks import identity_in
from keyless.cli.demo.stage import Stage
from keyless.cli.demo.step import Step

ROOT = Path(__file__).resolve().parents[4]
NAMED = re.compile(r"(?:file://|-f )([\w.-]+)")


def stage(folder: Path) -> Stage:
    nobody: Any = None
    return Stage(folder, defaultdict(lambda: "x"), nobody, nobody, nobody, frozenset())


def test_every_file_that_a_command_names_is_shown_with_it_and_no_other(tmp_path: Path) -> None:
    steps = story.steps(stage(tmp_path))
    assert sum(bool(step.files) for step in steps) > 4
    for step in steps:
        assert set(NAMED.findall(step.command)) == set(step.files), step.title


async def test_a_step_prints_its_files_and_leaves_them_for_its_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def stand_in() -> str:
        return "done"

    step = Step("a step", "no-such-tool", "no-such-tool -f a.json", stand_in, files={"a.json": "{\n  1\n}"})
    assert await runner._held(stage(tmp_path), step)
    printed = capsys.readouterr().out
    assert printed.index("  a.json:\n  | {\n  |   1\n  | }\n") < printed.index("$ no-such-tool -f a.json")
    assert (tmp_path / "a.json").read_text() == "{\n  1\n}"


@pytest.mark.parametrize(("ends", "holds"), [(0, False), (1, True), (2, False)])
async def test_a_step_that_is_to_find_something_holds_with_that_code_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: int, holds: bool
) -> None:
    async def nothing() -> str:
        return ""

    monkeypatch.setattr(runner, "_run_ours", lambda *_: (ends, "said"))
    assert await runner._held(stage(tmp_path), Step("caught", "keyless", "keyless x", nothing, code=1)) is holds


def test_the_demo_ends_with_an_object_that_is_tampered_with_and_caught(tmp_path: Path) -> None:
    before, tampering, after = story.steps(stage(tmp_path))[-3:]
    assert (before.command, before.code) == ("keyless billing verify --bucket x --account notdemo", 0)
    assert "aws s3 cp -" in tampering.command
    assert (after.command, after.code) == (before.command, 1)


def test_the_demo_goes_on_to_control_planes_that_work_with_nobody_touching_iam(tmp_path: Path) -> None:
    steps = story.steps(stage(tmp_path))
    (appear,) = [number for number, step in enumerate(steps) if "planes.yaml" in step.files]
    assert steps[appear].files["planes.yaml"].count("kind: ControlPlane") == 2
    assert steps[appear].look is not None
    assert not [step for step in steps[appear:] if re.search(r"aws (iam|eks) ", step.command)]
    verified = [step.command for step in steps[appear:] if step.command == "keyless verify billing --wait-seconds 60"]
    assert verified, "the chain of all control planes is walked after they came"


def test_resources_of_two_teams_appear_and_vanish_in_two_control_planes_and_are_reported(tmp_path: Path) -> None:
    steps = story.steps(stage(tmp_path))
    titles = [step.title for step in steps]
    appear, vanish, stored = (
        next(number for number, step in enumerate(steps) if words in step.command)
        for words in ("second-vpcs.yaml", "delete vpc crawler", "rollout restart deployment vector")
    )
    report, page = (
        next(number for number, step in enumerate(steps) if words in step.command)
        for words in ("--by team --by control-plane", "--output html --out usage.html")
    )
    assert appear < vanish < stored < report < page < len(steps) - 3, titles
    assert steps[appear].files["second-vpcs.yaml"].count("kind: VPC") == 2
    assert "delete vpc batch" in steps[vanish].command
    assert steps[stored].look is not None
    labelled = [step.files["planes.yaml"] for step in steps if "planes.yaml" in step.files]
    assert "team: search" in labelled[0]


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("stored as arn:aws:sts::1:assumed-role/r/s", "arn:aws:sts::1:assumed-role/r/s"),
        ("stored as arn:aws:sts::1:assumed-role/r/s, until 2026-01-01T00:00:00Z", "arn:aws:sts::1:assumed-role/r/s"),
        ("nobody is named", "nobody is named"),
    ],
)
def test_an_identity_is_found_wherever_the_message_has_it(message: str, shown: str) -> None:
    assert identity_in(message) == shown


def test_what_to_try_next_is_there() -> None:
    for line in story.NEXT.splitlines()[1:]:
        words = line.partition("#")[0].split()
        if words[0] == "keyless":
            assert words[1] in COMMANDS, line
        elif not line.strip().startswith("eval"):
            assert (ROOT / words[0]).exists(), line
