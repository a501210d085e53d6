"""What `keyless up` installs, waits for, writes down and exports."""

from __future__ import annotations

import asyncio
import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from keyless.api import Permanent
from keyless.kube import KubeObject
from keyless.kube.memory import MemoryKube
from keyless.kube.resources import CONTROLPLANES, CRDS, DAEMONSETS, DEPLOYMENTS, PODS
from keyless.local.boot import contents, manifests
from keyless.local.boot.exports import Access, exports, shell
from keyless.local.boot.kubeconfig import kubeconfig
from keyless.local.boot.running import Running, forget_running, read_running, write_running
from keyless.local.boot.trust import write_bundle
from keyless.local.boot.waiting import (
    daemon_set_is_missing,
    deployment_is_missing,
    readiness_is_missing,
    wait_for,
    wait_for_rollout,
)
from keyless.local.state import State

FACTS = manifests.WebhookFacts(port=1443, agent_port=1080, ca_pem="CA", certificate_pem="CERT", key_pem="KEY")
ACCESS = Access("/k", "/b", "http://aws", "AKIA", "it's", "us-west-2", "111122223333", "mxp-1-system")


def object_of(kind: str) -> KubeObject:
    return next(obj for res, obj in manifests.eks_objects(FACTS) if res.kind == kind)


def test_the_webhook_never_waits_for_itself() -> None:
    template = object_of("Deployment")["spec"]["template"]
    (hook,) = object_of("MutatingWebhookConfiguration")["webhooks"]
    (expression,) = hook["objectSelector"]["matchExpressions"]
    assert expression == {"key": manifests.SKIP_LABEL, "operator": "DoesNotExist"}
    assert manifests.SKIP_LABEL in template["metadata"]["labels"]
    assert hook["failurePolicy"] == "Ignore"


def test_the_webhook_is_registered_by_the_url_it_listens_on() -> None:
    (hook,) = object_of("MutatingWebhookConfiguration")["webhooks"]
    arguments = object_of("Deployment")["spec"]["template"]["spec"]["containers"][0]["args"]
    assert hook["clientConfig"]["url"] == "https://127.0.0.1:1443/mutate"
    assert "--port=1443" in arguments
    assert "--container-credentials-full-uri=http://127.0.0.1:1080/v1/credentials" in arguments


def test_the_registration_comes_after_what_it_points_to() -> None:
    assert [res.kind for res, _ in manifests.eks_objects(FACTS)][-1] == "MutatingWebhookConfiguration"


@pytest.mark.parametrize(
    ("status", "missing"),
    [
        ({}, "its newest specification was not looked at yet"),
        ({"observedGeneration": 2, "replicas": 1, "updatedReplicas": 1}, "0 of 1 replicas are available"),
        ({"observedGeneration": 2, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}, ""),
        (
            {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 1, "availableReplicas": 1},
            "1 of 1 replicas are available",
        ),
    ],
)
def test_a_rollout_is_over_when_nothing_old_is_left(status: KubeObject, missing: str) -> None:
    deployment = {"metadata": {"generation": 2}, "spec": {"replicas": 1}, "status": status}
    assert deployment_is_missing(deployment) == missing


def test_a_daemon_set_is_ready_when_all_its_pods_are() -> None:
    status = {"observedGeneration": 1, "desiredNumberScheduled": 1}
    daemon_set = {"metadata": {"generation": 1}, "status": status}
    assert daemon_set_is_missing(daemon_set) == "0 of 1 pods are ready"
    assert daemon_set_is_missing({**daemon_set, "status": {**status, "numberReady": 1}}) == ""


def test_why_something_is_not_ready_is_told_in_its_own_words() -> None:
    condition = {"type": "Ready", "status": "False", "reason": "NoApi", "message": "not yet"}
    assert readiness_is_missing({"status": {"conditions": [condition]}}) == "Ready=False NoApi not yet"
    assert readiness_is_missing({"status": {"conditions": [{**condition, "status": "True"}]}}) == ""


async def test_waiting_ends_when_the_object_says_so() -> None:
    kube = MemoryKube()
    waiting = asyncio.create_task(wait_for(kube, CONTROLPLANES, "ctp1", "default", readiness_is_missing, seconds=5))
    ready = {"type": "Ready", "status": "True"}
    kube.put(
        CONTROLPLANES,
        {"metadata": {"name": "ctp1", "namespace": "default"}, "status": {"conditions": [ready]}},
    )
    assert (await waiting)["metadata"]["name"] == "ctp1"


async def test_waiting_too_long_says_what_was_missing_last() -> None:
    kube = MemoryKube()
    kube.put(DEPLOYMENTS, {"metadata": {"name": "x", "namespace": "default"}, "spec": {}})
    with pytest.raises(
        Permanent, match=r"Deployment default/x: expected to be ready within 0\.05 s, found: its newest"
    ):
        await wait_for(kube, DEPLOYMENTS, "x", "default", deployment_is_missing, seconds=0.05)


