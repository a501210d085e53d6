"""Virtual time, and a running Space, for the tests of the cluster's controllers."""

from __future__ import annotations

import pytest

from controllers_support import Space, make_cluster, running
from keyless.kube.resources import SERVICEACCOUNTS
from virtual_time import JumpingLoop


def pytest_asyncio_loop_factories(config, item):
    return {"virtual": JumpingLoop}


@pytest.fixture
async def space():
    cluster = make_cluster()
    space = Space(cluster)
    async with running(cluster):
        await space.until(lambda: space.get(SERVICEACCOUNTS, "default", "default"))
        yield space
        space.stop()
    cluster.settings.database.close()
