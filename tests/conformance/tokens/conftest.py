from __future__ import annotations

from collections.abc import Iterator

import pytest

from conformance.tokens.stage import Stage


@pytest.fixture(scope="module")
def the_stage() -> Iterator[Stage]:
    """One cloud for all cases of a file: two at once would share the clock that botocore signs by."""
    made = Stage()
    yield made
    made.close()


@pytest.fixture
def stage(the_stage: Stage) -> Stage:
    the_stage.reset()
    return the_stage
