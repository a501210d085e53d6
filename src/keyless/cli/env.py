"""``keyless env``: exports that point kubectl, helm and aws at the local Space, or kubectl at a control plane."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

from keyless.api import Permanent
from keyless.cli.options import StateOption, state_folder

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def env(
    state: StateOption = None,
    control_plane: Annotated[str | None, typer.Option(metavar="NAME", help="Only KUBECONFIG of this one.")] = None,
    group: Annotated[str, typer.Option(metavar="GROUP", help="The control plane's group.")] = "default",
) -> None:
    """Print exports for `eval "$(keyless env)"`."""
    from keyless.local.boot.exports import Access, exports, shell
    from keyless.local.boot.running import read_running

    folder = state_folder(state)
    running = read_running(folder)
    if running is None or not running.ready:
        raise Permanent(f"no local Space is ready in {folder}: start one with `keyless up --detach`")
    if control_plane is not None:
        path = asyncio.run(_control_plane_kubeconfig(folder, control_plane, group))
        print(shell({"KUBECONFIG": str(path)}))
        return
    access = Access(**json.loads((folder / "access.json").read_text(encoding="utf-8")))
    print(shell(exports(access)))


async def _control_plane_kubeconfig(folder: Path, name: str, group: str) -> Path:
    """Write the kubeconfig of a control plane that the local host serves, as its administrator."""
    from keyless.kube import NotFound, connect
    from keyless.kube.resources import CONTROLPLANES, LOGICALCLUSTERS

    host = folder / "kubeconfig"
    async with connect({"KUBECONFIG": str(host)}) as kube:
        try:
            found = await kube.get(CONTROLPLANES, name, group)
            namespace = found["status"]["hostNamespace"]
            server = (await kube.get(LOGICALCLUSTERS, namespace))["status"]["server"]
        except NotFound as error:
            raise Permanent(f"control plane {group}/{name}: {error}; see kubectl get controlplanes -A") from error
        except KeyError as error:
            raise Permanent(f"control plane {group}/{name} is not ready: its status has no {error} yet") from error
    return _write(folder, json.loads(host.read_text(encoding="utf-8")), f"{group}-{name}", server)


def _write(folder: Path, host: dict[str, object], name: str, server: str) -> Path:
    import base64

    from keyless.local.boot.kubeconfig import kubeconfig
    from keyless.local.state.lock import private

    cluster = host["clusters"][0]["cluster"]  # type: ignore[index]  # our own file, written by `up`
    ca_pem = base64.b64decode(cluster["certificate-authority-data"]).decode()
    token = host["users"][0]["user"]["token"]  # type: ignore[index]  # as above
    made = folder / "control-planes"
    made.mkdir(mode=0o700, exist_ok=True)
    path = made / f"{name}.kubeconfig"
    with open(path, "w", encoding="utf-8", opener=private) as file:
        json.dump(kubeconfig(name, server, ca_pem, token), file, indent=2)
    return path
