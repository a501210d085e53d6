"""``keyless up``: start the local Space and wait until it is ready; block, or leave it in the background."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keyless.api import KeylessError, Permanent
from keyless.cli import exits
from keyless.cli.options import StateOption, state_folder
from keyless.local.state.lock import prepare

if TYPE_CHECKING:
    from keyless.local.node import Image

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
READY_VARIABLE = "KEYLESS_UP_READY_FD"
READY = "ready"


@app.command()
def up(
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
) -> None:
    """Start the local Space and wait until it is ready."""
    from keyless.local.boot.running import read_running

    folder = state_folder(state)
    if folder.exists() and (running := read_running(folder)):
        word = "already running" if running.ready else "already starting"
        print(f"keyless: {word} (process {running.pid}, since {running.started_at}, state {folder}); nothing changed")
        return
    if detach:
        raise typer.Exit(_detached(folder, Chosen(propagation_delay, image_map, revoke)))
    raise typer.Exit(_foreground(folder, Chosen(propagation_delay, image_map, revoke)))


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the command line chose of the Space itself."""

    propagation_delay: float
    image_map: Path | None
    revoke: bool


def _foreground(folder: Path, chosen: Chosen) -> int:
    import uvloop

    from keyless.cli.logs import configure
    from keyless.local.boot import Options
    from keyless.local.boot.space import LocalSpace

    options = Options(
        state=folder,
        images=_images(chosen.image_map),
        preload=_preload(),
        propagation_delay_seconds=chosen.propagation_delay,
        revoke_tokens_of_deleted_pods=chosen.revoke,
        environ=dict(os.environ),
    )
    prepare(folder)
    (folder / "logs").mkdir(mode=0o700, exist_ok=True)
    with open(folder / "logs" / "up.log", "a", encoding="utf-8", buffering=1) as log_file:
        configure("up", os.environ.get("KEYLESS_LOG_LEVEL", "info"), log_file)
        tell = _teller()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            try:
                return runner.run(_serve(LocalSpace(options, tell), tell, log_file.name))
            except KeylessError as error:
                tell(f"failed: {error} (log: {log_file.name})", final=True)
                return exits.code_for(error)


async def _serve(space: object, tell: Callable[..., None], log_path: str) -> int:
    from keyless.local.boot.space import LocalSpace

    assert isinstance(space, LocalSpace)
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told.set)
    stopping = asyncio.ensure_future(told.wait())
    try:
        starting = asyncio.ensure_future(space.start())
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            return 130
        running = starting.result()
        tell(f'ready: run  eval "$(keyless env)"  (log: {log_path})', final=True)
        for name, url in running.endpoints.items():
            tell(f"  {name} {url}")
        broken = asyncio.ensure_future(space.wait())
        await asyncio.wait({broken, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if broken.done():
            broken.result()
        broken.cancel()
        tell("stopping")
        return exits.HELD
    finally:
        stopping.cancel()
        await space.stop()


def _detached(folder: Path, chosen: Chosen) -> int:
    """Start the same command in a session of its own; what it tells until it is ready comes through a pipe."""
    reader, writer = os.pipe()
    command = [sys.executable, "-m", "keyless", "up", "--state", str(folder)]
    command += ["--propagation-delay", str(chosen.propagation_delay)]
    command += ["--image-map", str(chosen.image_map.absolute())] if chosen.image_map else []
    command += ["--revoke-tokens-of-deleted-pods"] if chosen.revoke else []
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


def _teller() -> Callable[..., None]:
    """Progress for people: on stderr, or into the pipe of the command that waits for us until the final word."""
    descriptor = os.environ.pop(READY_VARIABLE, "")
    stream = os.fdopen(int(descriptor), "w", encoding="utf-8") if descriptor else sys.stderr
    is_open = True

    def tell(text: str, *, final: bool = False) -> None:
        nonlocal is_open
        if not is_open:
            return
        try:
            print(f"keyless: {text}", file=stream, flush=True)
        except BrokenPipeError:
            is_open = False
        if final and stream is not sys.stderr:
            stream.close()
            is_open = False

    return tell


def _images(image_map: Path | None) -> dict[str, Image]:
    from keyless.local.node.images import own_image, read_image_map_untrusted

    images = own_image(sys.executable)
    if image_map is None:
        return images
    import yaml

    try:
        content = yaml.safe_load(image_map.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise Permanent(f"--image-map {image_map}: {error}") from error
    return {**images, **read_image_map_untrusted(content, str(image_map))}


def _preload() -> tuple[str, ...]:
    """What the containers of our image share: their services, imported once."""
    from keyless.cli.run import COMPONENTS

    modules = [f"{module}.{part}" for name, module in COMPONENTS.items() if name != "node" for part in PARTS]
    return ("uvloop", "keyless.cli.run", "keyless.cli.logs", *modules)


PARTS = ("settings", "service")
