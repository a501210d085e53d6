"""What a real API server and its controllers make of a node that went with a pod: that is what is told, with a step.

No node takes part: its kubelet's last words are written by the test, and then it is silent.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from conformance.kubernetes.record_interactions import TOKEN, servers
from keyless.space.control_planes.lost_nodes import suspects, told
from production.binaries import built
from production.parts import Parts, said
from tests.tools import GUIDES, kubernetes_clients

pytestmark = [pytest.mark.production, pytest.mark.timeout(420)]
CONTROLLERS = (
    "statefulset-controller,node-lifecycle-controller,taint-eviction-controller,pod-garbage-collector-controller"
)
PODS = "/api/v1/namespaces/default/pods"
POD = f"{PODS}/control-plane-0"
NODE = "/api/v1/nodes/n1"
READY = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": ""}


class Silent:
    """A host of an API server and controllers, with node ``n1`` of words alone."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.parts = Parts(folder)
        self.url = servers(stack, built(), folder)
        headers = {"authorization": f"Bearer {TOKEN}"}
        self._client = httpx.Client(base_url=self.url, verify=False, headers=headers, trust_env=False, timeout=20)
        self.kubeconfig = folder / "kubeconfig"
        cluster = {"name": "c", "cluster": {"server": self.url, "insecure-skip-tls-verify": True}}
        config = {
            "apiVersion": "v1", "kind": "Config", "clusters": [cluster], "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "users": [{"name": "u", "user": {"token": TOKEN}}],
        }  # fmt: skip
        self.kubeconfig.write_text(json.dumps(config))
        self.parts.wait("the API server", lambda: _quiet(lambda: self._client.get("/readyz").text == "ok"))
        self.parts.start(
            "controllers", built() / "kube-controller-manager", f"--kubeconfig={self.kubeconfig}",
            f"--controllers={CONTROLLERS}", "--leader-elect=false", "--secure-port=0",
            "--node-monitor-grace-period=12s", "--node-monitor-period=2s", environ={"PATH": os.environ["PATH"]},
        )  # fmt: skip

    def ask(self, method: str, path: str, body: object = None, *, media: str = "application/json") -> Any:
        """An answer, which is none where there is no such thing."""
        content = json.dumps(body).encode() if body is not None else None
        answer = self._client.request(method, path, content=content, headers={"content-type": media})
        assert answer.status_code < 300 or answer.status_code == 404, answer.text
        return answer.json() if answer.status_code < 300 else None

    def close(self) -> None:
        """Let go of the connection, and end the controllers."""
        self._client.close()
        self.parts.end_all()

    def status(self, path: str, **words: object) -> None:
        """What a kubelet writes."""
        self.ask("PATCH", f"{path}/status", {"status": words}, media="application/merge-patch+json")

    def beat(self, *nodes: str) -> None:
        """The kubelets say that they are there."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        for name in nodes:
            self.status(f"/api/v1/nodes/{name}", conditions=[{**READY, "lastHeartbeatTime": now}])

    def until(self, what: str, holds: Callable[[], bool], seconds: float = 90.0) -> None:
        """Wait, while the other node reports: where none does no pod is deleted, for it may be the host's own fault."""

        def look() -> bool:
            self.beat("n2")
            return holds()

        self.parts.wait(what, look, seconds)

    def told(self) -> str:
        """What the operator would say of the pod as it is."""
        pod, node = self.ask("GET", POD), self.ask("GET", NODE)
        assert suspects([pod]) in ((), ("n1",))
        return told([pod], {"n1": node})

    def run(self) -> None:
        """The pod of the StatefulSet is bound to the node, and its kubelet says that it runs."""
        self.parts.wait("the pod", lambda: self.ask("GET", POD) is not None)
        binding = {"metadata": {"name": "control-plane-0"}, "target": {"kind": "Node", "name": "n1"}}
        self.ask("POST", f"{POD}/binding", binding)
        self.status(POD, phase="Running", conditions=[{"type": "Ready", "status": "True"}])


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Silent]:
    with ExitStack() as stack:
        found = Silent(stack, tmp_path)
        # Before the API server, which waits for whoever watches.
        stack.callback(found.close)
        yield found


def test_a_pod_on_a_node_that_went_is_told_and_the_printed_step_has_it_made_elsewhere(host: Silent) -> None:
    host.ask("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
    for name in ("n1", "n2"):
        host.ask("POST", "/api/v1/nodes", {"metadata": {"name": name}})
    host.beat("n1", "n2")
    host.ask("POST", "/apis/apps/v1/namespaces/default/statefulsets", _stateful_set())
    host.run()
    host.beat("n1")
    assert host.told() == ""

    host.until("the silence to be told", lambda: "has not reported since" in host.told())
    host.until("the pod to be deleted", lambda: "deletionTimestamp" in host.ask("GET", POD)["metadata"])
    lost = host.ask("GET", POD)
    # Its grace is over long ago, and nobody says that it has ended.
    until = time.monotonic() + 10
    host.until("ten seconds", lambda: time.monotonic() > until)
    assert host.ask("GET", POD)["metadata"]["uid"] == lost["metadata"]["uid"]
    said_of_it = host.told()
    print(said_of_it)
    printed = re.search(r"`(kubectl taint [^`]*)`", said_of_it)
    assert printed is not None
    _run(host, printed[1])
    host.until("another pod", lambda: (host.ask("GET", POD) or lost)["metadata"]["uid"] != lost["metadata"]["uid"])

    # One whose node comes back before that is as it was.
    host.run()
    assert "marked as out of service" in _of_one_that_is_not_ready(host)
    host.beat("n1")
    printed = re.search(r"`(kubectl taint [^`]*)`", _of_one_that_is_not_ready(host) or "")
    _run(host, "kubectl taint nodes n1 node.kubernetes.io/out-of-service-")
    assert printed is None, "a node that reports is no lost one"
    assert host.told() == ""


def _of_one_that_is_not_ready(host: Silent) -> str:
    pod = host.ask("GET", POD)
    return told([{**pod, "status": {}}], {"n1": host.ask("GET", NODE)})


def _run(host: Silent, command: str) -> None:
    clients = kubernetes_clients(GUIDES)
    assert clients is not None
    # kubectl keeps what it learned in its home.
    home = str(host.kubeconfig.parent)
    environ = {"PATH": f"{clients}:/usr/bin:/bin", "KUBECONFIG": str(host.kubeconfig), "HOME": home}
    said("sh", "-c", command, environ=environ)


def _quiet(holds: Callable[[], bool]) -> bool:
    try:
        return holds()
    except httpx.HTTPError:
        return False


def _stateful_set() -> dict[str, Any]:
    labels = {"app": "control-plane"}
    soon = {"effect": "NoExecute", "operator": "Exists", "tolerationSeconds": 3}
    spec = {
        "terminationGracePeriodSeconds": 1,
        "containers": [{"name": "etcd", "image": "any"}],
        "tolerations": [
            {**soon, "key": "node.kubernetes.io/unreachable"}, {**soon, "key": "node.kubernetes.io/not-ready"}
        ],
    }  # fmt: skip
    template = {"metadata": {"labels": labels}, "spec": spec}
    return {
        "metadata": {"name": "control-plane"},
        "spec": {"serviceName": "control-plane", "selector": {"matchLabels": labels}, "template": template},
    }
