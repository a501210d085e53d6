"""The node at work, over an API server in memory."""

from __future__ import annotations

import asyncio
import base64
import json
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

from keyless.kube import KubeObject
from keyless.kube.memory import MemoryKube
from keyless.kube.resources import CONFIGMAPS, EVENTS, LEASES, NODES, PERSISTENTVOLUMECLAIMS, PODS, SECRETS
from unit.local.node.local_node import Clock, Node


def is_ready(status: KubeObject) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in status["conditions"])


def waits_for(reason: str) -> Any:
    return lambda status: status["containerStatuses"][0]["state"].get("waiting", {}).get("reason") == reason


async def test_the_node_registers_itself_and_its_kubelet(node: Node) -> None:
    found = await node.kube.get(NODES, "local-node")
    assert found["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"] == 10250
    assert {c["type"]: c["status"] for c in found["status"]["conditions"]}["Ready"] == "True"
    assert found["metadata"]["labels"]["kubernetes.io/hostname"] == "local-node"
    lease = await node.kube.get(LEASES, "local-node", "kube-node-lease")
    assert lease["spec"]["holderIdentity"] == "local-node"


async def test_a_pod_runs_and_gets_ready_with_an_address_of_its_own(node: Node) -> None:
    node.pod()
    status = await node.status_of("web", is_ready)
    assert status["phase"] == "Running"
    assert status["podIP"].startswith("127.")
    assert status["podIP"] != "127.0.0.1"


async def test_a_pod_of_the_host_network_has_the_hosts_address(node: Node) -> None:
    node.pod(hostNetwork=True)
    assert (await node.status_of("web", is_ready))["podIP"] == "127.0.0.1"


async def test_an_environment_is_empty_but_for_the_node_and_the_manifest(node: Node) -> None:
    node.pod(containers=[{"name": "app", "image": "app", "env": [{"name": "MINE", "value": "1"}]}])
    launch = (await node.processes.nth(1)).launch
    assert set(launch.env) == {
        "PATH",
        "HOME",
        "HOSTNAME",
        "KUBERNETES_SERVICE_HOST",
        "KUBERNETES_SERVICE_PORT",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_STS",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "MINE",
    }
    assert list(launch.argv) == ["run-app"]


async def test_a_region_of_the_pod_wins_over_the_nodes(node: Node) -> None:
    node.pod(containers=[{"name": "app", "image": "app", "env": [{"name": "AWS_REGION", "value": "eu-west-1"}]}])
    env = (await node.processes.nth(1)).launch.env
    assert env["AWS_REGION"] == "eu-west-1"
    assert "AWS_DEFAULT_REGION" not in env


async def test_an_endpoint_of_the_pod_is_for_sts_too(node: Node) -> None:
    own = {"name": "AWS_ENDPOINT_URL", "value": "http://elsewhere"}
    node.pod(containers=[{"name": "app", "image": "app", "env": [own]}])
    env = (await node.processes.nth(1)).launch.env
    assert env["AWS_ENDPOINT_URL"] == "http://elsewhere"
    assert "AWS_ENDPOINT_URL_STS" not in env


async def test_our_own_image_is_called_with_its_arguments(node: Node) -> None:
    node.pod(containers=[{"name": "app", "image": "keyless/keyless:0.1.0", "args": ["run", "vector"]}])
    launch = (await node.processes.nth(1)).launch
    assert (launch.function, launch.arguments) == ("m:f", ("run", "vector"))


