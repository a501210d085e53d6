"""What each component must reach, from the values and from what a group shares."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from keyless.cli.verifying import billing_access, secrets_access
from keyless.identity.verify import Cluster, ControlPlane, Space
from keyless.kube.memory import MemoryKube
from keyless.kube.resources import SHAREDEXTERNALSECRETS, SHAREDSECRETSTORES

CLUSTER = Cluster("keyless", "https://issuer", "111122223333", "us-west-2")
TEAM = {"team": "payments"}
PLANE = ControlPlane("ctp1", "default", "mxp-1-system", {})


def store(name: str, **aws: Any) -> dict[str, Any]:
    spec = {"controlPlaneSelector": {"names": ["ctp1"]}, "provider": {"aws": aws}}
    return {"metadata": {"name": name, "namespace": "default"}, "spec": spec}


def secret(name: str, store_name: str, **spec: Any) -> dict[str, Any]:
    reference = {"secretStoreRef": {"name": store_name}, **spec}
    shared = {"controlPlaneSelector": {"names": ["ctp1"]}, "externalSecretSpec": reference}
    return {"metadata": {"name": name, "namespace": "default"}, "spec": shared}


async def test_a_group_that_shares_nothing_needs_nothing() -> None:
    kube = MemoryKube()
    space = Space({}, (), frozenset())
    assert await secrets_access(kube)(space, PLANE, CLUSTER) is None
    kube.put(SHAREDSECRETSTORES, store("parameters", service="ParameterStore", region="us-west-2"))
    kube.put(SHAREDSECRETSTORES, store("foreign", service="ParameterStore", role="arn:aws:iam::444455556666:role/x"))
    kube.put(SHAREDEXTERNALSECRETS, secret("one", "parameters", data=[{"remoteRef": {"key": "a"}}]))
    kube.put(SHAREDEXTERNALSECRETS, secret("two", "foreign", data=[{"remoteRef": {"key": "b"}}]))
    kube.put(SHAREDSECRETSTORES, store("keys", service="ParameterStore", auth={"secretRef": {}}))
    kube.put(SHAREDEXTERNALSECRETS, secret("three", "keys", data=[{"remoteRef": {"key": "c"}}]))
    access = await secrets_access(kube)(space, PLANE, CLUSTER)
    assert access is not None
    assert access.resources == ("arn:aws:ssm:us-west-2:111122223333:parameter/a",)


async def test_what_is_shared_with_other_control_planes_is_not_needed() -> None:
    kube = MemoryKube()
    space = Space({}, (), frozenset())
    for name, selector in (("named", {"names": ["ctp2"]}), ("labelled", {"labelSelectors": [{"matchLabels": TEAM}]})):
        made = store(name, service="ParameterStore", region="us-west-2")
        kube.put(SHAREDSECRETSTORES, {**made, "spec": {**made["spec"], "controlPlaneSelector": selector}})
        kube.put(SHAREDEXTERNALSECRETS, secret(name, name, data=[{"remoteRef": {"key": name}}]))
    assert await secrets_access(kube)(space, PLANE, CLUSTER) is None
    labelled = await secrets_access(kube)(space, replace(PLANE, labels=TEAM), CLUSTER)
    assert labelled is not None
    assert labelled.resources == ("arn:aws:ssm:us-west-2:111122223333:parameter/labelled",)


async def test_billing_needs_the_bucket_of_the_values() -> None:
    assert await billing_access(Space({}, (), frozenset()), PLANE, CLUSTER) is None
    values = {"account": "acme", "billing.storage.aws.bucket": "usage"}
    access = await billing_access(Space(values, (), frozenset()), PLANE, CLUSTER)
    assert access is not None
    assert access.resources == ("arn:aws:s3:::usage/account=acme/*", "arn:aws:s3:::usage/manifest/*")
    assert access.actions == ("s3:PutObject",)


async def test_billing_needs_what_the_values_say_of_each_object() -> None:
    aws = "billing.storage.aws"
    values = {f"{aws}.bucket": "usage", f"{aws}.serverSideEncryption": "aws:kms", f"{aws}.ssekmsKeyId": "alias/mine"}
    acl = {f"{aws}.acl": "bucket-owner-full-control"}
    access = await billing_access(Space(values | acl, (), frozenset()), PLANE, CLUSTER)
    assert access is not None
    assert access.actions == ("s3:PutObject", "s3:PutObjectAcl")
    sent = dict(access.sent)
    assert sent["s3:x-amz-server-side-encryption"] == "aws:kms"
    assert sent["s3:x-amz-server-side-encryption-aws-kms-key-id"] == "alias/mine"
    assert sent["s3:if-none-match"] == "*"
