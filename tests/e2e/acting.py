"""What the guides' reader does, by the same requests: roles, providers, associations, Helm values, control planes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from e2e import seeing
from e2e.local_space import LocalSpace
from keyless.kube import Kube, timestamp
from keyless.kube.resources import CONFIGMAPS, DAEMONSETS, DEPLOYMENTS, SECRETS
from keyless.local.boot.release.upgrade import Path, upgraded

Object = dict[str, Any]
VERSION = "2012-10-17"
AGENT = "eks-pod-identity-agent"
STS = "sts.amazonaws.com"
ROLE_ANNOTATION = "eks.amazonaws.com/role-arn"
VECTOR_ROLE: Path = ("controlPlanes", "vector", "serviceAccount", "customAnnotations", ROLE_ANNOTATION)
SECRETS_ROLE: Path = ("controlPlanes", "sharedSecrets", "serviceAccount", "customAnnotations", ROLE_ANNOTATION)
VOLUME: Path = ("controlPlanes", "vector", "persistence", "enabled")
STATIC_KEYS: Path = ("billing", "storage", "secretRef", "name")


def role_arn(space: LocalSpace, name: str) -> str:
    """The ARN that a role of this name has."""
    return f"arn:aws:iam::{space.name('AWS_ACCOUNT_ID')}:role/{name}"


def provider_arn(space: LocalSpace) -> str:
    """The ARN of the cluster's OIDC provider."""
    return f"arn:aws:iam::{space.name('AWS_ACCOUNT_ID')}:oidc-provider/{space.name('OIDC_PROVIDER')}"


def subject(namespace: str, account: str = "vector") -> str:
    """``sub`` of a service account's tokens."""
    return f"system:serviceaccount:{namespace}:{account}"


def irsa_trust(space: LocalSpace, *subjects: str, operator: str = "StringEquals", audience: str = STS) -> Object:
    """The billing guide's trust policy."""
    provider = space.name("OIDC_PROVIDER")
    condition: dict[str, dict[str, object]] = {"StringEquals": {f"{provider}:aud": audience}}
    condition.setdefault(operator, {})[f"{provider}:sub"] = list(subjects) if len(subjects) > 1 else subjects[0]
    return _statement(
        Principal={"Federated": provider_arn(space)}, Action="sts:AssumeRoleWithWebIdentity", Condition=condition
    )


def pods_trust(*actions: str) -> Object:
    """The trust policy for EKS Pod Identity."""
    actions = actions or ("sts:AssumeRole", "sts:TagSession")
    return _statement(Principal={"Service": "pods.eks.amazonaws.com"}, Action=list(actions))


def bucket_policy(bucket: str, *actions: str) -> Object:
    """Rights on one bucket: the guide's unless told."""
    actions = actions or ("s3:GetObject", "s3:PutObject", "s3:ListBucket", "s3:DeleteObject")
    arn = f"arn:aws:s3:::{bucket}"
    return _statement(Action=list(actions), Resource=[arn, f"{arn}/*"])


def secrets_policy(space: LocalSpace, prefix: str) -> Object:
    """The shared secrets guide's rights on a prefix."""
    place = f"{space.name('AWS_REGION')}:{space.name('AWS_ACCOUNT_ID')}"
    return _statement(
        Action=["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret", "ssm:GetParameter"],
        Resource=[f"arn:aws:secretsmanager:{place}:secret:{prefix}*", f"arn:aws:ssm:{place}:parameter/{prefix}*"],
    )


def _statement(**fields: object) -> Object:
    return {"Version": VERSION, "Statement": [{"Effect": "Allow", **fields}]}


def make_role(space: LocalSpace, name: str, trust: Object, policy: Object) -> str:
    """``aws iam create-role`` and ``put-role-policy``."""
    iam = space.aws("iam")
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
    permit(space, name, policy)
    return role_arn(space, name)


def permit(space: LocalSpace, name: str, policy: Object) -> None:
    """``aws iam put-role-policy``."""
    space.aws("iam").put_role_policy(RoleName=name, PolicyName="e2e", PolicyDocument=json.dumps(policy))


def trust(space: LocalSpace, name: str, document: Object) -> None:
    """``aws iam update-assume-role-policy``."""
    space.aws("iam").update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(document))


def drop_roles(space: LocalSpace, prefix: str) -> None:
    """``aws iam delete-role``, after what keeps it, for all whose names begin so: ``verify`` chooses among them."""
    iam = space.aws("iam")
    for role in iam.get_paginator("list_roles").paginate().search("Roles[]"):
        name = role["RoleName"]
        if name.startswith(prefix):
            for each in iam.list_role_policies(RoleName=name)["PolicyNames"]:
                iam.delete_role_policy(RoleName=name, PolicyName=each)
            iam.delete_role(RoleName=name)


