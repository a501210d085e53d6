"""The local AWS beside a real cluster: STS believes the tokens of a real API server, by the keys that it serves."""

from __future__ import annotations

import json

import pytest

from production.beside import NAMESPACE, PROVIDER, Beside

pytestmark = [pytest.mark.production, pytest.mark.timeout(600)]
SUBJECT = "system:serviceaccount:default:rehearsal"


def test_the_issuer_that_eks_names_is_the_api_server_s_own(cloud: Beside) -> None:
    described = cloud.aws("eks", "describe-cluster", "--name", "keyless")["cluster"]
    assert described["identity"]["oidc"]["issuer"] == cloud.node.api.url


def test_a_token_of_the_real_api_server_becomes_a_role_and_one_of_another_account_does_not(cloud: Beside) -> None:
    account = cloud.aws("sts", "get-caller-identity")["Account"]
    url = cloud.node.api.url
    # An earlier test may have left one; none is deleted as readily.
    arn = f"arn:aws:iam::{account}:oidc-provider/{PROVIDER}"
    cloud.aws("iam", "delete-open-id-connect-provider", "--open-id-connect-provider-arn", arn)
    cloud.aws("iam", "create-open-id-connect-provider", "--url", url, "--client-id-list", "sts.amazonaws.com")
    trust = {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Federated": arn},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {f"{PROVIDER}:sub": SUBJECT, f"{PROVIDER}:aud": "sts.amazonaws.com"}},
        },
    }
    role = cloud.aws(
        "iam", "create-role", "--role-name", "rehearsal", "--assume-role-policy-document", json.dumps(trust)
    )["Role"]["Arn"]
    for name in ("rehearsal", "stranger"):
        cloud.node.kubectl("create", "serviceaccount", name, "-n", "default")
    asked = ("sts", "assume-role-with-web-identity", "--role-arn", role, "--role-session-name", "one")
    answer = cloud.aws(*asked, "--web-identity-token", token(cloud, "rehearsal"), signed=False)
    assert answer["SubjectFromWebIdentityToken"] == SUBJECT
    assert answer["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{account}:assumed-role/rehearsal/one"
    with pytest.raises(AssertionError, match="AccessDenied"):
        cloud.aws(*asked, "--web-identity-token", token(cloud, "stranger"), signed=False)


def token(cloud: Beside, account: str) -> str:
    """A token of a service account, as a pod's projected volume holds one for STS."""
    return cloud.node.kubectl("create", "token", account, "-n", "default", "--audience=sts.amazonaws.com").strip()


def test_where_a_policy_cannot_tell_pods_the_cloud_s_webhook_does(cloud: Beside) -> None:
    kubectl = cloud.node.kubectl
    deployment = ("deployment/keyless-cloud", "-n", NAMESPACE)
    kubectl("set", "env", *deployment, "KEYLESS_CLOUD_TOLD_BY=webhook")
    try:
        kubectl("rollout", "status", *deployment, "--timeout=90s")
        kubectl("wait", "--for=delete", f"mutatingadmissionpolicy/{NAMESPACE}", "--timeout=60s")
        cloud.node.parts.wait("the webhook to tell pods", lambda: told(cloud, "default"))
        kubectl("scale", *deployment, "--replicas=0")
        kubectl("wait", "--for=delete", "pod", "-n", NAMESPACE, "-l", "app.kubernetes.io/name=keyless-cloud")
        # The webhook is away: the cluster's own pods start, and no other goes to AWS itself.
        assert not told(cloud, "kube-system")
        with pytest.raises(AssertionError, match=r"pods\.cloud\.keyless\.dev"):
            told(cloud, "default")
        kubectl("scale", *deployment, "--replicas=1")
        kubectl("rollout", "status", *deployment, "--timeout=90s")
        cloud.node.parts.wait("the webhook to tell pods again", lambda: told(cloud, "default"))
    finally:
        kubectl("scale", *deployment, "--replicas=1")
        kubectl("set", "env", *deployment, "KEYLESS_CLOUD_TOLD_BY-")
        kubectl("rollout", "status", *deployment, "--timeout=90s")
        kubectl("wait", "--for=delete", f"mutatingwebhookconfiguration/{NAMESPACE}", "--timeout=60s")
    cloud.node.parts.wait("the policy to tell pods", lambda: told(cloud, "default"))


def told(cloud: Beside, namespace: str) -> bool:
    """Whether a new pod of the namespace would be told of the cloud; an assertion fails where none can be made."""
    made = json.loads(
        cloud.node.kubectl("run", "tried", "--image=tried", "-n", namespace, "--dry-run=server", "-o", "json")
    )
    env = made["spec"]["containers"][0].get("env") or []
    return "AWS_ENDPOINT_URL" in [one["name"] for one in env]
