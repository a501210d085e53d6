"""The values that ``verify`` puts into a command come out of helm, 3 and 4, as they were."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.tools import GUIDES, SECOND, Layer, kubernetes_clients

from keyless.identity.verify.model import Space
from keyless.identity.verify.values import flatten, upgrade

pytestmark = pytest.mark.e2e

TEXTS = [
    "", " ", "usage", "a,b", "a, b=c", "{a,b}", "[a]", '["a"]', "a.b", "null", "true", "False", "0", "007", "1e3",
    "-1", "111122223333", "0x1f", 'say "x"', "it's", "$HOME `id` \\ $(id)", "a\nb", "é ☃", "x=y", "~", "#c", "a: b",
    "arn:aws:iam::111122223333:role/path/a+b@c", "*.example.org", "!tag", "%d",
]  # fmt: skip
KEYS = ["plain", "eks.amazonaws.com/role-arn", "a,b", "a=b", "a[0]", "back\\slash", 'qu"ote', "sp ace", "$x"]
OTHERS: list[Any] = [True, False, 0, 7, 1_000_000, -3, 0.5, ["a", "b,c"], [{"a": 1}], []]


def came_out(folder: Path, clients: Path, values: dict[str, Any]) -> Any:
    """Run the command as it is printed, only that it renders: what the chart is given."""
    (folder / "templates").mkdir(exist_ok=True)
    (folder / "Chart.yaml").write_text("apiVersion: v2\nname: shown\nversion: 0.1.0\n")
    (folder / "templates" / "values.yaml").write_text("shown: {{ .Values | toJson | quote }}\n")
    command = upgrade(Space({}, (), frozenset(), "shown", "."), flatten(values))
    command = command.replace("helm upgrade", "helm template")
    command = re.sub(r" --(reset-then-)?reuse-values", "", command)
    said = subprocess.run(
        ["bash", "-euc", command],
        cwd=folder,
        env={"PATH": f"{clients}:{os.environ['PATH']}", "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert said.returncode == 0, f"{command}\n{said.stderr}"
    quoted = next(line for line in said.stdout.splitlines() if line.startswith("shown: "))
    return json.loads(json.loads(quoted.removeprefix("shown: ")))


@pytest.mark.parametrize("version", [GUIDES, SECOND], ids=["helm 3", "helm 4"])
def test_each_value_comes_out_of_helm_as_it_was(tmp_path: Path, version: Layer) -> None:
    clients = kubernetes_clients(version)
    assert clients is not None
    values: dict[str, Any] = {
        "texts": {f"t{number}": text for number, text in enumerate(TEXTS)},
        "keys": dict.fromkeys(KEYS, "x,y"),
        "others": {f"o{number}": value for number, value in enumerate(OTHERS)},
    }
    values["none"] = None
    assert came_out(tmp_path, clients, values) == values
