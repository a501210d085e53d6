"""What a component's process does not load: it is there in each control plane, and memory is counted in each."""

from __future__ import annotations

import subprocess
import sys
from functools import cache

import pytest

from keyless.cli.run import COMPONENTS

# As ``keyless run`` loads them, up to the moment where work begins.
LOADED = """
import importlib, sys
from keyless.cli import run
run.serve = lambda name, work: work.close()
try:
    run.main([{name!r}], {{}})
except Exception:
    pass
importlib.import_module({module!r} + ".service")
print("\\n".join(name for name, module in sys.modules.items() if module))
"""


@cache
def loaded(name: str) -> set[str]:
    code = LOADED.format(name=name, module=COMPONENTS[name])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("name", ["external-secrets-controller", "vector", "operator"])
def test_a_component_loads_no_console(name: str) -> None:
    assert not loaded(name) & {"rich", "pygments", "typer"}


def test_what_only_a_rendering_needs_is_not_loaded_beside_it() -> None:
    assert not {one for one in loaded("external-secrets-controller") if one.partition(".")[0] in {"cryptography"}}


def test_a_collector_in_a_pod_loads_no_yaml_which_only_a_kubeconfig_is_written_in() -> None:
    assert not {one for one in loaded("vector") if one.partition(".")[0] == "yaml"}
