"""What the clients meet: names, and three ways to be somebody (a key, a web identity, the pod identity agent)."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.tools import GO_SDK, JAVASCRIPT_SDK, PROGRAMS, PYTHON_SDKS, Sdk

from e2e import acting
from e2e.local_space import LocalSpace
from keyless.kube.resources import PODS, SERVICEACCOUNTS
from keyless.local.cloud.database import Database
from keyless.local.cloud.faults import Fault, Faults
from keyless.local.state.database import connect, migrate, open_for_reading

BUCKET, SECRET, PARAMETER, ROLE = "client-bucket", "client/secret", "/client/parameter", "client-role"
ACCOUNT_NAME = "client"
NAMESPACE = "default"
PODS_AUDIENCE = "pods.eks.amazonaws.com"
STEP_SECONDS = 50


@dataclass(frozen=True, slots=True)
class Program:
    """One client: the SDK that runs it and its file; without an SDK it runs in our own environment."""

    name: str
    sdk: Sdk | None
    file: str = ""

    def command(self) -> list[str]:
        """What to start; skips, or fails in CI, where the SDK has not been fetched."""
        if self.sdk is None:
            return [sys.executable, str(PROGRAMS / self.file)]
        if (found := self.sdk.command) is None:
            needs = f" (needs {self.sdk.needs})" if self.sdk.needs else ""
            reason = f"the SDK for {self.name} is missing: run `make tools`{needs}"
            if os.environ.get("CI"):
                pytest.fail(reason)
            pytest.skip(reason)
        return [*found, str(PROGRAMS / self.file)] if self.file else found


BOTO3 = Program("boto3", PYTHON_SDKS, "boto3_steps.py")
AIOBOTOCORE = Program("aiobotocore", PYTHON_SDKS, "aiobotocore_steps.py")
S3FS = Program("s3fs", PYTHON_SDKS, "s3fs_steps.py")
OBSTORE = Program("obstore", None, "obstore_steps.py")
JAVASCRIPT = Program("javascript", JAVASCRIPT_SDK)
GO = Program("go", GO_SDK)


@dataclass(frozen=True, slots=True)
class Stage:
    """The Space, and the folder for files that clients read."""

    space: LocalSpace
    folder: Path

    @classmethod
    def set_up(cls, space: LocalSpace) -> Stage:
        """Make what the clients are tried on. The role may read all but what is called forbidden."""
        acting.make_bucket(space, BUCKET)
        manager, ssm = space.aws("secretsmanager"), space.aws("ssm")
        for name, value in ((SECRET, "told"), ("forbidden", "untold")):
            manager.create_secret(Name=name, SecretString=value)
        ssm.put_parameter(Name=PARAMETER, Value="told, too", Type="SecureString")
        ssm.put_parameter(Name="forbidden", Value="untold", Type="String")
        acting.make_provider(space)
        federated = acting.irsa_trust(space, acting.subject(NAMESPACE, ACCOUNT_NAME))
        trust = {**federated, "Statement": [*federated["Statement"], *acting.pods_trust()["Statement"]]}
        acting.make_role(space, ROLE, trust, _PERMISSIONS)
        acting.associate(space, NAMESPACE, ACCOUNT_NAME, ROLE)
        asyncio.run(_make_account(space))
        return cls(space, space.folder.parent)

    def token_file(self, audience: str) -> Path:
        """A file with a real token of the service account, as the kubelet projects one."""
        path = self.folder / f"{audience}.token"
        path.write_text(asyncio.run(_token(self.space, audience)), encoding="utf-8")
        return path

    def as_web_identity(self) -> dict[str, str]:
        """The variables of IRSA."""
        return {
            "AWS_ROLE_ARN": acting.role_arn(self.space, ROLE),
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(self.token_file(acting.STS)),
            "AWS_ROLE_SESSION_NAME": "web",
        }

    def as_pod(self) -> dict[str, str]:
        """The variables of EKS Pod Identity, at the Space's own agent."""
        connection = open_for_reading(self.space.folder)
        assert connection is not None
        with closing(connection):
            (port,) = connection.execute("SELECT number FROM port WHERE name = 'agent'").fetchone()
        return {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{port}/v1/credentials",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(self.token_file(PODS_AUDIENCE)),
        }

    def as_session(self) -> dict[str, str]:
        """The role's keys, for what cannot fetch them itself."""
        token = self.token_file(acting.STS).read_text(encoding="utf-8")
        answer = self.space.aws("sts", signed=False).assume_role_with_web_identity(
            RoleArn=acting.role_arn(self.space, ROLE), RoleSessionName="keys", WebIdentityToken=token
        )["Credentials"]
        return {
            "AWS_ACCESS_KEY_ID": answer["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": answer["SecretAccessKey"],
            "AWS_SESSION_TOKEN": answer["SessionToken"],
        }

    def run(self, program: Program, identity: Mapping[str, str], *steps: str) -> dict[str, Any]:
        """What ``program`` saw, by step; raises ``AssertionError`` with its words when it ends badly."""
        said = self.start([*program.command(), *steps], identity)
        assert said.returncode == 0, f"{program.name} {steps}:\n{said.stderr}"
        found: dict[str, Any] = json.loads(said.stdout)
        return found

    @contextmanager
    def faults(self, *faults: Fault) -> Iterator[None]:
        """Faults, as ``keyless faults set`` sets them; cleared at the end."""
        with closing(connect(self.space.folder)) as connection:
            found = Faults(Database(connection, lambda part, steps: migrate(connection, part, steps)))
            for fault in faults:
                found.set(fault)
            try:
                yield
            finally:
                found.clear()

    def start(self, command: list[str], identity: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Run a command as somebody, with nothing else of ours in its environment."""
        keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            # What `keyless env` exports, but for the administrator's keys, is all that a client is told.
            **{name: value for name, value in self.space.environ.items() if name not in keys},
            "AWS_EC2_METADATA_DISABLED": "true",
            "BUCKET": BUCKET,
            "SECRET": SECRET,
            "PARAMETER": PARAMETER,
            **identity,
        }
        return subprocess.run(
            command,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=STEP_SECONDS,
            check=False,
        )


_PERMISSIONS = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": ["s3:*", "secretsmanager:*", "ssm:*", "kms:Decrypt"], "Resource": "*"},
        {
            "Effect": "Deny",
            "Action": "*",
            "Resource": [
                f"arn:aws:s3:::{BUCKET}/forbidden/*",
                "arn:aws:secretsmanager:*:*:secret:forbidden*",
                "arn:aws:ssm:*:*:parameter/forbidden",
            ],
        },
    ],
}


async def _make_account(space: LocalSpace) -> None:
    async with space.host as kube:
        account = {"metadata": {"name": ACCOUNT_NAME, "namespace": NAMESPACE}}
        await kube.apply(SERVICEACCOUNTS, account, field_manager="clients")
        # Pod Identity wants a token that is bound to a pod; that this one never runs is nothing to it.
        nowhere = {"nodeSelector": {"kubernetes.io/hostname": "nowhere"}}
        spec = {"serviceAccountName": ACCOUNT_NAME, "containers": [{"name": "x", "image": "x"}], **nowhere}
        await kube.create(PODS, {"metadata": {"name": ACCOUNT_NAME, "namespace": NAMESPACE}, "spec": spec})


async def _token(space: LocalSpace, audience: str) -> str:
    async with space.host as kube:
        pod = await kube.get(PODS, ACCOUNT_NAME, NAMESPACE)
        status = await kube.token(ACCOUNT_NAME, NAMESPACE, audiences=[audience], expiration_seconds=3600, bound_pod=pod)
        return status.token
