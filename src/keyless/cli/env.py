"""``keyless env``: exports that point kubectl, helm and aws at the local Space, or kubectl at a control plane."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keyless.api import Permanent
from keyless.cli.naming import with_state
from keyless.cli.options import StateOption, state_folder

if TYPE_CHECKING:
    from keyless.kube import KubeObject

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
        raise Permanent(f"no local Space is ready in {folder}: start one with `{with_state('up --detach', folder)}`")
    if control_plane is not None:
        path = asyncio.run(_control_plane_kubeconfig(folder, control_plane, group))
        print(shell({"KUBECONFIG": str(path)}))
        return
    access = Access(**json.loads((folder / "access.json").read_text(encoding="utf-8")))
    name, namespace, remark = asyncio.run(_control_plane(folder, access.control_plane, access.host_namespace))
    if remark:
        print(f"keyless: {remark}", file=sys.stderr)
    print(shell(exports(replace(access, control_plane=name, host_namespace=namespace))))


async def _control_plane(folder: Path, name: str, first: str) -> tuple[str, str, str]:
    """Return name and host namespace for the guides' variables, and a remark where they are not the first one's.

    The first one may be gone: a reader's next command would then speak of a namespace that is not there.
    """
    from keyless.api import KeylessError
    from keyless.kube import connect
    from keyless.kube.resources import CONTROLPLANES

    try:
        async with connect({"KUBECONFIG": str(folder / "kubeconfig")}) as kube:
            found = (await kube.list(CONTROLPLANES)).items
    except KeylessError as error:
        return name, first, f"the control planes could not be asked ({error}); YOUR_NAMESPACE may be out of date"
    return living_one(first, found)


def living_one(first: str, control_planes: list[KubeObject]) -> tuple[str, str, str]:
    """Return name and host namespace of the first control plane, or of the oldest that lives and a remark on it."""
    from keyless.local.boot.exports import OF_A_CONTROL_PLANE

    living = {
        namespace: obj["metadata"]
        for obj in sorted(control_planes, key=lambda one: str(one["metadata"].get("creationTimestamp")))
        if (namespace := (obj.get("status") or {}).get("hostNamespace")) and "deletionTimestamp" not in obj["metadata"]
    }
    if first in living:
        return living[first]["name"], first, ""
    if not living:
        return "", "", f"there is no control plane: {', '.join(OF_A_CONTROL_PLANE)} are unset"
    namespace, metadata = next(iter(living.items()))
    return (
        metadata["name"],
        namespace,
        f"YOUR_NAMESPACE is that of control plane {metadata['namespace']}/{metadata['name']}",
    )


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
