"""Ask every control plane for its ExternalSecrets; one that does not answer is a row that says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from keyless.api import KeylessError
from keyless.kube import Kube, KubeObject, NotFound, Resource
from keyless.kube.resources import CLUSTEREXTERNALSECRETS, CLUSTERSECRETSTORES, EXTERNALSECRETS
from keyless.shared_secrets.fleet.model import Plane

AT_ONCE = 16
SECONDS = 15.0
"""For one control plane: one that hangs must not hide the others."""

Open = Callable[[KubeObject], "Kube"]
"""Connects to a control plane's API from the Secret that its controller uses."""


async def planes(
    host: Kube, control_planes: Iterable[KubeObject], secret_of: Callable[[KubeObject], tuple[str, str]], connect: Open
) -> list[Plane]:
    """Return each control plane as it answered; ``secret_of`` names the Secret with its API (name, namespace)."""
    from keyless.kube.resources import SECRETS

    bound = asyncio.Semaphore(AT_ONCE)

    async def one(control_plane: KubeObject) -> Plane:
        metadata = control_plane["metadata"]
        name, group = metadata["name"], metadata["namespace"]
        try:
            async with bound, asyncio.timeout(SECONDS):
                where, namespace = secret_of(control_plane)
                async with connect(await host.get(SECRETS, where, namespace)) as kube:
                    return await read(kube, name, group)
        except TimeoutError:
            return Plane(name, group, unreachable=f"no answer within {SECONDS:.0f} seconds")
        except NotFound as error:
            return Plane(name, group, unreachable=f"shared secrets do not run there: {error}")
        except KeylessError as error:
            return Plane(name, group, unreachable=str(error))

    return list(await asyncio.gather(*(one(each) for each in control_planes)))


async def read(kube: Kube, name: str, group: str) -> Plane:
    """Read one control plane."""

    async def items(res: Resource) -> tuple[KubeObject, ...]:
        return tuple((await kube.list(res)).items)

    return Plane(
        name,
        group,
        await items(EXTERNALSECRETS),
        await items(CLUSTEREXTERNALSECRETS),
        await items(CLUSTERSECRETSTORES),
    )
