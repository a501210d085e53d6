"""A pod of the host namespace that is not ours works inside as an account of its own there, and is metered."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from e2e import acting, seeing
from e2e.local_space import LocalSpace
from e2e.planes import VPCS, Plane, delete_plane
from e2e.usage import stored
from keyless.kube import Kube, Resource
from keyless.kube.resources import CLUSTERROLES, CONTROLPLANES, PODS, SECRETS, SERVICEACCOUNTS
from tools import GUIDES, kubernetes_clients

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
ROLE = "makes-vpcs"
RULE = {"apiGroups": [VPCS.group], "resources": [VPCS.plural], "verbs": ["get", "list", "create"]}
VPC = json.dumps({"apiVersion": VPCS.api_version, "kind": VPCS.kind, "metadata": {"name": "beside"}, "spec": {}})
MADE = f"""
kubectl auth whoami -o jsonpath='{{.status.userInfo.username}}{{"\\n"}}'
echo '{VPC}' | kubectl create -f -
kubectl get secrets -A
exec sleep 600
"""
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def clients() -> Path:
    found = kubernetes_clients(GUIDES)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("kubectl is missing: run `make tools`")
        pytest.skip("kubectl is missing: run `make tools` (needs npm)")
    return found


@pytest.fixture
def kubectl(space: LocalSpace, clients: Path, tmp_path: Path) -> Run:
    def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [clients / "kubectl", *words],
            env={**space.environ, "HOME": str(tmp_path), **more},
            cwd="/",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


async def name(host: Kube, plane: Plane, controllers: str | None) -> None:
    annotations = {"keyless.dev/controllers": controllers}
    await host.patch(CONTROLPLANES, plane.name, {"metadata": {"annotations": annotations}}, "default")


async def there(host: Kube, res: Resource, wanted: str, namespace: str) -> seeing.Object:
    return await seeing.wait_for(host, res, wanted, namespace, lambda found: "", seconds=60.0)


async def test_a_pod_beside_it_works_inside_with_its_own_rights_and_what_it_makes_is_counted(
    space: LocalSpace, host: Kube, plane: Plane, kubectl: Run, clients: Path
) -> None:
    acting.make_provider(space)
    acting.make_role(space, plane.role, acting.irsa_trust(space, plane.subject), acting.bucket_policy(plane.bucket))
    await acting.helm_upgrade(host, acting.billing_values(space, plane.bucket, plane.role))
    await seeing.condition(host, plane.name, "BillingStored", "True", containing=f":assumed-role/{plane.role}/")
    await plane.tenant.apply(CLUSTERROLES, {"metadata": {"name": ROLE}, "rules": [RULE]}, field_manager="e2e")
    await name(host, plane, f"crossplane={ROLE}")
    await there(host, SECRETS, "kubeconfig-crossplane", plane.namespace)

    await host.create(SERVICEACCOUNTS, {"metadata": {"name": "crossplane"}}, plane.namespace)
    container = {
        "name": "crossplane",
        "image": "keyless/keyless:0.1.0",
        "command": ["/bin/sh", "-c", MADE],
        "env": [
            {"name": "KUBECONFIG", "value": "/etc/control-plane/kubeconfig"},
            {"name": "PATH", "value": f"{clients}:/usr/bin:/bin"},
        ],
        "volumeMounts": [{"name": "control-plane", "mountPath": "/etc/control-plane", "readOnly": True}],
    }
    spec = {
        "serviceAccountName": "crossplane",
        "automountServiceAccountToken": False,
        "containers": [container],
        "volumes": [{"name": "control-plane", "secret": {"secretName": "kubeconfig-crossplane"}}],
    }
    metadata = {"name": "crossplane", "labels": {"app": "crossplane"}}
    await host.create(PODS, {"metadata": metadata, "spec": spec}, plane.namespace)
    await there(plane.tenant, VPCS, "beside", "")
    told = kubectl("logs", "crossplane", "-n", plane.namespace).stdout
    assert "system:serviceaccount:keyless-system:crossplane\n" in told
    assert "vpc.ec2.aws.upbound.io/beside created" in told
    assert 'cannot list resource "secrets"' in told

    await delete_plane(host, plane)
    seen = stored(space, plane.bucket, plane.namespace)
    seen.check_nothing_is_missing()
    assert 4 in seen.counts


async def test_its_kubeconfig_holds_beside_its_files_and_ends_with_its_name(
    host: Kube, plane: Plane, kubectl: Run, tmp_path: Path
) -> None:
    await plane.tenant.apply(CLUSTERROLES, {"metadata": {"name": ROLE}, "rules": [RULE]}, field_manager="e2e")
    await name(host, plane, f"vector,crossplane={ROLE}")
    secret = await there(host, SECRETS, "kubeconfig-crossplane", plane.namespace)
    refused = await seeing.condition(host, plane.name, "Synced", "False", containing="'vector': expected a name")
    assert "ControllerRefused" in str(refused)
    folder = tmp_path / "mounted"
    folder.mkdir()
    for key, value in secret["data"].items():
        (folder / key).write_bytes(base64.b64decode(value))
    with_it = {"KUBECONFIG": str(folder / "kubeconfig")}
    assert "payments" in kubectl("get", "vpcs", **with_it).stdout
    token = (folder / "token").read_text()
    (folder / "token").write_text("another")
    assert "Unauthorized" in kubectl("get", "vpcs", **with_it).stderr
    (folder / "token").write_text(token)
    assert kubectl("get", "vpcs", **with_it).returncode == 0

    await name(host, plane, None)
    await seeing.gone(host, SECRETS, "kubeconfig-crossplane", plane.namespace)
    assert "Unauthorized" in kubectl("get", "vpcs", **with_it).stderr
    await seeing.condition(host, plane.name, "Synced", "True")
