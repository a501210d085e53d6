"""``keyless up --cluster`` beside a bare kube-apiserver with etcd: no nodes, no controllers, nothing of ours before."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from production.api import Api
from production.binaries import GIVEN, built
from production.images import ROOT
from production.parts import Parts, said
from production.pki import Pki
from tests.tools import GUIDES, aws_cli, kubernetes_clients

PORT = 17743
KEYLESS = (sys.executable, "-m", "keyless")


class Lone:
    """The API server on loopback, and the Space beside it."""

    def __init__(self, folder: Path, binaries: Path, kubectl: Path, port: int) -> None:
        self.folder, self._kubectl = folder, kubectl
        self.state = folder / "state"
        self.parts = Parts(folder)
        pki = Pki(folder / "pki")
        self.api = Api("lone", folder, binaries, pki, self.parts, port=port, address="127.0.0.1")
        pki.certify("api-kubelet", user="kube-apiserver-kubelet-client", groups=("system:masters",))
        pki.certify("stranger", user="stranger")
        self.api.kubelet_client, self.api.kubelet_authority = "api-kubelet", ""

    def kubectl(self, *words: str, given: object = None) -> str:
        document = None if given is None else json.dumps(given)
        return said(self._kubectl, "--kubeconfig", self.api.kubeconfig, *words, given=document)

    def object(self, *words: str) -> Any:
        return json.loads(self.kubectl("get", *words, "-o", "json"))

    def keyless(self, *words: str) -> str:
        return said(*KEYLESS, *words, environ={**os.environ, "KEYLESS_STATE": str(self.state)})

    def up(self) -> str:
        return self.keyless("up", "--detach", "--cluster", str(self.api.kubeconfig))

    def awaited(self, what: str, holds: Any) -> None:
        until = time.monotonic() + 60
        while not holds():
            assert time.monotonic() < until, f"waited a minute for {what}"
            time.sleep(0.2)


@contextmanager
def started(folder: Path, port: int) -> Iterator[Lone]:
    """An API server that nobody else asks, with the Space beside it."""
    clients = kubernetes_clients(GUIDES)
    assert clients is not None, "run `make tools`"
    given = os.environ.get(GIVEN)
    found = Lone(folder, Path(given) if given else built(), clients / "kubectl", port)
    try:
        found.api.up()
        # Nobody is there to make it: a controller would.
        found.kubectl("create", "serviceaccount", "default", "-n", "default")
        found.up()
        yield found
    finally:
        subprocess.run([*KEYLESS, "down", "--state", str(found.state)], check=False, capture_output=True)
        found.parts.end_all()


@pytest.fixture(scope="module")
def lone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lone]:
    with started(tmp_path_factory.mktemp("l"), PORT) as found:
        yield found


def pod(name: str, script: str, **spec: Any) -> dict[str, Any]:
    container = {"name": "main", "image": "keyless/keyless:0.1.0", "command": ["/bin/sh", "-c", script]}
    asks = {"nodeSelector": {"keyless.dev/node": "local-node"}, "automountServiceAccountToken": False}
    made = {"containers": [container], "restartPolicy": "Never", **asks, **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"}, "spec": made}


def test_the_node_is_there_and_takes_none_that_does_not_ask(lone: Lone) -> None:
    node = lone.object("node", "local-node")
    assert {one["type"]: one["status"] for one in node["status"]["conditions"]}["Ready"] == "True"
    assert {"key": "keyless.dev/node", "effect": "NoSchedule"} in node["spec"]["taints"]
    lone.kubectl("apply", "-f", "-", given=pod("stranger", "true", nodeSelector={}))
    lone.kubectl("apply", "-f", "-", given=pod("asking", "echo from a process of this machine; sleep 60"))
    lone.kubectl("wait", "pod/asking", "--for=jsonpath={.status.phase}=Running", "--timeout=60s")
    assert "nodeName" not in lone.object("pod", "stranger")["spec"]


def test_logs_come_through_the_api_server(lone: Lone) -> None:
    lone.kubectl("apply", "-f", "-", given=pod("speaking", "echo hello; echo again; sleep 60"))
    lone.kubectl("wait", "pod/speaking", "--for=jsonpath={.status.phase}=Running", "--timeout=60s")
    lone.awaited("its words", lambda: lone.kubectl("logs", "speaking") == "hello\nagain\n")
    assert lone.kubectl("logs", "speaking", "--tail=1") == "again\n"


def test_logs_are_for_those_alone_whom_the_cluster_lets(lone: Lone) -> None:
    address = lone.object("node", "local-node")["status"]
    port = address["daemonEndpoints"]["kubeletEndpoint"]["Port"]
    url = f"https://127.0.0.1:{port}/containerLogs/default/speaking/main"
    pki = lone.api.kubeconfig.parent
    curl = ("curl", "--silent", "--cacert", str(lone.state / "authority" / "ca.crt"), "--write-out", " %{http_code}")
    assert said(*curl, url).endswith(" 401")
    shown = ("--cert", f"{pki}/stranger.crt", "--key", f"{pki}/stranger.key")
    assert said(*curl, *shown, url).endswith("nodes, subresource=proxy) 403")


def test_a_pod_gets_a_role_by_its_own_token(lone: Lone) -> None:
    """The issuer is that API server's: STS reads its keys there, and trusts no other."""
    exported = dict(
        line.removeprefix("export ").split("=", 1)
        for line in lone.keyless("env").splitlines()
        if line.startswith("export ")
    )
    provider = exported["YOUR_OIDC_PROVIDER"].strip("'")
    assert provider == "127.0.0.1", "IAM names an issuer without its port"
    environ = {**os.environ, **{key: value.strip("'") for key, value in exported.items()}}
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Federated": f"arn:aws:iam::111122223333:oidc-provider/{provider}"},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {"StringEquals": {f"{provider}:sub": "system:serviceaccount:default:default"}},
            }
        ],
    }
    client = aws_cli()
    assert client is not None, "run `make tools`"
    ask = (client / "aws", "iam")
    said(*ask, "create-open-id-connect-provider", "--url", lone.api.url, "--client-id-list",
         "sts.amazonaws.com", environ=environ)  # fmt: skip
    said(*ask, "create-role", "--role-name", "lone", "--assume-role-policy-document", json.dumps(trust),
         environ=environ)  # fmt: skip
    token = {"serviceAccountToken": {"audience": "sts.amazonaws.com", "path": "token"}}
    script = (
        "import time\nfrom pathlib import Path\nfrom botocore.session import get_session\n"
        "token = Path('/var/run/aws/token').read_text()\n"
        "sts = get_session().create_client('sts')\n"
        "arn = 'arn:aws:iam::111122223333:role/lone'\n"
        "for left in range(30, -1, -1):\n"  # IAM's changes reach STS a moment later
        "    try:\n"
        "        made = sts.assume_role_with_web_identity(RoleArn=arn, RoleSessionName='pod', WebIdentityToken=token)\n"
        "    except sts.exceptions.ClientError as error:\n"
        "        if not left or error.response['Error']['Code'] != 'AccessDenied': raise\n"
        "        time.sleep(1)\n"
        "    else:\n"
        "        break\n"
        "print(made['AssumedRoleUser']['Arn'])"
    )
    asking = pod("assuming", "", volumes=[{"name": "aws", "projected": {"sources": [token]}}])
    [container] = asking["spec"]["containers"]
    container["command"] = [sys.executable, "-c", script]
    container["volumeMounts"] = [{"name": "aws", "mountPath": "/var/run/aws"}]
    lone.kubectl("apply", "-f", "-", given=asking)
    lone.awaited("its end", lambda: lone.object("pod", "assuming")["status"]["phase"] in {"Succeeded", "Failed"})
    assert lone.kubectl("logs", "assuming") == "arn:aws:sts::111122223333:assumed-role/lone/pod\n"


