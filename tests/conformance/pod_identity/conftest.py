from __future__ import annotations

from collections.abc import Iterator

import pytest

from conformance.pod_identity.stage import Stage


@pytest.fixture(scope="module")
def the_stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.close()


@pytest.fixture
def stage(the_stage: Stage) -> Iterator[Stage]:
    yield the_stage
    the_stage.clear()
