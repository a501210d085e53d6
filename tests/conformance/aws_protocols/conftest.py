"""The suites are needed: where they have not been fetched, a skip that says so, and a failure in CI."""

from __future__ import annotations

import os

import pytest

from conformance.aws_protocols.suites import folder

ABSENT = "botocore's suites are missing: run `make tools`"


@pytest.fixture(autouse=True)
def suites() -> None:
    if folder() is None:
        if os.environ.get("CI"):
            pytest.fail(ABSENT)
        pytest.skip(ABSENT)
