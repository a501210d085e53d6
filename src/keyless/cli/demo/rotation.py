"""A second control plane, and a new version of a secret that reaches both."""

from __future__ import annotations

import json

from keyless.cli import exits
from keyless.cli.demo import looks, objects, stand_ins
from keyless.cli.demo.stage import Stage
from keyless.cli.demo.step import Step, texts
from keyless.kube.resources import NAMESPACES


def rotation(stage: Stage) -> list[Step]:
    """The shared secret in a second control plane, and a new version that reaches both."""
    return [
        Step("Where the second one is reached", "keyless", "keyless env --control-plane ctp2", _never),
        _second(stage),
        *_new_version(stage),
    ]


def identity_of_second(stage: Stage) -> Step:
    """Let the next control plane's controller read as the same role; a pod is born with its identity."""
    role = stage.name("YOUR_ROLE_NAME")

    async def associated() -> str:
        made = await stage.aws.call(
            "eks",
            "CreatePodIdentityAssociation",
            clusterName=stage.name("YOUR_CLUSTER_NAME"),
            namespace=objects.SECOND_NAMESPACE,
            serviceAccount="external-secrets-controller",
            roleArn=f"arn:aws:iam::{stage.name('YOUR_AWS_ACCOUNT_ID')}:role/{role}",
        )
        return str(made["association"]["associationArn"])

    return Step(
        "A second control plane is to read as the same role: its identity is there before it is",
        "aws",
        "aws eks create-pod-identity-association --cluster-name $YOUR_CLUSTER_NAME"
        f" --namespace {objects.SECOND_NAMESPACE} \\\n"
        "  --service-account external-secrets-controller --role-arn"
        " arn:aws:iam::$YOUR_AWS_ACCOUNT_ID:role/$YOUR_ROLE_NAME --query association.associationArn --output text",
        associated,
    )


def _second(stage: Stage) -> Step:
    payments = objects.payments_namespace()

    async def namespace_made() -> str:
        async with stage.second() as kube:
            return await stand_ins.apply(kube, [payments], NAMESPACES)

    return Step(
        "The team's namespace in the second one: the shared store and secret are there by themselves",
        "kubectl",
        "kubectl --kubeconfig $SECOND_KUBECONFIG apply -f payments.yaml",
        namespace_made,
        look=looks.second_arrived,
        files=texts({"payments.yaml": [payments]}),
    )


def _new_version(stage: Stage) -> list[Step]:
    secret = f"{stage.name('YOUR_SECRET_PREFIX')}database"

    async def rotated() -> str:
        value = json.dumps({"username": "app", "password": "another-value-that-is-never-shown"})
        return str(
            (await stage.aws.call("secretsmanager", "PutSecretValue", SecretId=secret, SecretString=value))["VersionId"]
        )

    return [
        Step(
            "The secret is rotated",
            "aws",
            "aws secretsmanager put-secret-value --secret-id ${YOUR_SECRET_PREFIX}database"
            " --query VersionId --output text"
            ' --secret-string \'{"username":"app","password":"another-value-that-is-never-shown"}\'',
            rotated,
        ),
        Step("Both are asked to read it now", "keyless", "keyless secrets refresh database --wait", _never),
        Step(
            "Both hold the new version; what the team may not read is told, too",
            "keyless",
            "keyless secrets status",
            _never,
            code=exits.DID_NOT_HOLD,
        ),
    ]


async def _never() -> str:
    raise AssertionError("keyless is always there")
