"""Virtual time where calls are counted: what gathers for a moment must not depend on how fast the machine is."""

from __future__ import annotations

import asyncio

from virtual_time import StillLoop


def pytest_asyncio_loop_factories(config, item):
    if item.path.name in {"test_calls.py", "test_ahead.py"}:
        return {"still": StillLoop}
    return {"plain": asyncio.SelectorEventLoop}
