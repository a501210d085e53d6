"""Tells the story: each step with its command and its outcome; stops at the first that does not hold."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from keyless.api import KeylessError
from keyless.cli.demo import story
from keyless.cli.demo.stage import Stage, open_stage, start_space, stop_space
from keyless.cli.demo.step import Step


async def tell_story(folder: Path, *, keep: bool) -> bool:
    """Run the demo in ``folder``; True only if every step held."""
    state = folder / "state"
    began = time.monotonic()
    held = False
    try:
        print(
            "A local Space: Kubernetes and AWS on loopback, every token and policy enforced.\n  $ keyless up --detach"
        )
        start_space(state)
        stage = open_stage(state)
        print(_tools_line(stage))
        held = await _told(stage)
    except KeylessError as error:
        print(f"\nkeyless: {error}")
    finally:
        if keep:
            print(f"\nThe Space is left running: keyless env --state {state}; keyless down --state {state}")
        else:
            stop_space(state)
    print(f"\n{'Every step held' if held else 'A step did not hold'}, {time.monotonic() - began:.0f} s.")
    print(f"\n{story.NEXT}")
    return held


async def _told(stage: Stage) -> bool:
    try:
        for number, step in enumerate(story.steps(stage), start=1):
            print(f"\n{number}. {step.title}")
            if not await _held(stage, step):
                return False
        return True
    finally:
        await stage.host.aclose()
        await stage.tenant.aclose()


async def _held(stage: Stage, step: Step) -> bool:
    for name, text in step.files.items():
        (stage.folder / name).write_text(text, encoding="utf-8")
        print(f"  {name}:\n{_indented(text.rstrip(), '  | ', every=True)}")
    print(_indented(step.command, "  $ "))
    try:
        if step.tool == "keyless":
            code, said = _run_ours(stage, step)
        elif step.tool in stage.tools:
            outcome = stage.run(step.command)
            code, said = outcome.returncode, outcome.stdout
        else:
            code, said = 0, f"{await step.stand_in()}   [no {step.tool} on the PATH: the same requests, made here]"
        print(_indented(said.strip(), "    "))
        if code == step.code and step.look is not None:
            print(_indented(await step.look(stage), "  > "))
    except KeylessError as error:
        print(_indented(str(error), "  ! "))
        return False
    return code == step.code


def _run_ours(stage: Stage, step: Step) -> tuple[int, str]:
    done = subprocess.run(  # noqa: S603 - our own command
        story.command_line(step),
        cwd=stage.folder,
        env={**os.environ, **stage.environ, "KEYLESS_STATE": str(stage.folder / "state")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def _tools_line(stage: Stage) -> str:
    there = ", ".join(sorted(stage.tools)) or "none"
    return f"Clients found on the PATH: {there}. What the others would send is sent from here."


def _indented(text: str, mark: str, *, every: bool = False) -> str:
    lines = text.splitlines() or [""]
    if every:
        return "\n".join(f"{mark}{line}" for line in lines)
    return "\n".join([f"{mark}{lines[0]}", *(" " * len(mark) + line for line in lines[1:])])
