"""Both guides, word for word, on a real Kubernetes, by IRSA and by Pod Identity, with helm 3 and helm 4.

Each with a control plane whose API was brought, and with one that the Space made itself beside those.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from guides.page import Block, chosen
from guides.reader import Reader
from guides.record import data_calls
from production import planes
from production.attached import Brought
from production.beside import PROVIDER, Beside
from production.following import clean, reader_of
from production.node import OneNode
from production.owning import Owned
from production.planes import Plane
from tests.tools import GUIDES, SECOND, Layer

pytestmark = [pytest.mark.production, pytest.mark.timeout(600)]
BILLING, SECRETS = "billing-workload-identity.md", "shared-secrets-workload-identity.md"
IRSA, POD_IDENTITY = "IAM Roles for Service Accounts (IRSA)", "EKS Pod Identity"
BEFORE, SHARE, VERIFY, RESTART = "Before you begin", "Share a secret", "Verify your configuration", "Restart workload"
PASSWORD = "correct-horse-battery"
Reading = Callable[[str, Layer], Reader]


@pytest.fixture(scope="module")
def others(brought: Brought, other: Brought, host_namespace: str, other_namespace: str) -> tuple[Plane, ...]:
    """The two whose APIs were brought."""
    return planes.attached(brought, "ctp1", host_namespace), planes.attached(other, "ctp2", other_namespace)


@pytest.fixture(scope="module", params=["attached", "own"])
def plane(
    request: pytest.FixtureRequest, space: OneNode, others: tuple[Plane, ...], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Plane]:
    """The reader's control plane."""
    if request.param == "attached":
        yield others[0]
        return
    made = Owned(space, "mine", tmp_path_factory.mktemp("o"))
    made.create()
    yield planes.own(made)
    made.delete()


@pytest.fixture
def reading(space: OneNode, cloud: Beside, plane: Plane, others: tuple[Plane, ...], tmp_path: Path) -> Reading:
    """A reader, by name and clients, in a Space of two or three control planes where nobody has read a page."""
    clean(cloud, *{each.name: each for each in (*others, plane)}.values())
    kind = "" if plane in others else f"{plane.name}-"
    return lambda own, layer: reader_of(tmp_path, layer, space, plane, cloud, f"{kind}{own}")


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


def the_secret_arrived_and_was_told_nowhere(reader: Reader, space: OneNode, plane: Plane) -> None:
    data = json.loads(plane.kubectl("get", "secret", "database", "-n", "payments", "-o", "json"))["data"]
    assert set(data) == {"username", "password", "endpoint"}
    kinds = "externalsecrets,clusterexternalsecrets,clustersecretstores,events"
    told = plane.kubectl("get", kinds, "-A", "-o", "yaml")
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


def test_the_billing_guide_by_irsa_and_other_control_planes_once_the_trust_names_them(
    reading: Reading, space: OneNode, cloud: Beside, plane: Plane, others: tuple[Plane, ...]
) -> None:
    reader = reading("irsa", GUIDES)
    role = reader.variable("YOUR_BILLING_ROLE_NAME")
    reader.follow(followed(BILLING, BEFORE, IRSA, VERIFY)[:-2])
    refused = reader.run("keyless verify billing")
    # An exact trust policy admits one control plane: the page's table tells of those that come after.
    assert refused.returncode == 1
    assert "ControlPlaneNotTrusted" in reader.run("keyless verify billing --output json").stdout
    more = [each for each in others if each != plane]
    for each in more:
        stored(space, each.name, "False", "AccessDenied")
    trust = json.loads((reader.folder / "billing-trust.json").read_text())
    condition = trust["Statement"][0]["Condition"]["StringEquals"]
    subjects = [f"system:serviceaccount:{each.namespace}:vector" for each in more]
    condition[f"{PROVIDER}:sub"] = [condition[f"{PROVIDER}:sub"], *subjects]
    cloud.aws("iam", "update-assume-role-policy", "--role-name", role, "--policy-document", json.dumps(trust))
    for each in more:
        stored(space, each.name, "True", f":assumed-role/{role}/")
    reader.follow(followed(BILLING, VERIFY)[-2:])
    usage_was_stored(reader)
    only_the_role_touched_data(reader, space, "s3:PutObject", role, "botocore-session-")
    issuer = cloud.aws("eks", "describe-cluster", "--name", "keyless")["cluster"]["identity"]["oidc"]["issuer"]
    assert issuer == space.api.url


def test_the_billing_guide_by_pod_identity(reading: Reading, space: OneNode, plane: Plane) -> None:
    reader = reading("pods", SECOND)
    role = reader.variable("YOUR_BILLING_ROLE_NAME")
    reader.follow([one for one in followed(BILLING, BEFORE, POD_IDENTITY, VERIFY) if "keyless verify" not in one.text])
    # The condition may still be an earlier reader's: this reader's is the one that names the role.
    told = "{.status.conditions[?(@.type=='BillingStored')].message}"
    asked = ("get", f"controlplane/{plane.name}", "-n", "default", "-o", f"jsonpath={told}")
    space.parts.wait("usage by the role", lambda: f":assumed-role/{role}/" in space.kubectl(*asked))
    # The other control planes have no association, and verify says so of them alone.
    assert reader.run(f"keyless verify billing --control-plane {plane.name}").returncode == 0
    usage_was_stored(reader)
    only_the_role_touched_data(reader, space, "s3:PutObject", role, "eks-keyless-vector-")


@pytest.mark.parametrize(
    ("way", "layer", "session"),
    [(IRSA, SECOND, "botocore-session-"), (POD_IDENTITY, GUIDES, "eks-keyless-external-")],
    ids=["irsa", "pod-identity"],
)
def test_the_shared_secrets_guide(
    reading: Reading, space: OneNode, plane: Plane, way: str, layer: Layer, session: str
) -> None:
    reader = reading("shared-irsa" if way == IRSA else "shared-pods", layer)
    role = reader.variable("YOUR_ESO_ROLE_NAME")
    blocks = followed(SECRETS, BEFORE, way, SHARE, VERIFY, RESTART)
    reader.follow([one for one in blocks if "keyless verify" not in one.text])
    # The others are no part of what is shared here: the page's stores select one control plane.
    reader.said(f"keyless verify shared-secrets --control-plane {plane.name}")
    the_secret_arrived_and_was_told_nowhere(reader, space, plane)
    only_the_role_touched_data(reader, space, "secretsmanager:GetSecretValue", role, session)
    only_the_role_touched_data(reader, space, "ssm:GetParameter", role, session)