async def test_a_rollout_that_does_not_come_about_tells_what_its_pods_say() -> None:
    kube = MemoryKube()
    labels = {"app": "x"}
    spec = {"selector": {"matchLabels": labels}}
    kube.put(DEPLOYMENTS, {"metadata": {"name": "x", "namespace": "default"}, "spec": spec})
    waiting = {"name": "app", "ready": False, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    metadata = {"name": "x-1", "namespace": "default", "labels": labels}
    kube.put(PODS, {"metadata": metadata, "status": {"containerStatuses": [waiting]}})
    kube.texts["/api/v1/namespaces/default/pods/x-1/log"] = "ModuleNotFoundError: no module\n"
    with pytest.raises(Permanent, match="pod x-1: CrashLoopBackOff: ModuleNotFoundError: no module"):
        await wait_for_rollout(kube, DEPLOYMENTS, "x", "default", deployment_is_missing, seconds=0.05)


async def test_the_webhook_is_proven_by_a_pod_that_is_never_stored() -> None:
    kube = MemoryKube()
    status = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}
    metadata = {"name": manifests.WEBHOOK, "namespace": "kube-system"}
    kube.put(DEPLOYMENTS, {"metadata": metadata, "spec": {"replicas": 1}, "status": status})

    def inject(operation: str, resource: str, obj: KubeObject) -> KubeObject:
        if resource != "pods":
            return obj
        containers = [{**c, "env": [{"name": "AWS_ROLE_ARN"}]} for c in obj["spec"]["containers"]]
        return {**obj, "spec": {**obj["spec"], "containers": containers}}

    kube.admit = inject
    await contents.prove_webhook(kube)
    assert not any("pods" in call and "POST" not in call for call in kube.calls)
    assert "DELETE /api/v1/namespaces/kube-system/serviceaccounts/identity-probe" in kube.calls


async def test_the_agent_is_awaited_only_where_its_addon_exists() -> None:
    kube = MemoryKube()
    await contents.await_agent(kube)
    status = {"observedGeneration": 1, "desiredNumberScheduled": 1, "numberReady": 1}
    kube.put(DAEMONSETS, {"metadata": {"name": contents.AGENT, "namespace": "kube-system"}, "status": status})
    await contents.await_agent(kube)


async def test_the_release_and_the_control_plane_are_made_once_and_then_left_alone(tmp_path: Path) -> None:
    kube, state = MemoryKube(), State.open(tmp_path / "state")

    def ready(operation: str, resource: str, obj: KubeObject) -> KubeObject:
        good = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}
        return {**obj, "status": good} if resource == "deployments" else obj

    kube.admit = ready
    await contents.install_release(kube, state)
    names = {call.rpartition("/")[2] for call in kube.calls if call.startswith(("POST", "PATCH"))}
    assert {"secrets", "spaces-operator", "spaces-values"} <= names
    kube.calls.clear()
    await contents.install_release(kube, state)
    assert not any(call.startswith(("POST", "PATCH")) for call in kube.calls)
    state.close()


async def test_the_first_control_plane_waits_for_its_definition_and_then_for_itself(tmp_path: Path) -> None:
    kube, state = MemoryKube(), State.open(tmp_path / "state")
    starting = asyncio.create_task(contents.first_control_plane(kube, state))
    name = "controlplanes.spaces.upbound.io"
    kube.put(CRDS, {"metadata": {"name": name}, "status": {"conditions": [{"type": "Established", "status": "True"}]}})
    ready = {"conditions": [{"type": "Ready", "status": "True"}], "hostNamespace": "mxp-1-system"}
    async with asyncio.timeout(5):
        while not (found := kube.stored(CONTROLPLANES)):
            await asyncio.sleep(0)
    kube.put(CONTROLPLANES, {**found[0], "status": ready})
    assert await starting == "mxp-1-system"
    await kube.delete(CONTROLPLANES, "ctp1", "default")
    assert await contents.first_control_plane(kube, state) == ""  # deleted by its owner: not made again
    state.close()


def test_exports_are_quoted_for_the_shell() -> None:
    line = next(line for line in shell(exports(ACCESS)).splitlines() if "SECRET_ACCESS_KEY" in line)
    assert shlex.split(line) == ["export", "AWS_SECRET_ACCESS_KEY=it's"]
    assert shell({"KUBECONFIG": "/k"}) == "export KUBECONFIG=/k"


def test_the_secret_key_stays_out_of_representations() -> None:
    assert "it's" not in repr(ACCESS)


def test_a_running_space_is_known_by_its_lock(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    state = State.open(folder)
    running = Running(1, str(folder), "2026-11-22T12:00:00+00:00", {"aws": "http://x"}, ready=True)
    assert read_running(folder) is None
    write_running(folder, running)
    assert read_running(folder) == running
    state.close()
    assert read_running(folder) is None  # the file of a process that was killed means nothing
    forget_running(folder)


def test_the_bundle_holds_the_systems_roots_and_ours_once(tmp_path: Path) -> None:
    roots = tmp_path / "roots.pem"
    roots.write_text("ROOTS\n")
    bundle = write_bundle(tmp_path, "OURS\n", {"SSL_CERT_FILE": str(roots)})
    assert bundle.read_text() == "ROOTS\nOURS\n"
    assert "OURS" not in write_bundle(tmp_path, "NEW\n", {"SSL_CERT_FILE": str(bundle)}).read_text()


def test_a_kubeconfig_is_complete_in_itself() -> None:
    config: Any = json.loads(json.dumps(kubeconfig("keyless", "https://127.0.0.1:1", "CA", "token")))
    assert config["contexts"][0]["context"] == {"cluster": "keyless", "user": "keyless", "namespace": "default"}
    assert config["clusters"][0]["cluster"]["certificate-authority-data"] == "Q0E="
