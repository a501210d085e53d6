"""Both guides, word for word, with the real kubectl, helm and aws, by IRSA and by EKS Pod Identity."""

from __future__ import annotations

import json

import pytest
from tests.tools import GUIDES, SECOND

from guides.eksctl import associate_iam_oidc_provider
from guides.page import chosen
from guides.reader import Reader
from guides.record import data_calls, pods_of

pytestmark = [pytest.mark.guide, pytest.mark.timeout(600)]

BILLING = "billing-workload-identity.md"
SECRETS = "shared-secrets-workload-identity.md"
IRSA = "IAM Roles for Service Accounts (IRSA)"
POD_IDENTITY = "EKS Pod Identity"
BEFORE, SHARE, VERIFY, RESTART = "Before you begin", "Share a secret", "Verify your configuration", "Restart workload"
PASSWORD = "correct-horse-battery"


def associate_as_eksctl(reader: Reader) -> None:
    names = ("AWS_REGION", "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "SSL_CERT_FILE")
    environ = {name: reader.variable(name) for name in names}
    associate_iam_oidc_provider(environ, reader.variable("YOUR_CLUSTER_NAME"))


def only_the_role_touched_data(reader: Reader, action: str, role: str, session: str) -> None:
    """Every data call that went through was signed by a session of this role, minted for a pod of this component."""
    pods = pods_of(reader, "vector" if action == "s3:PutObject" else "external-secrets")
    went_through = [call for call in data_calls(reader) if call.code == "Success" and call.action == action]
    assert went_through, f"no {action} by a component"
    for call in went_through:
        assert f":assumed-role/{role}/" in call.arn, call
        assert call.session.startswith(session), call
        assert call.pod in pods, (call, pods)


def no_secret_was_written_down(reader: Reader) -> None:
    """The planted password is in no log, event, status or error of the whole run."""
    host = reader.said("kubectl get events,controlplanes,sharedsecretstores,sharedexternalsecrets -A -o yaml")
    inside = reader.said(
        '(eval "$(keyless env --control-plane ctp1 --group default)";'
        " kubectl get events,externalsecrets,clusterexternalsecrets,clustersecretstores -A -o yaml)"
    )
    assert PASSWORD not in host + inside
    for path in (reader.folder / "state").rglob("*.log"):
        assert PASSWORD not in path.read_text(errors="replace"), path
    assert PASSWORD not in reader.said("keyless audit --output json")


def usage_was_stored(reader: Reader) -> None:
    report = reader.said("tar -xzOf upbound_billing_report.tgz report/usage.json")
    (row,) = json.loads(report)
    assert row["tags"]["customresource_kind"] == "VPC"
    assert row["value"] == 3


def the_secret_arrived(reader: Reader) -> None:
    data = json.loads(
        reader.said(
            '(eval "$(keyless env --control-plane ctp1 --group default)";'
            " kubectl get secret database -n payments -o jsonpath='{.data}')"
        )
    )
    assert set(data) == {"username", "password", "endpoint"}


def test_the_billing_guide_by_irsa(reader: Reader) -> None:
    reader.follow(chosen(BILLING, BEFORE, IRSA, VERIFY, RESTART, without=("eksctl",)))
    usage_was_stored(reader)
    only_the_role_touched_data(reader, "s3:PutObject", "keyless-billing", "botocore-session-")


@pytest.mark.parametrize("reader", [GUIDES, SECOND], indirect=True, ids=lambda layer: layer.name)
def test_the_billing_guide_by_pod_identity(reader: Reader) -> None:
    reader.follow(chosen(BILLING, BEFORE, POD_IDENTITY, VERIFY, RESTART))
    usage_was_stored(reader)
    only_the_role_touched_data(reader, "s3:PutObject", "keyless-billing", "eks-keyless-vector-")


def test_the_shared_secrets_guide_by_irsa(reader: Reader) -> None:
    reader.follow(chosen(SECRETS, BEFORE))
    before, provider, after = _around_the_provider()
    reader.follow(before)
    assert provider
    associate_as_eksctl(reader)
    reader.follow(after)
    reader.follow(chosen(SECRETS, SHARE, VERIFY, RESTART))
    the_secret_arrived(reader)
    only_the_role_touched_data(reader, "secretsmanager:GetSecretValue", "keyless-shared-secrets", "botocore-session-")
    only_the_role_touched_data(reader, "ssm:GetParameter", "keyless-shared-secrets", "botocore-session-")
    no_secret_was_written_down(reader)


def test_the_shared_secrets_guide_by_pod_identity(reader: Reader) -> None:
    reader.follow(chosen(SECRETS, BEFORE, POD_IDENTITY, SHARE, VERIFY, RESTART))
    the_secret_arrived(reader)
    # EKS cuts the pod's name so that the session's name, which ends in a UUID, has 64 characters at most.
    only_the_role_touched_data(
        reader, "secretsmanager:GetSecretValue", "keyless-shared-secrets", "eks-keyless-external-"
    )
    no_secret_was_written_down(reader)


def test_both_guides_after_one_another_on_one_release(reader: Reader) -> None:
    reader.follow(chosen(BILLING, BEFORE, IRSA, VERIFY, without=("eksctl",)))
    # The provider is there already, and so is the Space.
    reader.follow([b for b in chosen(SECRETS, BEFORE) if "keyless up" not in b.text])
    before, _, after = _around_the_provider()
    reader.follow([*before, *after, *chosen(SECRETS, SHARE, VERIFY)])
    the_secret_arrived(reader)
    reader.said("keyless verify billing")
    # The misstep that the page warns of: values of the first guide are dropped without --reuse-values.
    reader.said("helm upgrade spaces spaces-helm-chart --set sharedSecrets.enabled=true")
    outcome = reader.run("keyless verify billing")
    assert outcome.returncode == 1
    assert "revision 4" in outcome.stdout, outcome.stdout


def _around_the_provider() -> tuple[list, list, list]:
    """The IRSA section of the secrets guide before, at and after the step that makes the provider."""
    blocks = chosen(SECRETS, IRSA)
    at = [b for b in blocks if "eksctl" in b.marks or "aws-instead-of-eksctl" in b.marks]
    first, last = blocks.index(at[0]), blocks.index(at[-1])
    return blocks[:first], at, blocks[last + 1 :]
