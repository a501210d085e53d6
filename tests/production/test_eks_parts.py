"""A cluster that is not EKS gets EKS's part of the chain from the chart, by values alone: webhook, agent and issuer."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from production.beside import NAMESPACE, PROVIDER, Beside
from production.images import ROOT
from production.node import OneNode
from production.parts import said, succeeds
from tests.tools import GUIDES, kubernetes_clients

pytestmark = [pytest.mark.production, pytest.mark.timeout(900)]
AGENT, WEBHOOK, ISSUER = "eks-pod-identity-agent", "pod-identity-webhook", "spaces-issuer"
WORKLOADS = (f"daemonset/{AGENT}", f"deployment/{WEBHOOK}", f"deployment/{ISSUER}")
VALUES = (
    *("webhook.enabled=true", "webhook.region=us-west-2", "issuer.enabled=true"),
    *("webhook.associations=kube-system/eks-pod-identity-associations", "agent.enabled=true"),
    "agent.clusterName=keyless",
)
ROLE, ACCOUNT = "chart-parts", "111122223333"
ARN = f"arn:aws:iam::{ACCOUNT}:role/{ROLE}"
WHO = "import botocore.session as s; print(s.get_session().create_client('sts').get_caller_identity()['Arn'])"
TOKEN = "print(open('/var/run/secrets/pods.eks.amazonaws.com/serviceaccount/eks-pod-identity-token').read())"
DISCOVERY, KEYS = "/.well-known/openid-configuration", "/openid/v1/jwks"


@pytest.fixture(scope="module")
def parts(space: OneNode, cloud: Beside) -> Iterator[OneNode]:
    """The Space with the chart's parts in the place of the cloud's own."""
    _eks_of_the_cloud(cloud, "")
    space.kubectl("delete", "mutatingwebhookconfiguration,clusterrole,clusterrolebinding", WEBHOOK)
    own = (f"daemonset/{AGENT}", f"deployment/{WEBHOOK}", f"service/{WEBHOOK}")
    space.kubectl("delete", "-n", "kube-system", *own, "--timeout=60s")
    _helm(space, *(word for one in VALUES for word in ("--set", one)))
    yield space
    _helm(space, "--reset-values")
    _eks_of_the_cloud(cloud, "keyless/keyless-cloud:0.1.0")
    for one in WORKLOADS[:2]:
        space.kubectl("wait", "--for=create", one, "-n", "kube-system", "--timeout=60s")
        space.kubectl("rollout", "status", one, "-n", "kube-system", "--timeout=90s")


def _eks_of_the_cloud(cloud: Beside, image: str) -> None:
    """Let the cloud bring webhook and agent by itself, or not."""
    deployment = ("deployment/keyless-cloud", "-n", NAMESPACE)
    cloud.node.kubectl("set", "env", *deployment, f"KEYLESS_CLOUD_EKS_IMAGE={image}")
    cloud.node.kubectl("rollout", "status", *deployment, "--timeout=90s")


def _helm(space: OneNode, *words: str) -> None:
    clients = kubernetes_clients(GUIDES)
    assert clients is not None
    said(
        clients / "helm", "upgrade", "spaces", ROOT / "spaces-helm-chart", "-n", "default", *words,
        "--wait", "--timeout", "180s",
        environ={**os.environ, "KUBECONFIG": str(space.api.kubeconfig)},
    )  # fmt: skip


def _pod(space: OneNode, name: str, annotations: dict[str, str]) -> None:
    """A pod of a service account of its own, which waits."""
    metadata = {"name": name, "namespace": "default"}
    account = {
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {**metadata, "annotations": annotations},
    }  # fmt: skip
    command = ["python3", "-c", "import time; time.sleep(3600)"]
    container = {"name": "client", "image": "keyless/keyless:0.1.0", "command": command}
    spec = {"serviceAccountName": name, "terminationGracePeriodSeconds": 1, "containers": [container]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    for one in (account, pod):
        space.kubectl("apply", "-f", "-", given=json.dumps(one))
    space.kubectl("wait", f"pod/{name}", "--for=condition=Ready", "--timeout=60s")


def _asked(space: OneNode, pod: str, program: str) -> str:
    return space.kubectl("exec", pod, "--", "python3", "-c", program).strip()


def _role(cloud: Beside, **statement: object) -> None:
    """The role with this trust policy alone."""
    trust = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})
    if ROLE in [one["RoleName"] for one in cloud.aws("iam", "list-roles")["Roles"]]:
        cloud.aws("iam", "update-assume-role-policy", "--role-name", ROLE, "--policy-document", trust)
    else:
        cloud.aws("iam", "create-role", "--role-name", ROLE, "--assume-role-policy-document", trust)


def test_all_of_them_are_ready_as_the_chart_made_them(parts: OneNode) -> None:
    for one in WORKLOADS:
        parts.kubectl("rollout", "status", one, "--timeout=60s")
    pods = parts.object("pods", "-l", f"app.kubernetes.io/name in ({AGENT},{WEBHOOK},{ISSUER})")["items"]
    assert len(pods) == 5, "one agent on one node, two webhooks, two issuers"
    assert not [one["metadata"]["name"] for one in pods if one["status"]["containerStatuses"][0]["restartCount"]]
    priority = {one["metadata"]["labels"]["app.kubernetes.io/name"]: one["spec"].get("priority") for one in pods}
    assert priority[AGENT] > priority[WEBHOOK] > priority[ISSUER] == 0


def test_an_agent_outlives_a_node_that_takes_no_pods(parts: OneNode) -> None:
    taint = ("taint", "node", "--all", "keyless.dev/none=x:NoSchedule")
    parts.kubectl(*taint)
    try:
        parts.kubectl("rollout", "restart", f"daemonset/{AGENT}")
        parts.kubectl("rollout", "status", f"daemonset/{AGENT}", "--timeout=60s")
    finally:
        parts.kubectl(*taint[:3], "keyless.dev/none-")


def test_a_pod_of_an_annotated_service_account_has_a_session_by_irsa(parts: OneNode, cloud: Beside) -> None:
    provider = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{PROVIDER}"
    # An earlier test may have left one; none is deleted as readily.
    cloud.aws("iam", "delete-open-id-connect-provider", "--open-id-connect-provider-arn", provider)
    cloud.aws("iam", "create-open-id-connect-provider", "--url", parts.api.url, "--client-id-list", "sts.amazonaws.com")
    trusted = {f"{PROVIDER}:sub": "system:serviceaccount:default:parts-irsa", f"{PROVIDER}:aud": "sts.amazonaws.com"}
    _role(
        cloud, Principal={"Federated": provider}, Action="sts:AssumeRoleWithWebIdentity",
        Condition={"StringEquals": trusted},
    )  # fmt: skip
    _pod(parts, "parts-irsa", {"eks.amazonaws.com/role-arn": ARN})
    parts.parts.wait("IAM's change to be felt", lambda: _is_let_in(parts, "parts-irsa"), 30.0)
    arn = _asked(parts, "parts-irsa", WHO)
    assert arn.startswith(f"arn:aws:sts::{ACCOUNT}:assumed-role/{ROLE}/botocore-session-")
    parts.kubectl("delete", "pod/parts-irsa", "serviceaccount/parts-irsa")


def _is_let_in(space: OneNode, pod: str) -> bool:
    kubectl = kubernetes_clients(GUIDES)
    assert kubectl is not None
    return succeeds(kubectl / "kubectl", "--kubeconfig", space.api.kubeconfig, "exec", pod, "--", "python3", "-c", WHO)


def test_what_the_agent_gives_a_pod_of_an_association_goes_with_the_pod(parts: OneNode, cloud: Beside) -> None:
    _role(cloud, Principal={"Service": "pods.eks.amazonaws.com"}, Action=["sts:AssumeRole", "sts:TagSession"])
    made = cloud.aws("eks", "create-pod-identity-association", "--cluster-name", "keyless", "--namespace", "default",
                     "--service-account", "parts-pods", "--role-arn", ARN)  # fmt: skip
    listed = ("get", "configmap", "eks-pod-identity-associations", "-n", "kube-system", "-o", "yaml")
    parts.parts.wait("the list of associations", lambda: "parts-pods" in parts.kubectl(*listed))
    _pod(parts, "parts-pods", {})
    parts.parts.wait("IAM's change to be felt", lambda: _is_let_in(parts, "parts-pods"), 30.0)
    assert _asked(parts, "parts-pods", WHO).startswith(f"arn:aws:sts::{ACCOUNT}:assumed-role/{ROLE}/eks-keyless-")
    token = _asked(parts, "parts-pods", TOKEN)
    first, second = _given(token), _given(token)
    assert first["AccessKeyId"] == second["AccessKeyId"], "the agent keeps what it was given"
    parts.kubectl("delete", "pod/parts-pods", "serviceaccount/parts-pods")
    parts.parts.wait("the agent to forget", lambda: "AccessKeyId" not in _given(token), 30.0)
    cloud.aws("eks", "delete-pod-identity-association", "--cluster-name", "keyless",
              "--association-id", made["association"]["associationId"])  # fmt: skip


def _given(token: str) -> Any:
    """What the agent answers to a pod's token; an empty object for a refusal. The machine is the node."""
    url, header = "http://169.254.170.23/v1/credentials", f"Authorization: {token}"
    printed = said("curl", "--silent", "--max-time", "10", "--header", header, url)
    return json.loads(printed) if printed.startswith("{") else {}


