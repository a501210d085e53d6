"""``keyless status``: what runs in the state folder."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from keyless.api import KeylessError
from keyless.cli import exits
from keyless.cli.naming import with_state
from keyless.cli.options import OutputOption, StateOption, require_output, state_folder
from keyless.cli.output import one, print_json

if TYPE_CHECKING:
    from keyless.local.boot.running import Running

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def status(state: StateOption = None, output: OutputOption = "text") -> None:
    """Show what runs, where and since when. Exit code 1 when nothing does."""
    from keyless.local.boot.running import read_running

    as_json = require_output(output)
    folder = state_folder(state)
    running = read_running(folder)
    if running is None:
        start = with_state("up --detach", folder)
        if as_json:
            print_json(one("SpaceStatus", {"running": False, "state": str(folder)}))
        else:
            print(f"no local Space runs in {folder}; start one with: {start}")
        raise typer.Exit(exits.DID_NOT_HOLD)
    pods = asyncio.run(_pods(folder)) if running.ready else []
    if as_json:
        print_json(one("SpaceStatus", _shown(running, pods)))
        return
    print(f"process {running.pid}, since {running.started_at}, {'ready' if running.ready else 'starting'}")
    print(f"state   {running.state}")
    for name, url in running.endpoints.items():
        print(f"{name:<11} {url}")
    for pod in pods:
        ready = "ready" if pod["ready"] else "not ready"
        print(f"pod {pod['namespace']}/{pod['name']}: {pod['phase']}, {ready}, {pod['restarts']} restarts")


def _shown(running: Running, pods: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "running": True,
        "ready": running.ready,
        "pid": running.pid,
        "state": running.state,
        "startedAt": running.started_at,
        "endpoints": dict(running.endpoints),
        "pods": pods,
    }


async def _pods(folder: Path) -> list[dict[str, Any]]:
    """The pods, or none where the API does not answer: the rest of the status still holds."""
    from keyless.kube import connect, is_true
    from keyless.kube.resources import PODS

    try:
        async with connect({"KUBECONFIG": str(folder / "kubeconfig")}) as kube:
            page = await kube.list(PODS)
    except KeylessError:
        return []
    return [
        {
            "namespace": pod["metadata"]["namespace"],
            "name": pod["metadata"]["name"],
            "phase": (pod.get("status") or {}).get("phase", "Pending"),
            "ready": is_true(pod, "Ready"),
            "restarts": sum(
                int(c.get("restartCount", 0)) for c in (pod.get("status") or {}).get("containerStatuses") or ()
            ),
        }
        for pod in page.items
    ]