async def test_a_mounted_token_comes_with_a_kubeconfig_that_reads_it(node: Node) -> None:
    folder = "/var/run/secrets/kubernetes.io/serviceaccount"
    node.pod(
        containers=[{"name": "app", "image": "app", "volumeMounts": [{"name": "token", "mountPath": folder}]}],
        volumes=[{"name": "token", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}],
    )
    launch = (await node.processes.nth(1)).launch
    config = json.loads(Path(launch.env["KUBECONFIG"]).read_text())
    assert config["users"][0]["user"]["tokenFile"].endswith("/token")
    assert config["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:6443"
    (bind,) = launch.binds
    assert Path(bind.source, "token").read_text() == "token-1-for-default/web-to-"


async def test_a_missing_secret_holds_the_container_until_it_is_there(node: Node) -> None:
    source = {"secretKeyRef": {"name": "billing-storage", "key": "id"}}
    node.pod(containers=[{"name": "app", "image": "app", "env": [{"name": "ID", "valueFrom": source}]}])
    status = await node.status_of("web", waits_for("CreateContainerConfigError"))
    assert status["containerStatuses"][0]["state"]["waiting"]["message"] == 'secret "billing-storage" not found'
    assert status["phase"] == "Pending"
    data = {"id": base64.b64encode(b"AKIA").decode()}
    node.kube.put(SECRETS, {"metadata": {"name": "billing-storage", "namespace": "default"}, "data": data})
    assert (await node.processes.nth(1)).launch.env["ID"] == "AKIA"


async def test_an_image_that_cannot_be_run_waits_and_says_what_can(node: Node) -> None:
    node.pod(containers=[{"name": "app", "image": "nginx:1"}])
    status = await node.status_of("web", waits_for("ErrImagePull"))
    assert "this node can run: app, keyless/keyless" in status["containerStatuses"][0]["state"]["waiting"]["message"]
    assert node.processes.started == []


async def test_changed_sources_reach_a_running_pod(node: Node) -> None:
    config = {"metadata": {"name": "conf", "namespace": "default"}, "data": {"x": "1"}}
    node.kube.put(CONFIGMAPS, config)
    mounts = [{"name": "conf", "mountPath": "/etc/conf"}]
    node.pod(
        containers=[{"name": "app", "image": "app", "volumeMounts": mounts}],
        volumes=[{"name": "conf", "configMap": {"name": "conf"}}],
    )
    folder = Path((await node.processes.nth(1)).launch.binds[0].source)
    assert (folder / "x").read_text() == "1"
    node.kube.put(CONFIGMAPS, {**config, "data": {"x": "2"}})
    async with asyncio.timeout(5):
        while (folder / "x").read_text() != "2":
            await asyncio.sleep(0)


async def test_a_claims_folder_outlives_the_pod(node: Node) -> None:
    claim = {"metadata": {"name": "spool", "namespace": "default"}, "spec": {"volumeName": "pv-1"}}
    node.kube.put(PERSISTENTVOLUMECLAIMS, claim)
    spec = {
        "containers": [{"name": "app", "image": "app", "volumeMounts": [{"name": "v", "mountPath": "/var/lib/x"}]}],
        "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "spool"}}],
    }
    node.pod("one", **spec)
    folder = Path((await node.processes.nth(1)).launch.binds[0].source)
    (folder / "kept").write_text("x")
    await node.delete("one")
    await node.confirmed("one")
    node.pod("two", **spec)
    second = Path((await node.processes.nth(2)).launch.binds[0].source)
    assert (second / "kept").read_text() == "x"


async def test_a_container_that_ends_is_started_again_with_a_count(node: Node) -> None:
    node.pod()
    (await node.processes.nth(1)).end(1)
    (await node.processes.nth(2)).end(1)
    status = await node.status_of("web", waits_for("CrashLoopBackOff"))
    container = status["containerStatuses"][0]
    assert container["restartCount"] == 1
    assert container["lastState"]["terminated"]["exitCode"] == 1
    assert status["phase"] == "Running"
    node.clock.time += timedelta(seconds=10)
    node.kubelet.worker("default", "web").sources_changed()  # type: ignore[union-attr]  # it is there
    await node.processes.nth(3)


async def test_deletion_asks_first_and_then_confirms(node: Node) -> None:
    node.pod(terminationGracePeriodSeconds=5)
    process = await node.processes.nth(1)
    await node.status_of("web", is_ready)
    await node.delete("web")
    await node.confirmed("web")
    assert process.signals == [signal.SIGTERM]
    assert list((node.folder / "pods").iterdir()) == []


async def test_a_pod_that_vanishes_takes_its_processes_with_it(node: Node) -> None:
    node.pod()
    process = await node.processes.nth(1)
    await node.status_of("web", is_ready)
    await node.kube.delete(PODS, "web", "default")
    await process.wait()


async def test_a_failed_liveness_probe_restarts_the_container(node: Node) -> None:
    probe = {"tcpSocket": {"port": 1}, "failureThreshold": 1, "periodSeconds": 1}
    node.pod(containers=[{"name": "app", "image": "app", "livenessProbe": probe}])
    first = await node.processes.nth(1)
    await node.processes.nth(2)
    assert first.signals == [signal.SIGTERM]
    events = (await node.kube.list(EVENTS, "default")).items
    assert any(e["reason"] == "Unhealthy" and "Liveness probe failed" in e["message"] for e in events)


async def test_a_pod_without_a_succeeding_readiness_probe_is_not_ready(node: Node) -> None:
    probe = {"tcpSocket": {"port": 1}}
    node.pod(containers=[{"name": "app", "image": "app", "readinessProbe": probe}])
    status = await node.status_of("web", lambda status: status["phase"] == "Running")
    assert not is_ready(status)


async def test_unbound_pods_are_bound_to_the_node(node: Node) -> None:
    node.pod("free", nodeName="")
    async with asyncio.timeout(5):
        while "POST /api/v1/namespaces/default/pods/free/binding" not in node.kube.calls:
            await asyncio.sleep(0)


async def test_a_restarted_node_starts_the_same_pods_again(tmp_path: Path, kube: MemoryKube, clock: Clock) -> None:
    first = Node(tmp_path / "node", kube, clock)
    await first.kubelet.settled()
    first.pod()
    address = (await first.status_of("web", is_ready))["podIP"]
    await first.stop()
    second = Node(tmp_path / "node", kube, clock)
    await second.kubelet.settled()
    await second.processes.nth(1)
    status = await second.status_of("web", lambda s: is_ready(s) and s["containerStatuses"][0]["restartCount"] == 1)
    assert status["podIP"] == address
    await second.stop()


async def test_events_tell_the_story_of_a_start(node: Node) -> None:
    node.pod()
    await node.status_of("web", is_ready)
    async with asyncio.timeout(5):
        while True:
            told = {event["reason"] for event in (await node.kube.list(EVENTS, "default")).items}
            if told >= {"Pulled", "Created", "Started"}:
                break
            await asyncio.sleep(0)
