"""The process of a local Space: started in order, told about, watched, stopped.

The background's is started by ``keyless up --detach`` and comes here without typer, which with all it brings along is
12 MB that a Space would hold for as long as it runs.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from keyless.api import KeylessError, Permanent
from keyless.cli import exits
from keyless.local.state.lock import prepare

if TYPE_CHECKING:
    from keyless.local.boot import Options
    from keyless.local.boot.space import LocalSpace
    from keyless.local.node import Image

#: names the pipe of the command that waits; set by it alone
READY_VARIABLE = "KEYLESS_UP_READY_FD"
PARTS = ("settings", "service")


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the command line chose of the Space itself."""

    propagation_delay: float
    image_map: Path | None
    revoke: bool
    cluster: Path | None = None
    """The kubeconfig of a cluster that somebody else runs; None: the Space has one of its own."""
    address: str = ""
    """This machine's, as that cluster reaches it; empty: found out."""


def main(arguments: Sequence[str]) -> int:
    """Run the Space that ``keyless up --detach`` asked for, in its words."""
    parser = argparse.ArgumentParser(prog="keyless up")
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--propagation-delay", type=float, required=True)
    parser.add_argument("--image-map", type=Path)
    parser.add_argument("--revoke-tokens-of-deleted-pods", action="store_true", dest="revoke")
    parser.add_argument("--cluster", type=Path)
    parser.add_argument("--address", default="")
    asked = parser.parse_args(arguments)
    chosen = Chosen(asked.propagation_delay, asked.image_map, asked.revoke, asked.cluster, asked.address)
    try:
        return foreground(asked.state, chosen)
    except (KeylessError, OSError) as error:
        return exits.report(error)


def foreground(folder: Path, chosen: Chosen, hint: str = "") -> int:
    """Run the Space in ``folder`` until it is told to stop; returns the exit code. ``hint`` is said when it is ready:
    only the command that a person typed knows how it was called.
    """
    import uvloop

    from keyless.cli.logs import configure
    from keyless.local.boot import Options

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
                space = _space(options, tell, chosen)
                return runner.run(_serve(space, tell, log_file.name, hint))
            except (KeylessError, OSError) as error:
                told = exits.named(error)
                tell(f"failed: {told} (log: {log_file.name})", final=True)
                return exits.code_for(told)


def _space(options: Options, tell: Callable[..., None], chosen: Chosen) -> LocalSpace:
    if chosen.cluster is None:
        from keyless.local.boot.space import LocalSpace

        return LocalSpace(options, tell)
    from keyless.local.joined.space import JoinedSpace

    return JoinedSpace(options, tell, chosen.cluster, chosen.address)


async def _serve(space: LocalSpace, tell: Callable[..., None], log_path: str, hint: str) -> int:
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
        tell(f"ready (log: {log_path})", final=not hint)
        if hint:
            tell(hint, final=True)
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
