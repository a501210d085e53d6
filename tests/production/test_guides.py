"""The billing guide, word for word, on a real Kubernetes beside the local AWS, by IRSA."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from guides.page import chosen
from guides.reader import Reader
from guides.record import data_calls
from production.attached import Brought
from production.beside import KEYLESS, PROVIDER, Beside
from production.network import ADDRESS
from production.node import OneNode

pytestmark = [pytest.mark.production, pytest.mark.timeout(600)]
BILLING = "billing-workload-identity.md"
BEFORE, IRSA, VERIFY = "Before you begin", "IAM Roles for Service Accounts (IRSA)", "Verify your configuration"
WEBHOOK_PORT = 19443


@pytest.fixture(scope="session")
def webhook(node: OneNode) -> Iterator[None]:
    """The pod identity webhook where EKS has it: beside the API server, outside the cluster."""
    node.pki.certify("webhook", user="webhook", at=(ADDRESS,))
    folder = node.pki.folder
    node.parts.start(
        "webhook", KEYLESS, "run", "webhook", "--bind-host", ADDRESS, "--port", str(WEBHOOK_PORT),
        "--metrics-port=-1", "--tls-cert", folder / "webhook.crt", "--tls-key", folder / "webhook.key",
        environ={"KUBECONFIG": str(node.api.kubeconfig), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    hook = {
        "name": "iam-for-pods.amazonaws.com",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Ignore",
        "reinvocationPolicy": "IfNeeded",
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
        "clientConfig": {
            "url": f"https://{ADDRESS}:{WEBHOOK_PORT}/mutate",
            "caBundle": base64.b64encode((folder / "ca.crt").read_bytes()).decode(),
        },
    }
    registration = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "pod-identity-webhook"},
        "webhooks": [hook],
    }
    node.kubectl("apply", "-f", "-", given=json.dumps(registration))
    node.parts.wait("the webhook", lambda: "webhook ready" in node.parts.words("webhook"))
    yield
    node.kubectl("delete", "mutatingwebhookconfiguration", "pod-identity-webhook")
    node.parts.end("webhook")


@pytest.fixture
def reader(
    space: OneNode, brought: Brought, cloud: Beside, webhook: None, host_namespace: str, tmp_path: Path
) -> Reader:
    """A reader whose shell is set as the page says for EKS; nothing but the page's own values is set."""
    found = Reader(tmp_path)
    # Which kubeconfig is a control plane's, `keyless env` knows for a local Space alone; all else is the real thing.
    shim = tmp_path / "shim" / "keyless"
    shim.parent.mkdir()
    shim.write_text(
        f'#!/bin/sh\n[ "$1" = env ] && echo "export KUBECONFIG={brought.api.kubeconfig}" && exit\nexec {KEYLESS} "$@"\n'
    )
    shim.chmod(0o755)
    variables = cloud.environ() | {
        "KUBECONFIG": str(space.api.kubeconfig),
        "KEYLESS_STATE": str(cloud.state),
        "AWS_PAGER": "",
        "SSL_CERT_FILE": str(cloud.state / "ca.crt"),
        "YOUR_CLUSTER_NAME": "keyless",
        "YOUR_AWS_REGION": "us-west-2",
        "YOUR_AWS_ACCOUNT_ID": "111122223333",
        "YOUR_OIDC_PROVIDER": PROVIDER,
        "YOUR_NAMESPACE": host_namespace,
        "YOUR_CONTROL_PLANE_NAMESPACE": host_namespace,
        "YOUR_BILLING_BUCKET": "keyless-billing",
        "YOUR_BILLING_ROLE_NAME": "keyless-billing",
    }
    lines = [f'export PATH="{shim.parent}:$PATH"', *(f"export {name}='{value}'" for name, value in variables.items())]
    found.said("\n".join(lines))
    return found


def test_the_billing_guide_by_irsa(reader: Reader, space: OneNode, host_namespace: str) -> None:
    blocks = [one for one in chosen(BILLING, BEFORE, IRSA, VERIFY, without=("eksctl",)) if "keyless up" not in one.text]
    # STS takes one provider for an issuer: another test may have made it.
    reader.run("aws iam delete-open-id-connect-provider --open-id-connect-provider-arn "
               f"arn:aws:iam::111122223333:oidc-provider/{PROVIDER}")  # fmt: skip
    reader.follow([one for one in blocks if "keyless verify" not in one.text])
    report = json.loads(reader.said("tar -xzOf upbound_billing_report.tgz report/usage.json"))
    (row,) = report
    assert (row["tags"]["customresource_kind"], row["value"]) == ("VPC", 3)
    pods = {one["metadata"]["uid"] for one in space.object("pods", "-n", host_namespace)["items"]}
    stored = [call for call in data_calls(reader) if call.code == "Success" and call.action == "s3:PutObject"]
    assert stored
    for call in stored:
        assert ":assumed-role/keyless-billing/" in call.arn
        assert call.pod in pods
