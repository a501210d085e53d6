"""The image and the chart on a real Kubernetes: installed with helm, a control plane attached, and nothing leaves."""

from __future__ import annotations

import pytest

from production.attached import Brought
from production.network import ADDRESS
from production.node import OneNode

pytestmark = [pytest.mark.production, pytest.mark.timeout(600)]
IMAGE = "docker.io/keyless/keyless"


def test_the_operator_is_ready_from_the_image_as_it_was_built(space: OneNode) -> None:
    (pod,) = space.object("pods", "-n", "default")["items"]
    (status,) = pod["status"]["containerStatuses"]
    assert status["ready"]
    assert status["restartCount"] == 0
    assert status["image"].startswith(IMAGE)


def test_an_attached_control_plane_s_components_run_with_the_rights_they_were_given(
    space: OneNode, brought: Brought, host_namespace: str
) -> None:
    space.kubectl("wait", "--for=create", "deployment/external-secrets", "-n", host_namespace, "--timeout=60s")
    space.kubectl("rollout", "status", "deployment/external-secrets", "-n", host_namespace, "--timeout=120s")
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
