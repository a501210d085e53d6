"""One local Space, and in it what every client is tried on: a bucket, a secret, parameters, a role and an identity."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from conformance.clients.stage import Stage
from e2e import local_space


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A running Space. IAM decides at once: no test here is about propagation."""
    folder = tmp_path_factory.mktemp("clients") / "state"
    space = local_space.start(folder, "--propagation-delay", "0")
    try:
        yield Stage.set_up(space)
    finally:
        local_space.stop(folder)
