"""``keyless secrets status`` and ``refresh``: all control planes at once, by the Space's own API."""

from __future__ import annotations

import asyncio
import base64
import os
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from keyless.api import Permanent
from keyless.cli import exits
from keyless.cli.options import OutputOption, StateOption, require_output, use_local_space
from keyless.cli.output import many, print_json, print_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from keyless.kube import Kube, KubeObject
    from keyless.shared_secrets.fleet.model import Plane, Row
    from keyless.shared_secrets.fleet.refreshing import Progress

PlaneOption = Annotated[str, typer.Option("--control-plane", metavar="NAME", help="Only this one (default: all).")]
GroupOption = Annotated[str, typer.Option("--group", metavar="GROUP", help="The group (default: all).")]
OwnGroupOption = Annotated[str, typer.Option("--group", metavar="GROUP", help="The group.")]
NamespaceOption = Annotated[
    str, typer.Option("--namespace", "-n", metavar="NAME", help="With --control-plane: an ExternalSecret there.")
]
COLUMNS = ("CONTROL PLANE", "EXTERNAL SECRET", "KEY", "VERSION", "SINCE", "READ", "STATE")


def status(
    control_plane: PlaneOption = "",
    group: GroupOption = "",
    state: StateOption = None,
    output: OutputOption = "text",
) -> None:
    """Show which control plane holds which version of each key, and how fresh it is.

    Exit code 1 when one is behind another, stale, failing or cannot be reached.
    """
    as_json = require_output(output)
    use_local_space(state)
    rows = asyncio.run(_rows(control_plane, group))
    if as_json:
        print_json(many("SecretStatus", [row.document() for row in rows]))
    else:
        print_text("\n".join(table(rows)))
    if any(row.state != "Current" for row in rows):
        raise typer.Exit(exits.DID_NOT_HOLD)


def refresh(
    name: Annotated[str, typer.Argument(help="A SharedExternalSecret, or an ExternalSecret of one control plane.")],
    control_plane: PlaneOption = "",
    namespace: NamespaceOption = "",
    group: OwnGroupOption = "default",
    wait: Annotated[bool, typer.Option("--wait", help="Return when every control plane holds what was read.")] = False,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds to wait at most.")] = 60.0,
    state: StateOption = None,
) -> None:
    """Read a secret anew now, in every control plane that it is shared with."""
    if bool(control_plane) != bool(namespace):
        raise typer.BadParameter("give both or neither", param_hint="--control-plane, --namespace")
    use_local_space(state)
    found = asyncio.run(_refresh(name, group, control_plane, namespace, timeout if wait else 0.0))
    for line in found.done:
        print(f"refreshed {line}")
    for line in found.waiting:
        print(f"not seen yet {line}")
    for line in found.failing:
        print(f"FAILED {line}")
    if found.failing or found.waiting:
        raise typer.Exit(exits.DID_NOT_HOLD)