def test_a_start_after_a_stop_finds_its_node_again(lone: Lone) -> None:
    lone.keyless("down")
    lone.up()
    assert len(lone.object("nodes")["items"]) == 1
    lone.kubectl("apply", "-f", "-", given=pod("later", "echo later"))
    lone.awaited("its end", lambda: lone.object("pod", "later")["status"]["phase"] == "Succeeded")
    assert lone.kubectl("logs", "later") == "later\n"
    assert json.loads(lone.keyless("status", "--output", "json"))["endpoints"]["kubernetes"] == lone.api.url


def test_what_is_left_in_the_cluster_goes_by_the_pages_own_words(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "how-to" / "run-beside-an-api-server.md").read_text()
    words = re.findall(r"^\$ kubectl (delete .+)$", page, flags=re.MULTILINE)
    assert len(words) == 5
    with started(tmp_path, PORT + 10) as left_behind:
        left_behind.keyless("down")
        for line in words:
            # Without controllers a namespace is never gone: it is only asked for.
            left_behind.kubectl(*shlex.split(line), "--wait=false")
        kinds = "nodes,clusterroles,clusterrolebindings,roles,rolebindings"
        left = [obj["metadata"]["name"] for obj in left_behind.object(kinds, "-A")["items"]]
        assert [name for name in left if name.startswith(("keyless", "local-node"))] == []
