"""``aws eks update-kubeconfig`` with kubectl, and ``aws cloudformation``, as the real command lines meet a Space."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError

from e2e import local_space
from e2e.local_space import LocalSpace
from keyless.local.state.database import open_for_reading
from tools import aws_cli, kubernetes_clients

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

ABSENT = "the aws command line or kubectl is missing: run `make tools`"
ROLES = 150
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "pods.eks.amazonaws.com"},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
        }
    ],
}
YAML = """
Parameters: {Path: {Type: String, Default: /}}
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      Path: !Ref Path
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement:
          - Effect: Allow
            Principal: {Service: pods.eks.amazonaws.com}
            Action: ["sts:AssumeRole", "sts:TagSession"]
Outputs: {Arn: {Value: !GetAtt Role.Arn}}
"""


@dataclass(frozen=True, slots=True)
class Shell:
    """Somebody's terminal: the exports of ``keyless env`` without KUBECONFIG, and a home of its own."""

    home: Path
    environ: Mapping[str, str]

    def run(self, *words: str, **changes: str) -> subprocess.CompletedProcess[str]:
        """Run one command."""
        environ = {**self.environ, **changes}
        return subprocess.run(
            words, env=environ, cwd=self.home, capture_output=True, text=True, timeout=60, check=False
        )

    def said(self, *words: str) -> str:
        """What a command printed; it must succeed."""
        done = self.run(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalSpace]:
    folder = tmp_path_factory.mktemp("eks") / "state"
    yield local_space.start(folder, "--propagation-delay", "0")
    local_space.stop(folder)


@pytest.fixture
def shell(space: LocalSpace, tmp_path: Path) -> Shell:
    clients, aws = kubernetes_clients(), aws_cli()
    if clients is None or aws is None:
        if os.environ.get("CI"):
            pytest.fail(ABSENT)
        pytest.skip(ABSENT)
    environ = {name: value for name, value in space.environ.items() if name != "KUBECONFIG"}
    path = f"{aws}:{clients}:{os.environ['PATH']}"
    return Shell(tmp_path, {**environ, "PATH": path, "HOME": str(tmp_path), "AWS_PAGER": ""})


def a_user(space: LocalSpace, name: str) -> tuple[str, dict[str, str]]:
    """A user who may describe the cluster: its ARN, and what its terminal exports."""
    iam = space.aws("iam")
    arn = iam.create_user(UserName=name)["User"]["Arn"]
    statement = {"Effect": "Allow", "Action": "eks:DescribeCluster", "Resource": "*"}
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=text)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return arn, {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}


def test_who_made_the_cluster_administers_it_with_update_kubeconfig_alone(shell: Shell) -> None:
    assert "Added new context" in shell.said("aws", "eks", "update-kubeconfig", "--name", "keyless")
    assert "eks-pod-identity-agent" in shell.said("kubectl", "get", "pods", "-A")
    assert "user/keyless-admin" in shell.said("kubectl", "auth", "whoami")
    assert shell.said("kubectl", "auth", "can-i", "*", "*").strip() == "yes"


def test_another_user_sees_what_the_access_entry_gives_and_no_more(space: LocalSpace, shell: Shell) -> None:
    arn, keys = a_user(space, "viewer")
    theirs = Shell(shell.home, {**shell.environ, **keys})
    theirs.said("aws", "eks", "update-kubeconfig", "--name", "keyless")
    nobody = theirs.run("kubectl", "get", "pods")
    assert nobody.returncode == 1
    assert "provide credentials" in nobody.stderr or "Unauthorized" in nobody.stderr

    where = ("--cluster-name", "keyless", "--principal-arn", arn)
    shell.said("aws", "eks", "create-access-entry", *where)
    policy = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
    scope = "type=namespace,namespaces=default,later"
    shell.said("aws", "eks", "associate-access-policy", *where, "--policy-arn", policy, "--access-scope", scope)

    assert "spaces-operator" in theirs.said("kubectl", "get", "pods")
    for refused in (("get", "pods", "-A"), ("get", "secrets"), ("delete", "pods", "--all")):
        done = theirs.run("kubectl", *refused)
        assert done.returncode == 1
        assert f'User "{arn}" cannot' in done.stderr
    space.aws("eks").delete_access_entry(clusterName="keyless", principalArn=arn)
    assert theirs.run("kubectl", "get", "pods").returncode == 1


def test_deploy_creates_a_stack_from_yaml_and_then_changes_it(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "role.yaml").write_text(YAML)
    deploy = ("aws", "cloudformation", "deploy", "--stack-name", "role", "--template-file", "role.yaml")
    without = shell.run(*deploy)
    assert "Requires capabilities : [CAPABILITY_IAM]" in without.stderr
    assert "Successfully created/updated stack - role" in shell.said(*deploy, "--capabilities", "CAPABILITY_IAM")
    shell.said(
        "aws",
        "cloudformation",
        "update-stack",
        "--stack-name",
        "role",
        "--use-previous-template",
        "--parameters",
        "ParameterKey=Path,ParameterValue=/x/",
        "--capabilities",
        "CAPABILITY_IAM",
    )
    shell.said("aws", "cloudformation", "wait", "stack-update-complete", "--stack-name", "role")
    query = ("--query", "Stacks[0].Outputs[0].OutputValue", "--output", "text")
    assert ":role/x/role-Role-" in shell.said(
        "aws", "cloudformation", "describe-stacks", "--stack-name", "role", *query
    )
    shell.said("aws", "cloudformation", "delete-stack", "--stack-name", "role")
    shell.said("aws", "cloudformation", "wait", "stack-delete-complete", "--stack-name", "role")


def events(space: LocalSpace) -> int:
    """How much has happened in stacks, as another process sees it."""
    connection = open_for_reading(space.folder)
    assert connection is not None
    try:
        found: int = connection.execute("SELECT count(*) FROM cloudformation_event").fetchone()[0]
    finally:
        connection.close()
    return found


def test_a_stack_in_the_making_is_finished_after_kill_9(space: LocalSpace) -> None:
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST}}
    template = json.dumps({"Resources": {f"Role{number}": role for number in range(ROLES)}})

    def create() -> None:
        with suppress(BotoCoreError):  # the process ends before it answers
            space.aws("cloudformation").create_stack(
                StackName="many", TemplateBody=template, Capabilities=["CAPABILITY_IAM"]
            )

    before = events(space)
    creating = Thread(target=create)
    creating.start()
    while events(space) < before + 60:
        pass
    os.kill(space.running["pid"], signal.SIGKILL)
    creating.join()
    local_space.start(space.folder, "--propagation-delay", "0")

    found: Any = space.aws("cloudformation").describe_stacks(StackName="many")["Stacks"][0]
    assert found["StackStatus"] == "CREATE_COMPLETE"
    pages = space.aws("iam").get_paginator("list_roles").paginate()
    made = [one["RoleName"] for page in pages for one in page["Roles"] if one["RoleName"].startswith("many-")]
    assert len(made) == ROLES
