"""Chains that hold, one for each way; a test changes one fact and looks at the links."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from keyless.api import Access
from keyless.identity.verify.model import (
    ANNOTATION,
    Association,
    Cluster,
    Condition,
    ControlPlane,
    Facts,
    Link,
    Pod,
    Provider,
    Revision,
    Role,
    Space,
    State,
    Subject,
    Workload,
)
from keyless.identity.verify.plan import verify
from keyless.policy import Named, parse

ACCOUNT = "111122223333"
NAMESPACE = "mxp-1-system"
OTHER = "mxp-2-system"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/billing"
ISSUER = "https://127.0.0.1:6443/clusters/keyless"
HOST = "127.0.0.1/clusters/keyless"
PROVIDER = Provider(
    f"arn:aws:iam::{ACCOUNT}:oidc-provider/{HOST}", ISSUER.removeprefix("https://"), ("sts.amazonaws.com",)
)
SUBJECT = f"system:serviceaccount:{NAMESPACE}:vector"
BILLING = Subject(
    title="billing",
    service_account="vector",
    deployment="vector",
    condition="BillingStored",
    enabled="billing.enabled",
    annotations="controlPlanes.vector.serviceAccount.customAnnotations",
    static_keys="billing.storage.secretRef.name",
    storage="billing.storage",
    health="BillingHealthy",
)
ANNOTATED = "controlPlanes.vector.serviceAccount.customAnnotations.eks\\.amazonaws\\.com/role-arn"
PLACE = {"billing.storage.provider": "aws", "billing.storage.aws.bucket": "usage"}
SET = {"billing.enabled": "true", "billing.storage.secretRef.name": "", **PLACE, ANNOTATED: ROLE}
IRSA_ENV = {"AWS_ROLE_ARN": ROLE, "AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/token"}
POD_ENV = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://x", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/var/run/t"}
GUIDE_ACTIONS = ["s3:GetObject", "s3:PutObject", "s3:ListBucket", "s3:DeleteObject"]


def written(*statements: Mapping[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def trust(*statements: Mapping[str, Any]) -> Any:
    return parse(json.dumps(written(*statements)), "trust")


def web(
    sub: Any = SUBJECT, *, aud: str = "sts.amazonaws.com", operator: str = "StringEquals", host: str = HOST
) -> dict[str, Any]:
    condition: dict[str, Any] = {"StringEquals": {f"{host}:aud": aud}}
    condition.setdefault(operator, {})[f"{host}:sub"] = sub
    return {
        "Effect": "Allow",
        "Principal": {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{host}"},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": condition,
    }


def service(*actions: str, **more: Any) -> dict[str, Any]:
    return {
        "Effect": "Allow",
        "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Action": list(actions or ("sts:AssumeRole", "sts:TagSession")),
        **more,
    }


def permissions(*actions: str, resource: str = "arn:aws:s3:::usage/*") -> tuple[Named, ...]:
    statement = {
        "Effect": "Allow",
        "Action": list(actions or GUIDE_ACTIONS),
        "Resource": ["arn:aws:s3:::usage", resource],
    }
    return (Named("inline policy billing", parse({"Version": "2012-10-17", "Statement": [statement]}, "identity")),)


def stored(role: str = "billing") -> Condition:
    return Condition(
        "True",
        "Stored",
        f"usage is stored in s3://usage as arn:aws:sts::{ACCOUNT}:assumed-role/{role}/pod",
        pod="vector-1",
    )


def irsa() -> Facts:
    return Facts(
        subject=BILLING,
        access=Access("vector", "vector", ("s3:PutObject",), ("arn:aws:s3:::usage/account=a/*",), "s3:PutObject"),
        space=Space(SET, (Revision(1, {}), Revision(2, SET)), frozenset({NAMESPACE, OTHER})),
        control_plane=ControlPlane("ctp1", "default", NAMESPACE, {"BillingStored": stored()}),
        workload=Workload({ANNOTATION: ROLE}, True, (Pod("vector-1", True, "", IRSA_ENV, "sts.amazonaws.com"),)),
        cluster=Cluster("keyless", ISSUER, ACCOUNT, "us-west-2"),
        providers=(PROVIDER,),
        agent="ACTIVE",
        role=Role(ROLE, trust(web()), permissions(), written=written(web())),
    )


def pod_identity() -> Facts:
    facts = irsa()
    values = {"billing.enabled": "true", "billing.storage.secretRef.name": "", **PLACE}
    return replace(
        facts,
        space=replace(facts.space, values=values, history=(Revision(1, {}), Revision(2, values))),
        workload=Workload({}, True, (Pod("vector-1", True, "", POD_ENV),)),
        providers=(),
        associations=(Association("a-1", NAMESPACE, "vector", ROLE),),
        role=Role(ROLE, trust(service()), permissions(), written=written(service())),
    )


def with_values(facts: Facts, **changes: Any) -> Facts:
    return replace(facts, space=replace(facts.space, **changes))


def with_workload(facts: Facts, **changes: Any) -> Facts:
    assert facts.workload
    return replace(facts, workload=replace(facts.workload, **changes))


def with_trust(facts: Facts, *statements: Mapping[str, Any]) -> Facts:
    assert isinstance(facts.role, Role)
    return replace(facts, role=replace(facts.role, trust=trust(*statements), written=written(*statements)))


def with_condition(facts: Facts, condition: Condition | None) -> Facts:
    assert facts.control_plane
    # Where a test says nothing else, the pod that runs said it.
    told = replace(condition, pod=condition.pod or "vector-1") if condition else None
    conditions = {"BillingStored": told} if told else {}
    return replace(facts, control_plane=replace(facts.control_plane, conditions=conditions))


def broken(facts: Facts) -> Link:
    """The only broken link."""
    (link,) = (link for link in verify(facts) if link.state is State.BROKEN)
    return link


def named(facts: Facts, name: str) -> Link:
    return next(link for link in verify(facts) if link.name == name)
