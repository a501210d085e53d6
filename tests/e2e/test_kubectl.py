"""kubectl's everyday questions about kinds and fields, with both clients that the tests fetch."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from e2e.local_space import LocalSpace
from tools import GUIDES, SECOND, Layer, kubernetes_clients

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

LIST = """
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: first}
  data: {x: "1"}
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: second}
  data: {x: "1"}
"""
ONE = """
apiVersion: v1
kind: ConfigMap
metadata: {name: first}
"""
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(params=[GUIDES, SECOND], ids=lambda layer: layer.name)
def kubectl(request: pytest.FixtureRequest, space: LocalSpace, tmp_path: Path) -> Run:
    layer: Layer = request.param
    clients = kubernetes_clients(layer)
    if clients is None:
        if os.environ.get("CI"):
            pytest.fail("kubectl is missing: run `make tools`")
        pytest.skip("kubectl is missing: run `make tools` (needs npm)")
    # A home of its own: kubectl keeps what it learned of a server there.
    environ = {**space.environ, "HOME": str(tmp_path), "PATH": f"{clients}:{os.environ['PATH']}"}

    def run(words: str, given: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["kubectl", *words.split()],
            input=given,
            env={**environ, **more},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert run("create namespace openapi").returncode in {0, 1}
    return run


def test_a_list_is_applied_saved_and_applied_again(kubectl: Run) -> None:
    assert kubectl("apply -n openapi -f -", LIST).returncode == 0
    saved = kubectl("get configmap first second -n openapi -o yaml")
    assert "kind: List" in saved.stdout
    again = kubectl("apply -n openapi -f -", saved.stdout)
    assert again.returncode == 0, again.stderr
    assert kubectl("delete -n openapi -f -", LIST).returncode == 0


def test_two_objects_are_edited_at_once(kubectl: Run) -> None:
    kubectl("apply -n openapi -f -", LIST)
    done = kubectl("edit configmap first second -n openapi", KUBE_EDITOR="sed -i s/x:/z:/")
    assert done.stdout.count("edited") == 2, done.stdout + done.stderr
    kubectl("delete -n openapi -f -", LIST)


@pytest.mark.parametrize("document", [LIST, ONE], ids=["in a list", "alone"])
def test_a_misspelt_kind_is_named(kubectl: Run, document: str) -> None:
    said = kubectl("apply -n openapi -f -", document.replace("ConfigMap", "ConfigMpa")).stderr
    assert 'no matches for kind "ConfigMpa" in version "v1"' in said
    assert "--validate=false" not in said


def test_a_misspelt_field_in_a_list_is_named(kubectl: Run) -> None:
    said = kubectl("apply -n openapi -f -", LIST.replace("data:", "dta:")).stderr
    assert 'unknown field "dta" in io.k8s.api.core.v1.ConfigMap' in said


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        ("deployment.spec.strategy.rollingUpdate", "maxSurge\t<IntOrString>"),
        ("pod.spec.containers.env", "name\t<string> -required-"),
        ("controlplane.spec", "hostNamespace\t<Object>"),
        ("sharedsecretstore.spec", "secretStoreName\t<string>"),
    ],
)
def test_explain_tells_the_fields_of_built_in_and_of_our_kinds(kubectl: Run, asked: str, line: str) -> None:
    done = kubectl(f"explain {asked}")
    assert line in done.stdout, done.stderr


def test_a_control_plane_of_the_local_space_is_entered_by_a_context_of_its_own(
    kubectl: Run, space: LocalSpace, tmp_path: Path
) -> None:
    own = space.folder / "kubeconfig"
    before = own.read_text(encoding="utf-8")
    refused = space.keyless("kubeconfig", "ctp1")
    assert refused.returncode == 2
    assert "--file names another" in refused.stderr
    entered = space.keyless("kubeconfig", "ctp1", "--file", str(tmp_path / "ctp1"))
    assert entered.returncode == 0, entered.stderr
    inside = kubectl("get namespace keyless-system -o name", KUBECONFIG=str(tmp_path / "ctp1"))
    assert inside.stdout.strip() == "namespace/keyless-system", inside.stderr
    assert own.read_text(encoding="utf-8") == before
