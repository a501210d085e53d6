"""One local Space for all tests here; a control plane, a bucket and a role for each of them."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator, Iterator

import pytest
from tests.hiding import pytest_runtest_makereport as pytest_runtest_makereport

from e2e import acting, local_space, seeing, sharing
from e2e.leaks import nothing_is_told
from e2e.local_space import LocalSpace
from e2e.planes import Plane, add_vpcs, make_plane, open_plane
from keyless.kube import Kube, NotFound
from keyless.kube.resources import CONTROLPLANES, DEPLOYMENTS


@pytest.fixture(scope="session")
def space(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalSpace]:
    """A running Space. IAM decides at once here: what a test changes must not be judged by what was before."""
    folder = tmp_path_factory.mktemp("space") / "state"
    started = local_space.start(folder, "--propagation-delay", "0")
    yield started
    local_space.stop(folder)
    nothing_is_told(started)


@pytest.fixture
async def host(space: LocalSpace) -> AsyncIterator[Kube]:
    """The host's Kubernetes API."""
    async with space.host as kube:
        yield kube


async def nothing_is_left(space: LocalSpace, host: Kube) -> None:
    """Values and associations are for the whole Space: a control plane must not be judged by the last test's."""
    acting.drop_associations(space)
    await acting.helm_upgrade(host, {})
    await acting.forget_history(host)
    for namespace in {obj["metadata"]["namespace"] for obj in (await host.list(DEPLOYMENTS)).items}:
        await seeing.gone(host, DEPLOYMENTS, "vector", namespace)


@pytest.fixture
async def plane(space: LocalSpace, host: Kube) -> AsyncIterator[Plane]:
    """A control plane with three VPCs, and an empty bucket; both bear a name of their own. Billing is off."""
    await nothing_is_left(space, host)
    made = await make_plane(space, host, f"cp-{secrets.token_hex(3)}")
    acting.make_bucket(space, made.bucket)
    async with made.tenant:
        await add_vpcs(made, "payments", "search", "batch")
        yield made
    with contextlib.suppress(NotFound):
        await host.delete(CONTROLPLANES, made.name, "default")


@pytest.fixture
async def first_plane(space: LocalSpace, host: Kube) -> AsyncIterator[Plane]:
    """The control plane that every Space begins with, and an empty bucket. Billing is off."""
    await nothing_is_left(space, host)
    # A role of a control plane that is gone may trust the namespaces of all.
    for prefix in ("ctp1-", "cp-", "keyless-vector"):
        acting.drop_roles(space, prefix)
    await sharing.unshare(host)
    found = await open_plane(space, host, "ctp1", own=f"ctp1-{secrets.token_hex(3)}")
    acting.make_bucket(space, found.bucket)
    async with found.tenant:
        await add_vpcs(found)
        yield found
