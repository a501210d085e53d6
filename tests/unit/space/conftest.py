"""Virtual time: waits of minutes pass at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from virtual_time import JumpingLoop


def pytest_asyncio_loop_factories(config, item):
    return {"virtual": JumpingLoop}


def pytest_collection_modifyitems(items):
    """An operator that is killed at each of many writes lives as often: on a busy machine for more than a minute."""
    for each in items:
        if each.path.is_relative_to(Path(__file__).parent) and "killed" in each.name:
            each.add_marker(pytest.mark.timeout(240), append=True)
