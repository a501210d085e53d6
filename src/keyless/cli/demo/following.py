"""The story's third part: the Space writes IAM itself, and control planes that appear work with nobody touching it."""

from __future__ import annotations

from typing import Any

from keyless.api import Permanent
from keyless.cli.demo import objects, stand_ins
from keyless.cli.demo.looks import WAIT_SECONDS, changes, identity_in
from keyless.cli.demo.stage import Stage, until
from keyless.identity.grants import Asked, Mode, Way
from keyless.identity.grants.plan import operator_policy
from keyless.identity.verify import Cluster
from keyless.kube import condition_of
from keyless.kube.resources import CONTROLPLANES, DEPLOYMENTS, WORKLOADIDENTITIES
from keyless.space.workload_identity.wishes import billing_wish

OPERATOR_ROLE = "spaces-operator"
NEWCOMERS = ("ctp2", "ctp3")
SECOND, SECOND_TEAM = "ctp2", {"team": "search"}
WRITES = ("iam:UpdateAssumeRolePolicy", "iam:CreateRole", "iam:PutRolePolicy", "iam:CreateOpenIDConnectProvider")


def policy_of_the_operator(stage: Stage) -> dict[str, Any]:
    """What `keyless identity plan --output json` prints as ``operatorPolicy``: the smallest that following needs."""
    host = f"https://{stage.name('YOUR_OIDC_PROVIDER')}"
    account, region = stage.name("YOUR_AWS_ACCOUNT_ID"), stage.name("YOUR_AWS_REGION")
    cluster = Cluster(stage.name("YOUR_CLUSTER_NAME"), host, account, region)
    wish = billing_wish(stage.name("YOUR_BILLING_BUCKET"), stage.name("YOUR_BILLING_ROLE_NAME"), "", cluster, ())
    return dict(operator_policy(Asked(cluster, Way.IRSA, Mode.EXACT, (wish,))))


def identity_to_manage(stage: Stage) -> dict[str, Any]:
    """The billing role, from here on the Space's own to keep; its guide's statements stay as they are."""
    spec = {
        "component": "billing",
        "mode": "irsa",
        "roleName": stage.name("YOUR_BILLING_ROLE_NAME"),
        "manage": True,
    }
    return {
        "apiVersion": "keyless.dev/v1alpha1",
        "kind": "WorkloadIdentity",
        "metadata": {"name": "billing"},
        "spec": spec,
    }


def newcomers() -> list[dict[str, Any]]:
    """A second and a third control plane; the second is a team's, and so is what has no label of its own in it."""
    return [
        {
            "apiVersion": "spaces.upbound.io/v1beta1",
            "kind": "ControlPlane",
            "metadata": {"name": name, "namespace": "default", **({"labels": SECOND_TEAM} if name == SECOND else {})},
            # A name of its own choosing lets an identity be there before the control plane is.
            "spec": {"hostNamespace": {"name": objects.SECOND_NAMESPACE}} if name == "ctp2" else {},
        }
        for name in NEWCOMERS
    ]


async def operator_made(stage: Stage) -> str:
    """The role, its association, and the restart that gives it to the operator's pod."""
    made = await stand_ins.create_role(
        stage, OPERATOR_ROLE, objects.pod_identity_trust(), policy_of_the_operator(stage)
    )
    await stage.aws.call(
        "eks",
        "CreatePodIdentityAssociation",
        clusterName=stage.name("YOUR_CLUSTER_NAME"),
        namespace="default",
        serviceAccount="spaces-operator",
        roleArn=made,
    )
    return made


async def operator_restarted(stage: Stage) -> str:
    """``kubectl rollout restart deployment spaces-operator``."""
    return await stand_ins.rollout_restart(stage, "spaces-operator", "default")


async def rolled_out(stage: Stage) -> str:
    """The operator's new pod, which has the identity."""

    async def done() -> dict[str, Any] | None:
        found = await stage.host.get(DEPLOYMENTS, "spaces-operator", "default")
        status, generation = found.get("status") or {}, found["metadata"].get("generation")
        new = status.get("observedGeneration") == generation and status.get("updatedReplicas") == 1
        return found if new and status.get("availableReplicas") == 1 and status.get("replicas") == 1 else None

    await until(done, seconds=WAIT_SECONDS, what="expected Deployment spaces-operator to be rolled out")
    return "the operator runs with an identity of its own"


async def managed(stage: Stage) -> str:
    """What the object says when AWS has what it wants."""
    found = await _ready(stage, 1)
    return f"effective {found['status']['effective']}: {_ready_condition(found)['message']}"


async def newcomers_work(stage: Stage) -> str:
    """Each newcomer's own condition, whose identity it is, and who has written to IAM since."""
    lines = []
    for name in NEWCOMERS:
        found = await _stored(stage, name)
        lines.append(f"{name:<8} {found['reason']}: identity {identity_in(found['message'])}")
    await _ready(stage, 1 + len(NEWCOMERS))
    role = stage.name("YOUR_BILLING_ROLE_NAME")
    writers = [line["caller"]["arn"] for line in changes(stage, WRITES) if role in str(line["resources"])]
    if f"assumed-role/{OPERATOR_ROLE}/" not in writers[-1]:
        raise Permanent(f"expected the operator to have changed role {role} last, found {writers[-1]}")
    return "\n".join([*lines, f"IAM      role {role} was last changed by {writers[-1]}"])


async def _stored(stage: Stage, name: str) -> dict[str, Any]:
    async def ask() -> dict[str, Any] | None:
        plane = await stage.host.get(CONTROLPLANES, name, "default")
        found = condition_of((plane.get("status") or {}).get("conditions"), "BillingStored")
        return found if found is not None and found["status"] == "True" else None

    what = f"expected condition BillingStored of control plane {name} to be True"
    stored: dict[str, Any] = await until(ask, seconds=WAIT_SECONDS, what=what)
    return stored


async def _ready(stage: Stage, planes: int) -> dict[str, Any]:
    async def ask() -> dict[str, Any] | None:
        found = await stage.host.get(WORKLOADIDENTITIES, "billing")
        effective = (found.get("status") or {}).get("effective")
        return found if effective == f"{planes}/{planes}" else None

    what = f"expected WorkloadIdentity billing to be effective for {planes}"
    ready: dict[str, Any] = await until(ask, seconds=WAIT_SECONDS, what=what)
    return ready


def _ready_condition(obj: dict[str, Any]) -> dict[str, Any]:
    return condition_of(obj["status"]["conditions"], "Ready") or {"message": ""}
