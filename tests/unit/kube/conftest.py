"""Virtual time for everything but the tests with real sockets."""

from __future__ import annotations

import asyncio

from virtual_time import JumpingLoop


def pytest_asyncio_loop_factories(config, item):
    return {"real": asyncio.SelectorEventLoop} if "http" in item.path.name else {"virtual": JumpingLoop}
