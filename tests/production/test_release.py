"""The life of a release on a real Kubernetes: uninstalled by its hook, installed as it once was, upgraded."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator

import pytest

from production import older
from production.attached import Brought
from production.images import ROOT
from production.node import OneNode
from production.parts import said
from tests.tools import GUIDES, kubernetes_clients

pytestmark = [pytest.mark.production, pytest.mark.timeout(900)]
CHART = ROOT / "spaces-helm-chart"
MARK = "keyless.dev/control-plane-id"
Helm = Callable[..., str]


@pytest.fixture
def helm(space: OneNode) -> Iterator[Helm]:
    """``helm`` as the administrator; whatever happens, the next test finds today's release."""
    clients = kubernetes_clients(GUIDES)
    assert clients is not None
    environ = {**os.environ, "KUBECONFIG": str(space.api.kubeconfig)}

    def asked(*words: object) -> str:
        return said(clients / "helm", *map(str, words), "-n", "default", "--wait", "--timeout", "300s", environ=environ)

    yield asked
    asked("upgrade", "--install", "spaces", CHART, "--reset-values")


def test_an_uninstall_lets_go_and_a_release_of_before_is_upgraded_with_everything_running(
    space: OneNode, brought: Brought, host_namespace: str, helm: Helm
) -> None:
    without_billing(space, host_namespace, helm)
    components_run(space, host_namespace, "0.1.0")
    helm("uninstall", "spaces")
    plane = space.object("controlplane", "ctp1", "-n", "default")
    assert not plane["metadata"].get("finalizers")
    space.kubectl("wait", "--for=delete", f"namespace/{host_namespace}", "--timeout=90s")
    brought.kubectl("wait", "--for=delete", "namespace/keyless-system", "--timeout=90s")
    assert ours_inside(brought) == []

    folder = older.sources()
    space.load(older.older_image(folder))
    space.tag(older.NAME, f"docker.io/keyless/keyless:{older.TAG}")
    released = ("--set", f"image.tag={older.TAG}", "--set", "controlPlanes.api.mode=attached")
    helm("install", "spaces", folder / "spaces-helm-chart", *released)
    components_run(space, host_namespace, older.TAG)
    assert (
        MARK
        not in json.loads(brought.kubectl("get", "namespace", "keyless-system", "-o", "json"))["metadata"]["labels"]
    )

    # Without it helm takes over the values of the release before, its tag among them.
    helm("upgrade", "spaces", CHART, "--reset-values")
    components_run(space, host_namespace, "0.1.0")
    control_plane_id = plane["status"]["controlPlaneID"]
    marked = "{.metadata.labels.keyless\\.dev/control-plane-id}"
    brought.kubectl("wait", "namespace/keyless-system", f"--for=jsonpath={marked}={control_plane_id}", "--timeout=60s")
    space.kubectl("wait", "controlplane/ctp1", "-n", "default", "--for=condition=Ready", "--timeout=60s")
    assert "keyless:operator" in ours_inside(brought)


def test_a_second_control_plane_on_the_same_api_is_refused_and_its_end_harms_nobody(
    space: OneNode, brought: Brought, host_namespace: str
) -> None:
    brought.attach("twice")
    reason = '{.status.conditions[?(@.type=="Ready")].reason}'
    space.kubectl("wait", "controlplane/twice", "-n", "default", f"--for=jsonpath={reason}=AlreadyAttached")
    before = ours_inside(brought)
    space.kubectl("delete", "controlplane/twice", "-n", "default", "--timeout=120s")
    assert ours_inside(brought) == before
    assert "keyless:external-secrets" in before
    components_run(space, host_namespace, "0.1.0")


def without_billing(space: OneNode, namespace: str, helm: Helm) -> None:
    """Give up what an earlier test left unstored: a host namespace with a volume outlives an uninstall."""
    helm("upgrade", "spaces", CHART, "--reset-values")
    space.kubectl("wait", "--for=delete", "deployment/vector", "-n", namespace, "--timeout=120s")
    space.kubectl("delete", "persistentvolumeclaims", "--all", "-n", namespace, "--timeout=60s")


def components_run(space: OneNode, namespace: str, tag: str) -> None:
    """Wait until the secrets controller runs from the image with this tag, and its control plane is ready."""
    space.kubectl("wait", "--for=create", f"namespace/{namespace}", "--timeout=90s")
    place = ("deployment/external-secrets", "-n", namespace, "--timeout=180s")
    space.kubectl("wait", "--for=create", *place)
    image = "{.spec.template.spec.containers[0].image}"
    space.parts.wait(
        f"the components to be of {tag}",
        lambda: space.kubectl("get", *place[:3], "-o", f"jsonpath={image}").endswith(f":{tag}"),
        180.0,
    )
    space.kubectl("rollout", "status", *place)
    space.kubectl("wait", "controlplane/ctp1", "-n", "default", "--for=condition=Ready", "--timeout=90s")


def ours_inside(brought: Brought) -> list[str]:
    """The operator's cluster-wide objects in the API that was brought."""
    label = "app.kubernetes.io/managed-by=spaces-operator"
    found = json.loads(brought.kubectl("get", "clusterroles,clusterrolebindings", "-l", label, "-o", "json"))["items"]
    return sorted({one["metadata"]["name"] for one in found})