def make_bucket(space: LocalSpace, name: str) -> str:
    """``aws s3 mb``."""
    place = {"LocationConstraint": space.environ["AWS_REGION"]}
    space.aws("s3").create_bucket(Bucket=name, CreateBucketConfiguration=place)
    return name


def make_provider(space: LocalSpace) -> None:
    """``aws iam create-open-id-connect-provider``, unless it is there, and the client id, unless it is there."""
    iam = space.aws("iam")
    arn = provider_arn(space)
    if arn not in {one["Arn"] for one in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]}:
        described = space.aws("eks").describe_cluster(name=space.name("CLUSTER_NAME"))["cluster"]
        iam.create_open_id_connect_provider(Url=described["identity"]["oidc"]["issuer"], ClientIDList=[STS])
    # AWS, too, takes a client id that is there already.
    iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID=STS)


def drop_provider(space: LocalSpace) -> None:
    """``aws iam delete-open-id-connect-provider``; it is no error on AWS when there is none."""
    space.aws("iam").delete_open_id_connect_provider(OpenIDConnectProviderArn=provider_arn(space))


def associate(space: LocalSpace, namespace: str, account: str, role: str) -> str:
    """``aws eks create-pod-identity-association``; returns its id."""
    made = space.aws("eks").create_pod_identity_association(
        clusterName=space.name("CLUSTER_NAME"),
        namespace=namespace,
        serviceAccount=account,
        roleArn=role_arn(space, role),
    )
    found: str = made["association"]["associationId"]
    return found


def drop_associations(space: LocalSpace) -> None:
    """``aws eks delete-pod-identity-association``, for all there are."""
    eks, cluster = space.aws("eks"), space.name("CLUSTER_NAME")
    for one in eks.list_pod_identity_associations(clusterName=cluster)["associations"]:
        eks.delete_pod_identity_association(clusterName=cluster, associationId=one["associationId"])


async def delete_agent(space: LocalSpace, host: Kube) -> None:
    """``aws eks delete-addon``; afterwards no agent runs."""
    space.aws("eks").delete_addon(clusterName=space.name("CLUSTER_NAME"), addonName=AGENT)
    await seeing.gone(host, DAEMONSETS, AGENT, "kube-system")
    await seeing.no_pods(host, AGENT, "kube-system")


async def create_agent(space: LocalSpace, host: Kube) -> None:
    """``aws eks create-addon``; afterwards an agent runs."""
    space.aws("eks").create_addon(clusterName=space.name("CLUSTER_NAME"), addonName=AGENT)
    await seeing.pod(host, AGENT, "kube-system", seeing.is_ready)


async def helm_upgrade(host: Kube, sets: Mapping[Path, object]) -> None:
    """``helm upgrade spaces spaces-helm-chart --set …``, without ``--reuse-values``."""
    page = await host.list(SECRETS, "default", labels={"owner": "helm", "name": "spaces", "status": "deployed"})
    newest = max(page.items, key=lambda secret: int(secret["metadata"]["labels"]["version"]))
    made = upgraded(newest, sets, datetime.now(UTC))
    await host.create(SECRETS, made.secret)
    await host.patch(CONFIGMAPS, "spaces-values", {"data": {"values.json": made.values_json}}, "default")
    old = {"metadata": {"labels": made.superseded["metadata"]["labels"]}, "data": made.superseded["data"]}
    await host.patch(SECRETS, newest["metadata"]["name"], old, "default")


async def forget_history(host: Kube) -> None:
    """Forget superseded revisions, as ``--history-max`` does: ``verify`` reads from them what was dropped."""
    for secret in (await host.list(SECRETS, "default", labels={"owner": "helm", "status": "superseded"})).items:
        await host.delete(SECRETS, secret["metadata"]["name"], "default")


def billing_values(space: LocalSpace, bucket: str, role: str = "") -> dict[Path, object]:
    """The billing guide's values: with a role by IRSA, without one for Pod Identity; with a volume."""
    values: dict[Path, object] = {
        ("billing", "enabled"): True,
        ("billing", "storage", "provider"): "aws",
        ("billing", "storage", "aws", "region"): space.environ["AWS_REGION"],
        ("billing", "storage", "aws", "bucket"): bucket,
        STATIC_KEYS: "",
        VOLUME: True,
    }
    if role:
        values[VECTOR_ROLE] = role_arn(space, role)
    return values


async def restart(host: Kube, deployment: str, namespace: str) -> None:
    """``kubectl rollout restart``."""
    annotations = {"kubectl.kubernetes.io/restartedAt": timestamp(datetime.now(UTC))}
    patch = {"spec": {"template": {"metadata": {"annotations": annotations}}}}
    await host.patch(DEPLOYMENTS, deployment, patch, namespace, kind="strategic")
