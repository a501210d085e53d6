"""The local AWS beside a real cluster: STS believes the tokens of a real API server, by the keys that it serves."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from production.network import ADDRESS
from production.node import OneNode
from production.parts import said, succeeds
from tests.tools import aws_cli

pytestmark = [pytest.mark.production, pytest.mark.timeout(600)]
KEYLESS = Path(__file__).resolve().parents[2] / ".venv" / "bin" / "keyless"
PORT = 18443
PROVIDER = ADDRESS
SUBJECT = "system:serviceaccount:default:rehearsal"


class Beside:
    """``keyless run cloud`` for the node's cluster; ``aws`` asks it as its administrator."""

    def __init__(self, node: OneNode, folder: Path) -> None:
        self.node, self.state = node, folder / "state"
        clients = aws_cli()
        assert clients is not None
        self._aws = clients / "aws"

    def up(self) -> None:
        """Start it and wait until it answers."""
        self.node.parts.start(
            "cloud", KEYLESS, "run", "cloud", "--state", self.state, "--bind-host", ADDRESS, "--port", str(PORT),
            "--names", ADDRESS, "--cluster-ca", self.node.pki.folder / "ca.crt", "--propagation-delay-seconds", "0",
            environ={"KUBECONFIG": str(self.node.api.kubeconfig), "PATH": os.environ["PATH"]},
        )  # fmt: skip
        asked = ("curl", "--silent", "--cacert", self.state / "ca.crt", f"https://{ADDRESS}:{PORT}/")
        self.node.parts.wait("the cloud", lambda: succeeds(*asked))

    def aws(self, *words: str, signed: bool = True) -> Any:
        """What ``aws`` answers, read."""
        access = json.loads((self.state / "access.json").read_text())
        keys = {"AWS_ACCESS_KEY_ID": access["accessKeyId"], "AWS_SECRET_ACCESS_KEY": access["secretAccessKey"]}
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.state),
            "AWS_ENDPOINT_URL": f"https://{ADDRESS}:{PORT}",
            "AWS_DEFAULT_REGION": access["region"],
            "AWS_CA_BUNDLE": str(self.state / "ca.crt"),
            **(keys if signed else {}),
        }
        printed = said(self._aws, *words, "--output", "json", environ=environ)
        return json.loads(printed) if printed.strip() else None


@pytest.fixture(scope="module")
def cloud(node: OneNode, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Beside]:
    """The cloud, ready."""
    found = Beside(node, tmp_path_factory.mktemp("c"))
    found.up()
    # STS asks as nobody in particular, and a real API server shows its keys to service accounts alone until it is told.
    node.kubectl(
        "create", "clusterrolebinding", "issuer-discovery",
        "--clusterrole=system:service-account-issuer-discovery", "--group=system:unauthenticated",
    )  # fmt: skip
    yield found
    node.parts.end("cloud")


def test_the_issuer_that_eks_names_is_the_api_server_s_own(cloud: Beside) -> None:
    described = cloud.aws("eks", "describe-cluster", "--name", "keyless")["cluster"]
    assert described["identity"]["oidc"]["issuer"] == cloud.node.api.url


def test_a_token_of_the_real_api_server_becomes_a_role_and_one_of_another_account_does_not(cloud: Beside) -> None:
    account = cloud.aws("sts", "get-caller-identity")["Account"]
    url = cloud.node.api.url
    cloud.aws("iam", "create-open-id-connect-provider", "--url", url, "--client-id-list", "sts.amazonaws.com")
    trust = {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Federated": f"arn:aws:iam::{account}:oidc-provider/{PROVIDER}"},
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
