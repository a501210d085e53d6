"""``keyless up``: start the local Space and wait until it is ready; block, or leave it in the background."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from keyless.api import Permanent
from keyless.api.starting import SAFE_PATH
from keyless.cli import exits
from keyless.cli.foreground import READY_VARIABLE, Chosen, foreground
from keyless.cli.naming import next_step, with_state
from keyless.cli.options import StateOption, state_folder
from keyless.local.state.lock import prepare

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def up(
    ctx: typer.Context,
    state: StateOption = None,
    detach: Annotated[bool, typer.Option("--detach", help="Return when it is ready and leave it running.")] = False,
    propagation_delay: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.0, help="How long IAM decisions lag behind writes.")
    ] = 1.0,
    image_map: Annotated[
        Path | None, typer.Option(metavar="FILE", help="YAML or JSON: image name to command, for images of yours.")
    ] = None,
    revoke: Annotated[
        bool,
        typer.Option(
            "--revoke-tokens-of-deleted-pods",
            help="STS refuses the tokens of a pod that is gone; AWS takes them until they expire.",
        ),
    ] = False,
    cluster: Annotated[
        Path | None,
        typer.Option(
            metavar="KUBECONFIG",
            help="Run the AWS APIs, and a node where there is none, beside that cluster in place of one of ours.",
        ),
    ] = None,
    address: Annotated[
        str, typer.Option(metavar="ADDRESS", help="With --cluster: this machine's, as that cluster reaches it.")
    ] = "",
) -> None:
    """Start the local Space and wait until it is ready."""
    from keyless.local.boot.running import read_running

    folder = state_folder(state)
    if folder.exists() and (running := read_running(folder)):
        word = "already running" if running.ready else "already starting"
        print(f"keyless: {word} (process {running.pid}, since {running.started_at}, state {folder}); nothing changed")
        if given := _given(ctx):
            raise Permanent(
                f"a running Space takes no {', '.join(given)}: stop it first with `{with_state('down', folder)}`, "
                "then start it with them"
            )
        print(f"keyless: {_hint(folder)}", file=sys.stderr)
        return
    if address and cluster is None:
        raise Permanent("--address: expected --cluster with it; a Space of our own is on loopback")
    chosen = Chosen(propagation_delay, image_map, revoke, cluster, address)
    if not detach:
        raise typer.Exit(foreground(folder, chosen, _hint(folder)))
    code = _detached(folder, chosen)
    if code == exits.HELD:
        print(f"keyless: {_hint(folder)}", file=sys.stderr)
    raise typer.Exit(code)


def _hint(folder: Path) -> str:
    return f"next, in this shell:  {next_step(folder)}"


def _given(ctx: typer.Context) -> list[str]:
    """The options, typed this time, that shape a Space when it starts."""
    typed = {name for name in ctx.params if (source := ctx.get_parameter_source(name)) and source.name == "COMMANDLINE"}
    return [option.opts[0] for option in ctx.command.params if option.name in typed - {"state", "detach"}]


def _detached(folder: Path, chosen: Chosen) -> int:
    """Start the same command in a session of its own; what it tells until it is ready comes through a pipe."""

    reader, writer = os.pipe()
    command = [sys.executable, SAFE_PATH, "-m", "keyless", "up", "--state", str(folder)]
    command += ["--propagation-delay", str(chosen.propagation_delay)]
    command += ["--image-map", str(chosen.image_map.absolute())] if chosen.image_map else []
    command += ["--revoke-tokens-of-deleted-pods"] if chosen.revoke else []
    command += ["--cluster", str(chosen.cluster.absolute())] if chosen.cluster else []
    command += ["--address", chosen.address] if chosen.address else []
    prepare(folder)
    (folder / "logs").mkdir(mode=0o700, exist_ok=True)
    with open(folder / "logs" / "up.out", "ab") as output:
        child = subprocess.Popen(  # noqa: S603 - ourselves
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=[writer],
            start_new_session=True,
            env={**os.environ, READY_VARIABLE: str(writer)},
        )
    os.close(writer)
    last = ""
    with os.fdopen(reader, encoding="utf-8", errors="replace") as told:
        for line in told:
            last = line
            print(line, end="", file=sys.stderr)
    # The pipe closes when the Space is ready or has ended.
    if child.poll() is None and _is_ready(folder):
        return exits.HELD
    code = child.wait()
    if code and "failed:" not in last:
        print(f"keyless: it ended with code {code}; what it wrote is in {folder / 'logs' / 'up.out'}", file=sys.stderr)
    return code


def _is_ready(folder: Path) -> bool:
    from keyless.local.boot.running import read_running

    running = read_running(folder)
    return running is not None and running.ready