def table(rows: Iterable[Row]) -> list[str]:
    """Lines for a person: a column no wider than what is in it, and below a row what is wrong."""
    cells: list[tuple[str, ...]] = [COLUMNS]
    below: dict[int, str] = {}
    for row in rows:
        where = f"{row.namespace}/{row.external_secret}" if row.external_secret else "-"
        shown = (f"{row.group}/{row.control_plane}", where, row.key, _short(row.version), row.version_time)
        cells.append(tuple(cell or "-" for cell in (*shown, row.read_time, row.state)))
        if row.state != "Current" and row.message:
            below[len(cells) - 1] = f"    {row.message}"
    if len(cells) == 1:
        return ["no ExternalSecret is in any control plane"]
    widths = [max(len(line[at]) for line in cells) for at in range(len(COLUMNS))]
    lines = []
    for number, line in enumerate(cells):
        lines.append("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
        if number in below:
            lines.append(below[number])
    return lines


def _short(version: str) -> str:
    """Enough of a version id to tell two apart; JSON has it whole."""
    return version if len(version) <= 12 else version[:12] + "…"


async def _rows(control_plane: str, group: str) -> list[Row]:
    from keyless.kube import connect
    from keyless.shared_secrets.fleet.plan import fleet

    async with connect(os.environ) as host:
        return fleet(await _planes(host, control_plane, group), datetime.now(UTC))


async def _planes(host: Kube, control_plane: str, group: str) -> list[Plane]:
    from keyless.kube import NotFound
    from keyless.kube.resources import CONTROLPLANES
    from keyless.shared_secrets.fleet.gather import planes

    try:
        items = (await host.list(CONTROLPLANES, group or None)).items
    except NotFound:
        raise Permanent(
            "this kubeconfig leads to an API without ControlPlanes, such as a control plane's own: "
            "point KUBECONFIG at the Space's host"
        ) from None
    chosen = [one for one in items if control_plane in {"", one["metadata"]["name"]}]
    if control_plane and not chosen:
        there = ", ".join(f"{one['metadata']['namespace']}/{one['metadata']['name']}" for one in items) or "none"
        raise Permanent(f"there is no control plane {control_plane!r}: found {there}")
    return await planes(host, chosen, _secret_of, _opened)


def _secret_of(control_plane: KubeObject) -> tuple[str, str]:
    """The Secret through which the control plane's own controller reaches it."""
    from keyless.space.components import EXTERNAL_SECRETS, kubeconfig_key
    from keyless.space.control_planes.model import place_of

    place = place_of(control_plane)
    if place is None:
        raise Permanent("it is not placed yet: its status names no host namespace")
    key = kubeconfig_key(EXTERNAL_SECRETS, place)
    return key.name, key.namespace


def _opened(secret: KubeObject) -> Kube:
    from keyless.kube import connect_with

    data = secret.get("data") or {}
    try:
        server, ca_pem, token = (base64.b64decode(data[name]).decode() for name in ("server", "ca.crt", "token"))
    except (KeyError, ValueError):
        raise Permanent(f"secret {secret['metadata']['name']} holds no server, ca.crt and token") from None
    return connect_with(server, ca_pem, token)


async def _refresh(name: str, group: str, control_plane: str, namespace: str, seconds: float) -> Progress:
    from keyless.kube import connect
    from keyless.kube.resources import EXTERNALSECRETS, SECRETS, SHAREDEXTERNALSECRETS
    from keyless.shared_secrets.fleet.refreshing import Progress, arrived, ask, of_one, of_shared

    stamp = str(time.time_ns())
    async with connect(os.environ) as host:
        if not control_plane:
            await ask(host, SHAREDEXTERNALSECRETS, name, group, stamp)
            if not seconds:
                return Progress((f"{group}/{name} (asked for)",))

            async def look() -> Progress:
                shared = await host.get(SHAREDEXTERNALSECRETS, name, group)
                provisioned = (shared.get("status") or {}).get("provisioned") or ()
                expected = [one["controlPlane"] for one in provisioned]
                return of_shared(await _planes(host, "", group), name, stamp, expected)

            return await arrived(look, seconds)
        where, at = _secret_of(await _control_plane(host, control_plane, group))
        async with _opened(await host.get(SECRETS, where, at)) as kube:
            await ask(kube, EXTERNALSECRETS, name, namespace, stamp)
            if not seconds:
                return Progress((f"{control_plane}: {namespace}/{name} (asked for)",))

            async def look_inside() -> Progress:
                return of_one(await kube.get(EXTERNALSECRETS, name, namespace), stamp)

            return await arrived(look_inside, seconds)


async def _control_plane(host: Kube, name: str, group: str) -> KubeObject:
    from keyless.kube.resources import CONTROLPLANES

    return await host.get(CONTROLPLANES, name, group)


COMMANDS: tuple[Callable[..., None], ...] = (status, refresh)
