"""The documents of the demo: policies and Kubernetes objects, as the guides have them."""

from __future__ import annotations

from typing import Any

from keyless.cli.demo.stage import Stage

Object = dict[str, Any]
VERSION = "2012-10-17"


def allow(actions: list[str], resources: list[str]) -> Object:
    """A permission policy of one statement."""
    return {"Version": VERSION, "Statement": [{"Effect": "Allow", "Action": actions, "Resource": resources}]}


def billing_policy(stage: Stage) -> Object:
    """The billing guide's permissions."""
    bucket = f"arn:aws:s3:::{stage.name('YOUR_BILLING_BUCKET')}"
    return allow(["s3:GetObject", "s3:PutObject", "s3:ListBucket", "s3:DeleteObject"], [bucket, f"{bucket}/*"])


def web_identity_trust(stage: Stage, service_account: str) -> Object:
    """The billing guide's trust policy, for a service account of the control plane's host namespace."""
    account, provider = stage.name("YOUR_AWS_ACCOUNT_ID"), stage.name("YOUR_OIDC_PROVIDER")
    subject = f"system:serviceaccount:{stage.name('YOUR_NAMESPACE')}:{service_account}"
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": f"arn:aws:iam::{account}:oidc-provider/{provider}"},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {f"{provider}:aud": "sts.amazonaws.com", f"{provider}:sub": subject}},
    }
    return {"Version": VERSION, "Statement": [statement]}


def pod_identity_trust() -> Object:
    """Trust for EKS Pod Identity."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
    }
    return {"Version": VERSION, "Statement": [statement]}


def secrets_policy(stage: Stage) -> Object:
    """The shared secrets guide's permissions."""
    place = f"{stage.name('YOUR_AWS_REGION')}:{stage.name('YOUR_AWS_ACCOUNT_ID')}"
    return allow(
        ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret", "ssm:GetParameter"],
        [
            f"arn:aws:secretsmanager:{place}:secret:{stage.name('YOUR_SECRET_PREFIX')}*",
            f"arn:aws:ssm:{place}:parameter/{stage.name('YOUR_PARAMETER_PREFIX')}*",
        ],
    )


def vpc_crd() -> Object:
    """A managed resource as a Crossplane provider defines it: category ``managed`` is what counts."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "vpcs.ec2.aws.upbound.io"},
        "spec": {
            "group": "ec2.aws.upbound.io",
            "scope": "Cluster",
            "names": {
                "plural": "vpcs",
                "singular": "vpc",
                "kind": "VPC",
                "listKind": "VPCList",
                "categories": ["managed"],
            },
            "versions": [{"name": "v1beta1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }


def vpcs() -> list[Object]:
    """Three of them: two of teams, one of nobody."""
    teams = {"payments": {"team": "payments"}, "search": {"team": "search"}, "batch": {}}
    return [
        {
            "apiVersion": "ec2.aws.upbound.io/v1beta1",
            "kind": "VPC",
            "metadata": {"name": name, "labels": labels},
            "spec": {},
        }
        for name, labels in teams.items()
    ]


SECOND_NAMESPACE = "mxp-ctp2-system"


def second_vpcs() -> list[Object]:
    """Two that nobody labelled: of the team whose control plane it is."""
    made = {"apiVersion": "ec2.aws.upbound.io/v1beta1", "kind": "VPC", "spec": {}}
    return [{**made, "metadata": {"name": name}} for name in ("index", "crawler")]


def shared_objects(stage: Stage) -> list[Object]:
    """A store and a secret for the whole group, into namespaces labelled ``team: payments``."""
    where = {
        "controlPlaneSelector": {"names": ["ctp1", "ctp2"]},
        "namespaceSelector": {"labelSelectors": [{"matchLabels": {"team": "payments"}}]},
    }
    provider = {"aws": {"service": "SecretsManager", "region": stage.name("YOUR_AWS_REGION")}}
    remote = {"key": f"{stage.name('YOUR_SECRET_PREFIX')}database", "property": "password"}
    spec = {
        "refreshInterval": "1h",
        "secretStoreRef": {"kind": "ClusterSecretStore", "name": "aws-secrets"},
        "target": {"name": "database"},
        "data": [{"secretKey": "password", "remoteRef": remote}],
    }
    return [
        _shared("SharedSecretStore", "aws-secrets", {**where, "provider": provider}),
        _shared("SharedExternalSecret", "database", {**where, "externalSecretSpec": spec}),
    ]


def neighbours_key(stage: Stage) -> Object:
    """What the team tries next: the other team's key, through the store that it may use."""
    spec = {
        "secretStoreRef": {"kind": "ClusterSecretStore", "name": "aws-secrets"},
        "data": [{"secretKey": "key", "remoteRef": {"key": f"{stage.name('YOUR_SECRET_PREFIX')}search"}}],
    }
    metadata = {"name": "neighbour", "namespace": "payments"}
    return {"apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "metadata": metadata, "spec": spec}


def payments_namespace() -> Object:
    """The team's namespace in the control plane."""
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "payments", "labels": {"team": "payments"}},
    }


def _shared(kind: str, name: str, spec: Object) -> Object:
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "spaces.upbound.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}
