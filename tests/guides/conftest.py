"""A fresh local Space for each guide, and the clients to follow it with."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.hiding import pytest_runtest_makereport as pytest_runtest_makereport
from tests.tools import GUIDES, aws_cli, kubernetes_clients

from guides.reader import Reader


@pytest.fixture
def reader(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Reader]:
    """A reader in an empty folder, with the clients that the parameter names; the Space is stopped at the end."""
    layer = getattr(request, "param", GUIDES)
    if kubernetes_clients(layer) is None or aws_cli() is None:
        reason = "kubectl, helm or aws is missing: run `make tools` (needs npm)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    found = Reader(tmp_path, layer)
    yield found
    found.run("keyless down || true")
