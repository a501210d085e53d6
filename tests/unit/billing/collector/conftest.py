"""Virtual time for what waits on watches and polls."""

from __future__ import annotations

import asyncio

from virtual_time import JumpingLoop


def pytest_asyncio_loop_factories(config, item):
    return {"virtual": JumpingLoop} if "counting" in item.path.name else {"real": asyncio.SelectorEventLoop}
