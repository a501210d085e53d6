"""Virtual time: waits of minutes pass at once."""

from __future__ import annotations

from virtual_time import JumpingLoop


def pytest_asyncio_loop_factories(config, item):
    return {"virtual": JumpingLoop}
