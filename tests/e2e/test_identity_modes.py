"""Both ways to become a role: the record shows, for each call on data, the role, the session and the very pod."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from e2e import acting, fixing, seeing, sharing
from e2e.leaks import PLANTED
from e2e.local_space import LocalSpace
from e2e.planes import Plane
from keyless.identity.verify import ControlPlane
from keyless.identity.verify.speaking import until_said
from keyless.kube import Kube

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

PASSWORD = f"{PLANTED}-for-the-identity-modes"


def only_this_pod_called(space: LocalSpace, action: str, role: str, pod: acting.Object) -> dict[str, Any]:
    """All calls that went through were signed by sessions of the role that this pod was given; the last call."""
    metadata, lines = pod["metadata"], space.audit()
    given = {
        line["notes"]["accessKeyId"]
        for line in lines
        if line["code"] == "Success" and line["notes"].get("podUid") == metadata["uid"]
    }
    calls = [line for line in lines if line["action"] == action and line["code"] == "Success"]
    calls = [line for line in calls if f":assumed-role/{role}/" in line["caller"].get("arn", "")]
    assert calls, f"no {action} as {role}"
    assert {line["caller"]["accessKeyId"] for line in calls} <= given
    return calls[-1]


def exchanges(space: LocalSpace, pod: acting.Object) -> set[str]:
    """The operations by which a pod was given credentials."""
    uid = pod["metadata"]["uid"]
    return {line["operation"] for line in space.audit() if line["notes"].get("podUid") == uid}


async def test_by_irsa_usage_and_secrets_move_under_sessions_of_their_pods(
    space: LocalSpace, host: Kube, plane: Plane
) -> None:
    acting.make_provider(space)
    sharing.make_secret(space, plane, PASSWORD)
    reader = f"{plane.own}-secrets"
    acting.make_role(space, plane.role, acting.irsa_trust(space, plane.subject), acting.bucket_policy(plane.bucket))
    trust = acting.irsa_trust(space, acting.subject(plane.namespace, sharing.CONTROLLER))
    acting.make_role(space, reader, trust, acting.secrets_policy(space, plane.own))
    values = acting.billing_values(space, plane.bucket, plane.role)
    await acting.helm_upgrade(host, {**values, acting.SECRETS_ROLE: acting.role_arn(space, reader)})
    await seeing.annotated(host, sharing.CONTROLLER, plane.namespace, acting.role_arn(space, reader))
    await acting.restart(host, "external-secrets", plane.namespace)

    await sharing.share(space, host, plane)

    await seeing.condition(host, plane.name, "BillingStored", "True", containing=f":assumed-role/{plane.role}/")
    assert base64.b64decode((await sharing.arrived(plane))["password"]).decode() == PASSWORD
    await seeing.condition(host, plane.name, "SharedSecretsRead", "True", containing=f":assumed-role/{reader}/")
    await the_right_pods_did_it(space, host, plane, reader, session="botocore-session-")
    for component in ("billing", "shared-secrets"):
        chain = space.verify(component, plane.name)
        assert chain["held"], [link for link in chain["links"] if link["state"] != "Held"]
        assert chain["mode"] == "irsa"


async def test_by_pod_identity_usage_and_secrets_move_under_sessions_of_their_pods(
    space: LocalSpace, host: Kube, plane: Plane
) -> None:
    sharing.make_secret(space, plane, PASSWORD)
    reader = f"{plane.own}-secrets"
    acting.make_role(space, plane.role, acting.pods_trust(), acting.bucket_policy(plane.bucket))
    acting.make_role(space, reader, acting.pods_trust(), acting.secrets_policy(space, plane.own))
    acting.associate(space, plane.namespace, "vector", plane.role)
    acting.associate(space, plane.namespace, sharing.CONTROLLER, reader)
    await acting.helm_upgrade(host, acting.billing_values(space, plane.bucket))
    await acting.restart(host, "external-secrets", plane.namespace)

    await sharing.share(space, host, plane)

    await seeing.condition(host, plane.name, "BillingStored", "True", containing=f":assumed-role/{plane.role}/")
    assert base64.b64decode((await sharing.arrived(plane))["password"]).decode() == PASSWORD
    await seeing.condition(host, plane.name, "SharedSecretsRead", "True", containing=f":assumed-role/{reader}/")
    await the_right_pods_did_it(space, host, plane, reader, session="eks-keyless-")
    for component in ("billing", "shared-secrets"):
        chain = space.verify(component, plane.name)
        assert chain["held"], [link for link in chain["links"] if link["state"] != "Held"]
        assert chain["mode"] == "pod-identity"


async def the_right_pods_did_it(space: LocalSpace, host: Kube, plane: Plane, reader: str, *, session: str) -> None:
    """The record of both components' calls on data."""
    exchange = "AssumeRoleWithWebIdentity" if session.startswith("botocore") else "AssumeRoleForPodIdentity"
    for action, role, app, condition in (
        ("s3:PutObject", plane.role, "vector", "BillingStored"),
        ("secretsmanager:GetSecretValue", reader, "external-secrets", "SharedSecretsRead"),
    ):
        await seeing.rolled_out(host, app, plane.namespace)
        pod = await seeing.pod(host, app, plane.namespace, seeing.is_ready)
        # What verify prints where the pod before spoke last: kubectl ends it by the word of this very pod.
        told = ControlPlane(plane.name, "default", plane.namespace, {})
        await asyncio.to_thread(fixing.run, space, until_said(told, condition, pod["metadata"]["name"]))
        call = only_this_pod_called(space, action, role, pod)
        assert call["caller"]["session"].startswith(session)
        assert exchange in exchanges(space, pod)
