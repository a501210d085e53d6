"""Virtual time for everything but the tests with real sockets."""

from __future__ import annotations

import asyncio

import uvloop

from virtual_time import JumpingLoop


def pytest_asyncio_loop_factories(config, item):
    if "http" not in item.path.name:
        return {"virtual": JumpingLoop}
    # The components run on uvloop, whose transports differ.
    return {"real": asyncio.SelectorEventLoop, "uvloop": uvloop.new_event_loop}
