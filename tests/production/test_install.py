"""The image and the chart on a real Kubernetes: installed with helm, a control plane attached, and nothing leaves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from production.attached import Brought
from production.network import ADDRESS
from production.node import OneNode
from production.parts import said
from tests.tools import GUIDES, kubernetes_clients

pytestmark = [pytest.mark.production, pytest.mark.timeout(600)]
ROOT = Path(__file__).resolve().parents[2]
IMAGE = "localhost/keyless/keyless"


@pytest.fixture(scope="module")
def space(node: OneNode) -> OneNode:
    """The node with the chart installed, as the install page says."""
    clients = kubernetes_clients(GUIDES)
    assert clients is not None
    said(
        clients / "helm", "upgrade", "--install", "spaces", ROOT / "spaces-helm-chart", "--namespace", "default",
        "--set", "controlPlanes.api.mode=attached", "--set", f"image.repository={IMAGE}", "--wait", "--timeout", "120s",
        environ={**os.environ, "KUBECONFIG": str(node.api.kubeconfig)},
    )  # fmt: skip
    node.kubectl("label", "namespace", "default", "spaces.upbound.io/group=true", "--overwrite")
    return node


def test_the_operator_is_ready_from_the_image_as_it_was_built(space: OneNode) -> None:
    (pod,) = space.object("pods", "-n", "default")["items"]
    (status,) = pod["status"]["containerStatuses"]
    assert status["ready"]
    assert status["restartCount"] == 0
    assert status["image"].startswith(IMAGE)


def test_an_attached_control_plane_becomes_ready_and_its_components_run(space: OneNode, brought: Brought) -> None:
    brought.attach("ctp1")
    space.kubectl("wait", "controlplane/ctp1", "-n", "default", "--for=condition=Ready", "--timeout=60s")
    namespace = space.object("controlplane", "ctp1", "-n", "default")["status"]["hostNamespace"]
    space.kubectl("wait", "--for=create", "deployment/external-secrets", "-n", namespace, "--timeout=60s")
    space.kubectl("rollout", "status", "deployment/external-secrets", "-n", namespace, "--timeout=120s")
    # The components' rights inside, as the chart's operator wrote them.
    assert "keyless:external-secrets" in brought.kubectl("get", "clusterroles")


REACHED = f"""
import errno, socket
def tried(host, port):
    try:
        socket.create_connection((host, port), 5).close()
        return "reached"
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))
print(tried("198.51.100.7", 443), tried("10.0.0.1", 443), tried("{ADDRESS}", 16443))
"""


def test_nothing_that_a_pod_sends_leaves_the_machine(space: OneNode) -> None:
    printed = space.kubectl("exec", "deploy/spaces-operator", "-n", "default", "--", "python3", "-c", REACHED)
    assert printed.split() == ["ENETUNREACH", "reached", "reached"]
