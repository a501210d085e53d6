"""Both guides, word for word, on a real Kubernetes, by IRSA and by Pod Identity, with helm 3 and helm 4."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from guides.page import Block, chosen
from guides.reader import Reader
from guides.record import data_calls
from production.attached import Brought
from production.beside import PROVIDER, Beside
from production.following import clean, reader_of
from production.node import OneNode
from tests.tools import GUIDES, SECOND, Layer

pytestmark = [pytest.mark.production, pytest.mark.timeout(600)]
BILLING, SECRETS = "billing-workload-identity.md", "shared-secrets-workload-identity.md"
IRSA, POD_IDENTITY = "IAM Roles for Service Accounts (IRSA)", "EKS Pod Identity"
BEFORE, SHARE, VERIFY, RESTART = "Before you begin", "Share a secret", "Verify your configuration", "Restart workload"
PASSWORD = "correct-horse-battery"
Reading = Callable[[str, Layer], Reader]


@pytest.fixture
def reading(
    space: OneNode, brought: Brought, cloud: Beside, host_namespace: str, other_namespace: str, tmp_path: Path
) -> Reading:
    """A reader, by name and clients, in a Space of two control planes where nobody has read a page."""
    clean(cloud, brought)
    return lambda own, layer: reader_of(tmp_path, layer, space, brought, cloud, host_namespace, own)


def followed(page: str, *sections: str) -> list[Block]:
    """The page's blocks on a Space that runs; eksctl's command is asked in aws's words."""
    return [one for one in chosen(page, *sections, without=("eksctl",)) if "keyless up" not in one.text]


def only_the_role_touched_data(reader: Reader, space: OneNode, action: str, role: str, session: str) -> None:
    """Every call of the action that went through was signed by the role, in a session of a pod that is there."""
    # Of both control planes: a trust policy may name them both.
    events = space.object("events", "-A")["items"]
    pods = {one["involvedObject"]["uid"] for one in events if one["involvedObject"]["kind"] == "Pod"}
    calls = [one for one in data_calls(reader) if one.code == "Success" and one.action == action]
    mine = [one for one in calls if f":assumed-role/{role}/" in one.arn]
    assert mine, calls
    for call in mine:
        assert call.session.startswith(session), call
        assert call.pod in pods, (call, pods)


def usage_was_stored(reader: Reader) -> None:
    (row,) = json.loads(reader.said("tar -xzOf upbound_billing_report.tgz report/usage.json"))
    assert (row["tags"]["customresource_kind"], row["value"]) == ("VPC", 3)


def the_secret_arrived_and_was_told_nowhere(reader: Reader, space: OneNode, brought: Brought) -> None:
    data = json.loads(brought.kubectl("get", "secret", "database", "-n", "payments", "-o", "json"))["data"]
    assert set(data) == {"username", "password", "endpoint"}
    kinds = "externalsecrets,clusterexternalsecrets,clustersecretstores,events"
    told = brought.kubectl("get", kinds, "-A", "-o", "yaml")
    told += space.kubectl("get", "events,controlplanes,sharedsecretstores,sharedexternalsecrets", "-A", "-o", "yaml")
    told += space.kubectl("logs", "deploy/external-secrets", "-n", reader.variable("YOUR_NAMESPACE"))
    assert PASSWORD not in told
    assert PASSWORD not in reader.said("keyless audit --output json")


def stored(space: OneNode, plane: str, status: str, words: str) -> None:
    """What a ControlPlane says of its usage."""
    space.kubectl(
        "wait", f"controlplane/{plane}", "-n", "default", f"--for=condition=BillingStored={status}", "--timeout=120s"
    )
    found = space.object("controlplane", plane, "-n", "default")["status"]["conditions"]
    (condition,) = [one for one in found if one["type"] == "BillingStored"]
    assert words in f"{condition['reason']} {condition['message']}"


def test_the_billing_guide_by_irsa_and_the_second_control_plane_once_the_trust_names_it(
    reading: Reading, space: OneNode, cloud: Beside, other_namespace: str
) -> None:
    reader = reading("irsa", GUIDES)
    reader.follow(followed(BILLING, BEFORE, IRSA, VERIFY)[:-2])
    refused = reader.run("keyless verify billing")
    # An exact trust policy admits one control plane: the page's table tells of the second.
    assert refused.returncode == 1
    assert "ControlPlaneNotTrusted" in reader.run("keyless verify billing --output json").stdout
    stored(space, "ctp2", "False", "AccessDenied")
    trust = json.loads((reader.folder / "billing-trust.json").read_text())
    condition = trust["Statement"][0]["Condition"]["StringEquals"]
    subjects = [condition[f"{PROVIDER}:sub"], f"system:serviceaccount:{other_namespace}:vector"]
    condition[f"{PROVIDER}:sub"] = subjects
    cloud.aws("iam", "update-assume-role-policy", "--role-name", "irsa-billing", "--policy-document", json.dumps(trust))
    stored(space, "ctp2", "True", ":assumed-role/irsa-billing/")
    reader.follow(followed(BILLING, VERIFY)[-2:])
    usage_was_stored(reader)
    only_the_role_touched_data(reader, space, "s3:PutObject", "irsa-billing", "botocore-session-")
    issuer = cloud.aws("eks", "describe-cluster", "--name", "keyless")["cluster"]["identity"]["oidc"]["issuer"]
    assert issuer == space.api.url


def test_the_billing_guide_by_pod_identity(reading: Reading, space: OneNode) -> None:
    reader = reading("pods", SECOND)
    reader.follow([one for one in followed(BILLING, BEFORE, POD_IDENTITY, VERIFY) if "keyless verify" not in one.text])
    # The condition may still be an earlier reader's: this reader's is the one that names the role.
    told = "{.status.conditions[?(@.type=='BillingStored')].message}"
    plane = ("get", "controlplane/ctp1", "-n", "default", "-o", f"jsonpath={told}")
    space.parts.wait("usage by the role", lambda: ":assumed-role/pods-billing/" in space.kubectl(*plane))
    # The second control plane has no association, and verify says so of it alone.
    assert reader.run("keyless verify billing --control-plane ctp1").returncode == 0
    usage_was_stored(reader)
    only_the_role_touched_data(reader, space, "s3:PutObject", "pods-billing", "eks-keyless-vector-")


@pytest.mark.parametrize(
    ("way", "layer", "session"),
    [(IRSA, SECOND, "botocore-session-"), (POD_IDENTITY, GUIDES, "eks-keyless-external-")],
    ids=["irsa", "pod-identity"],
)
def test_the_shared_secrets_guide(
    reading: Reading, space: OneNode, brought: Brought, way: str, layer: Layer, session: str
) -> None:
    own = "shared-irsa" if way == IRSA else "shared-pods"
    reader = reading(own, layer)
    blocks = followed(SECRETS, BEFORE, way, SHARE, VERIFY, RESTART)
    reader.follow([one for one in blocks if "keyless verify" not in one.text])
    # ctp2 is no part of what is shared here: the page's stores select ctp1.
    reader.said("keyless verify shared-secrets --control-plane ctp1")
    the_secret_arrived_and_was_told_nowhere(reader, space, brought)
    only_the_role_touched_data(reader, space, "secretsmanager:GetSecretValue", f"{own}-secrets", session)
    only_the_role_touched_data(reader, space, "ssm:GetParameter", f"{own}-secrets", session)
