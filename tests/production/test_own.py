"""Control planes of their own on a real Kubernetes: kube-apiserver and etcd as pods of the host namespace."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from production.node import OneNode
from production.owning import Owned

pytestmark = [pytest.mark.production, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def owned(space: OneNode, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Owned]:
    """Control plane ``own1``, ready."""
    found = Owned(space, "own1", tmp_path_factory.mktemp("o"))
    found.create()
    yield found
    found.delete()


def test_a_control_plane_that_names_no_api_has_one_of_its_own(owned: Owned) -> None:
    (pod,) = owned.space.object("pods", "-n", owned.namespace, "-l", "app.kubernetes.io/name=control-plane")["items"]
    assert [one["name"] for one in pod["spec"]["containers"]] == ["etcd", "kube-apiserver", "kube-controller-manager"]
    assert all(one["ready"] and not one["restartCount"] for one in pod["status"]["containerStatuses"])
    print(f"ready after {owned.seconds:.1f} s")


def test_a_tenant_works_inside_with_kubectl(owned: Owned) -> None:
    owned.kubectl("create", "namespace", "shop")
    owned.kubectl("create", "secret", "generic", "s", "-n", "shop", "--from-literal=word=xyzzy-plugh")
    owned.space.parts.wait("a default account", lambda: "default" in owned.kubectl("get", "sa", "-n", "shop"))
    token = owned.kubectl("create", "token", "default", "-n", "shop")
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert claims["iss"] == f"https://control-plane.{owned.namespace}.svc"
    owned.kubectl("delete", "namespace", "shop", "--timeout=60s")


def test_what_is_in_etcd_of_a_secret_is_encrypted(owned: Owned) -> None:
    owned.kubectl("create", "secret", "generic", "sealed", "-n", "default", "--from-literal=word=xyzzy-plugh")
    held = b"".join(path.read_bytes() for path in owned.volume.rglob("*") if path.is_file())
    assert b"/registry/secrets/default/sealed" in held
    assert b"xyzzy-plugh" not in held


def test_a_pod_that_is_killed_loses_nothing_that_was_stored(owned: Owned) -> None:
    owned.kubectl("create", "configmap", "kept", "-n", "default", "--from-literal=a=b")
    owned.space.kubectl("delete", "pod", "control-plane-0", "-n", owned.namespace, "--grace-period=0", "--force")
    began = time.monotonic()
    owned.space.parts.wait(
        "the API to answer again", lambda: owned.answers("get", "configmap", "kept", "-n", "default")
    )
    print(f"answered again after {time.monotonic() - began:.1f} s")
    owned.wait("Ready", "True")


def test_components_run_beside_it_with_their_own_rights_inside(owned: Owned) -> None:
    for name in ("external-secrets",):
        owned.space.kubectl("wait", "--for=create", f"deployment/{name}", "-n", owned.namespace, "--timeout=60s")
        owned.space.kubectl("rollout", "status", f"deployment/{name}", "-n", owned.namespace, "--timeout=120s")
    assert "keyless:external-secrets" in owned.kubectl("get", "clusterroles")


def test_a_deletion_leaves_nothing(space: OneNode, tmp_path: Path) -> None:
    own = Owned(space, "own2", tmp_path)
    own.create()
    namespace = own.namespace
    own.delete()
    found = space.kubectl("get", "namespace", namespace, "--ignore-not-found")
    assert not found, found