@pytest.mark.parametrize("path", [DISCOVERY, KEYS])
def test_the_issuer_shows_what_the_api_server_says(parts: OneNode, path: str) -> None:
    address = parts.object("service", ISSUER)["spec"]["clusterIP"]
    shown = json.loads(said("curl", "--silent", "--fail", "--max-time", "10", f"http://{address}{path}"))
    assert shown == json.loads(parts.kubectl("get", "--raw", path))


def test_the_issuer_shows_nothing_else_of_the_api_server(parts: OneNode) -> None:
    address = parts.object("service", ISSUER)["spec"]["clusterIP"]
    code = ("curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}", "--max-time", "10")
    assert [said(*code, f"http://{address}{path}") for path in ("/version", "/api", "/")] == ["404"] * 3


@pytest.mark.parametrize(
    ("account", "allowed"),
    [(AGENT, {"list pods"}), (WEBHOOK, {"list serviceaccounts"}), (ISSUER, set())],
)
def test_each_may_read_what_it_needs_and_no_more(parts: OneNode, account: str, allowed: set[str]) -> None:
    subject = f"--as=system:serviceaccount:default:{account}"
    groups = ("--as-group=system:serviceaccounts", "--as-group=system:authenticated")
    asked = {
        f"{verb} {kind}" for verb in ("list", "get", "create", "delete")
        for kind in ("pods", "serviceaccounts", "secrets", "configmaps", "nodes")
    } | {"create serviceaccounts/token"}  # fmt: skip
    found = set()
    for one in sorted(asked):
        verb, kind = one.split()
        clients = kubernetes_clients(GUIDES)
        assert clients is not None
        if succeeds(clients / "kubectl", "--kubeconfig", parts.api.kubeconfig, "auth", "can-i", verb, kind, "-A",
                    subject, *groups):  # fmt: skip
            found.add(one)
    assert found - {"get serviceaccounts"} == allowed
